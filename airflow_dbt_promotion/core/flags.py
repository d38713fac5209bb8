"""Flags of a project (`flags:` in dbt_project.yml): which of them change what is built."""

from __future__ import annotations

from collections.abc import Mapping

OF_RUNS = frozenset(
    {
        # output, logs and telemetry
        "cache_selected_only", "debug", "log_cache_events", "log_file_max_bytes", "log_format", "log_format_file",
        "log_level", "log_level_file", "log_path", "macro_debugging", "print", "printer_width", "quiet",
        "record_timing_info", "send_anonymous_usage_stats", "show_all_deprecations", "show_resource_report",
        "target_path", "upload_to_artifacts_ingest_api", "use_colors", "use_colors_file", "write_json",
        # parsing
        "partial_parse", "partial_parse_file_diff", "partial_parse_file_path", "populate_cache", "static_parser",
        "use_experimental_parser", "use_fast_test_edges",
        # validation, warnings and deprecations
        "enable_grouped_warn_error_parser_logs", "fail_fast", "require_all_warnings_handled_by_warn_error",
        "require_nested_cumulative_type_params", "require_resource_names_without_spaces",
        "require_source_and_semantic_model_names_without_spaces", "require_unique_project_resource_names",
        "require_yaml_configuration_for_mf_time_spines", "validate_macro_args", "version_check", "warn_error",
        "warn_error_options",
        # what state is compared with, and when sources are fresh
        "source_freshness_run_project_hooks", "state_modified_compare_more_unrendered_values",
        "state_modified_compare_vars",
    }
)  # fmt: skip
"""Flags that change how dbt speaks, parses and checks, and nothing of what is built."""

OF_TESTS = frozenset(
    {"indirect_selection", "require_generic_test_arguments_property", "require_sql_header_in_test_configs"}
)
"""Flags that change tests alone."""


def of_models(flags: Mapping[str, object]) -> dict[str, object]:
    """Return the flags that are part of what every model is: all that are not known to be of runs or of tests."""
    return {name: value for name, value in flags.items() if name not in OF_RUNS | OF_TESTS}


def of_tests(flags: Mapping[str, object]) -> dict[str, object]:
    """Return the flags that are part of what tests are."""
    return {name: value for name, value in flags.items() if name in OF_TESTS}
