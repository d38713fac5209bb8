"""What a run has to be to count as evidence of an environment: what it was told, and where it ran.

A run counts where this is known, not where no rule forbids it. An unknown argument, a var that differs from the
environment's and another connection each refuse the run, by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.identity import digest_of
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.core.vars import ALL_VARS

# fmt: off
HARMLESS = frozenset(
    {
        # where dbt reads and writes
        "project_dir", "profiles_dir", "profile", "target", "target_path", "log_path", "state", "defer_state",
        "partial_parse_file_path", "packages_install_path",
        # output, logs, telemetry
        "debug", "quiet", "print", "printer_width", "use_colors", "use_colors_file", "log_format", "log_format_file",
        "log_level", "log_level_file", "log_file_max_bytes", "log_cache_events", "send_anonymous_usage_stats",
        "record_timing_info", "macro_debugging", "write_json", "invocation_command", "show_all_deprecations",
        "show_resource_report", "hints_enabled", "upload_to_artifacts_ingest_api", "snowflake_projects_otel",
        # what is executed, which the results tell
        "which", "command", "select", "models", "exclude", "selector", "selectors", "resource_type", "resource_types",
        "exclude_resource_types", "indirect_selection", "include_saved_query", "export_saved_queries",
        # how it is executed
        "threads", "single_threaded", "full_refresh", "fail_fast", "store_failures", "warn_error",
        "warn_error_options", "use_fast_test_edges", "show", "cache_selected_only", "populate_cache", "introspect",
        # parsing and checks that change no node
        "partial_parse", "partial_parse_file_diff", "static_parser", "use_experimental_parser", "version_check",
        "strict_mode", "v2_parser", "sqlparse", "maximum_seed_size_mib",
        # windows of microbatch models, see `core/whole_builds.py`
        "event_time_start", "event_time_end",
        # compared by value, see `differing_vars`
        "vars",
    }
)
"""Arguments that change neither what is built nor of what, whatever their value."""

OF_PROJECT = frozenset(
    {
        # behaviour flags of dbt 1.10 to 1.12
        "allow_jinja_file_extensions", "enable_grouped_warn_error_parser_logs",
        "latest_version_pointer_enabled_by_default", "require_all_warnings_handled_by_warn_error",
        "require_batched_execution_for_custom_microbatch_strategy", "require_corrected_analysis_fqns",
        "require_explicit_package_overrides_for_builtin_materializations", "require_generic_test_arguments_property",
        "require_nested_cumulative_type_params", "require_ref_searches_node_package_before_root",
        "require_resource_names_without_spaces", "require_source_and_semantic_model_names_without_spaces",
        "require_sql_header_in_test_configs", "require_unique_project_resource_names",
        "require_valid_schema_from_generate_schema_name", "require_yaml_configuration_for_mf_time_spines",
        "skip_nodes_if_on_run_start_fails", "source_freshness_run_project_hooks",
        "state_modified_compare_more_unrendered_values", "state_modified_compare_vars", "support_custom_ref_kwargs",
        "use_catalogs_v2", "validate_macro_args",
    }
)
"""Flags that dbt takes from dbt_project.yml alone, so that they are the project's own and no choice of a run."""
# fmt: on

NARROWING = {
    "empty": "the models were built without rows",
    "sample": "the models were built from a sample of the rows",
    "defer": "parents were read from another environment",
    "favor_state": "parents were read from another environment",
}
"""Arguments that take rows or parents away, with what became of the models."""


class Connection(Enum):
    """Whether a run went to the warehouse that an environment connects to. UNKNOWN: it could not be told."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


class RunPlace(Struct, frozen=True, kw_only=True):
    """Where an environment builds what a run built, as far as that could be told.

    `adapter` and `relations` (by the unique id of a node) are those of a parse for the environment, None where it
    could not be parsed; of a node whose code has changed since the run there is no relation. `why` says what was in
    the way.
    """

    connection: Connection
    adapter: str | None = None
    relations: Mapping[str, str] | None = None
    why: str = ""


class VarDifference(Struct, frozen=True, kw_only=True):
    """A var that a run had otherwise than the environment has it; each None where it was not given."""

    name: str
    run: str | None
    environment: str | None


def narrowed(run: Run) -> tuple[tuple[str, str], ...]:
    """Return the arguments that took rows or parents away from a run, each with what became of the models.

    What a window of event time leaves out is told of each model, see `core/whole_builds.py`.
    """
    return tuple((name, why) for name, why in NARROWING.items() if not _is_off(run.arguments.get(name)))


def unknown_arguments(
    run: Run, flags: Mapping[str, object], defaults: Mapping[str, object], accepted: Collection[str]
) -> tuple[tuple[str, object], ...]:
    """Return the arguments of a run of which it is not known that they change nothing, with their values.

    Args:
        run: The run, with all of its arguments.
        flags: The flags of the project, as written: what they change is part of the versions.
        defaults: What the dbt that ran declares as the defaults of its arguments and flags, as far as that is known.
        accepted: Names that the configuration takes, whatever their value.
    """
    return tuple(
        (name, value)
        for name, value in sorted(run.arguments.items())
        if name not in HARMLESS | OF_PROJECT | NARROWING.keys()
        and name not in accepted
        and not _is_off(value)
        and not (name in defaults and _same(defaults[name], value))
        and not (name in flags and _same(flags[name], value))
    )


def differing_vars(run: Run, release: Release, environment: Environment) -> tuple[VarDifference, ...]:
    """Return the vars that something of the project can read, and that a run had otherwise than the environment.

    One that only one of the two gives is the same where it is what the project declares. Those that the environment
    names as differing from run to run do not count.
    """
    given, wanted, found = run.vars, environment.vars, []
    for name in sorted(given.keys() | wanted.keys()):
        if name in environment.run_vars or not _is_read(name, release):
            continue
        declared = release.declared_vars.get(name)
        one = digest_of(given[name]) if name in given else declared
        other = digest_of(wanted[name]) if name in wanted else declared
        if one is None or other is None or one != other:
            found.append(VarDifference(name=name, run=_told(name, given), environment=_told(name, wanted)))
    return tuple(found)


def kept_vars(run: Run, environment: Environment) -> dict[str, str]:
    """Return the vars of a run that may differ from run to run, each as JSON."""
    kept = {name: value for name, value in run.vars.items() if name in environment.run_vars}
    return {name: msgspec.json.encode(value, order="sorted").decode() for name, value in sorted(kept.items())}


def moved_relation(run: Run, release: Release, place: RunPlace) -> tuple[str, str, str] | None:
    """Return the first node that a run has elsewhere than the environment: its id, the run's relation, the other."""
    if place.relations is None:
        return None
    named = {str(id_): model.relation for id_, model in release.models.items() if model.relation}
    named |= {result.id: result.relation for result in run.results if result.relation and result.id in named}
    named |= release.source_relations
    for id_, relation in sorted(named.items()):
        other = place.relations.get(id_)
        if other is not None and other != relation:
            return id_, relation, other
    return None


def _is_read(name: str, release: Release) -> bool:
    """Say whether something of the project can read a var."""
    return name in release.vars_read or ALL_VARS in release.vars_read


def _is_off(value: object) -> bool:
    """Say whether an argument was not given, or switches nothing on."""
    return value is None or value is False or value in ("", (), [], {})


def _same(one: object, other: object) -> bool:
    """Say whether two values are the same as JSON."""
    return digest_of(one) == digest_of(other)


def _told(name: str, values: Mapping[str, object]) -> str | None:
    """Return a value as it is shown."""
    return repr(values[name]) if name in values else None
