"""Versions of a real project in which everything asks for its target: the same for every target, parsed, built or run.

Config as written is tests/dbt/test_written.py's; here it is the code that asks: branches, `execute`, dispatch, vars,
names of macros that are put together, hooks, materializations.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec import json

from airflow_dbt_promotion.core.definition import Origin
from airflow_dbt_promotion.core.identity import MANIFEST_ONLY
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from tests.dbt.projects import FILES, TARGETS, write_project

ASKING: dict[str, str] = {
    "macros/asking.sql": "{% macro in_prod() %}'prod'{% endmacro %}\n{% macro elsewhere() %}'elsewhere'{% endmacro %}\n"
    "{% macro late() %}{{ later() }}{% endmacro %}\n{% macro later() %}1{% endmacro %}\n"
    "{% macro kind_of_table() %}{{ return('ledger' if target.name == 'prod' else 'view') }}{% endmacro %}\n"
    "{% macro named() %}{{ return(adapter.dispatch('named', 'shop')()) }}{% endmacro %}\n"
    "{% macro default__named() %}{{ context['in_' ~ 'prod']() }}{% endmacro %}\n"
    "{% macro duckdb__named() %}{{ in_prod() if target.name == 'prod' else elsewhere() }}{% endmacro %}",
    "models/asking/branches.sql": "select {% if target.name == 'prod' %}{{ in_prod() }}{% else %}{{ elsewhere() }}"
    "{% endif %} as place, {{ named() }} as name",
    "models/asking/executing.sql": "select {% if execute %}{{ late() }}{% else %}0{% endif %} as id",
    "models/asking/put_together.sql": "select {{ context['in_prod' if target.name == 'prod' else 'late']() }} as id",
    "models/asking/materialized.sql": "{{ config(materialized=kind_of_table(), schema=target.name, "
    'post_hook="select {{ late() }}") }}\nselect 1 as id',
    "models/asking/by_var.sql": "{{ config(materialized=var('kind', 'view')) }}\nselect '{{ var('currency') }}' as id",
    "models/asking/asking.yml": """
        models:
          - name: branches
            config: {tags: ["{{ target.name }}"], grants: {}}
            data_tests:
              - unique: {arguments: {column_name: place}, config: {enabled: "{{ target.name != 'nowhere' }}"}}
    """,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project."""
    return write_project(tmp_path_factory.mktemp("asking"), {**FILES, **ASKING})


def run(shop: Path, command: DbtCommand, target: str, folder: str, **vars_: object) -> Path:
    """Run dbt in this process and return the target folder."""
    project = DbtProject(project_dir=shop, target_path=shop / folder, profiles_dir=shop)
    InProcessRunner().invoke(project, DbtInvocation(command=command, target=target, vars=vars_))
    return project.target_path


@pytest.fixture(scope="module")
def parsed(shop: Path) -> Mapping[str, Release]:
    """Return the release of each target."""
    return {target: release(shop, run(shop, DbtCommand.PARSE, target, f"parsed_{target}")) for target in TARGETS}


def release(shop: Path | None, folder: Path) -> Release:
    """Return the release in a target folder."""
    return DbtArtifacts(shop).release(folder)


def digests(found: Release) -> dict[str, tuple[str, str, str]]:
    """Return what must be the same everywhere, by model."""
    return {id_: (model.version, model.code, model.tests) for id_, model in found.models.items()}


def macros_called(folder: Path, model: str) -> set[str]:
    """Return what dbt says that a model calls."""
    nodes = json.decode((folder / "manifest.json").read_bytes())["nodes"]
    return set(nodes[model]["depends_on"]["macros"])


def test_three_targets_make_the_same_versions(parsed: Mapping[str, Release], shop: Path) -> None:
    first, *others = parsed.values()
    assert len(first.models) == 14
    assert {found.origin for found in parsed.values()} == {Origin.PARSE}
    for other in others:
        assert digests(other) == digests(first)
    dbts = {frozenset(macros_called(shop / f"parsed_{target}", "model.shop.branches")) for target in TARGETS}
    assert len(dbts) > 1, "the project no longer tells targets apart, so this test proves nothing"


@pytest.mark.parametrize("target", TARGETS)
def test_a_build_makes_the_versions_of_a_parse(parsed: Mapping[str, Release], shop: Path, target: str) -> None:
    folder = run(shop, DbtCommand.BUILD, target, f"built_{target}")
    assert (folder / "run_results.json").is_file()
    built = release(shop, folder)
    assert built.origin is Origin.PARSE
    assert digests(built) == digests(parsed["dev"])
    before, after = (macros_called(path, "model.shop.executing") for path in (shop / f"parsed_{target}", folder))
    assert before < after, "dbt now lists the same macros for both, so this test proves nothing"


def test_vars_of_an_environment_are_no_part_of_a_version(parsed: Mapping[str, Release], shop: Path) -> None:
    folder = run(shop, DbtCommand.PARSE, "prod", "with_vars", kind="ledger", currency="USD", cutoff="2030-01-01")
    assert digests(release(shop, folder)) == digests(parsed["prod"])


def test_a_full_parse_and_sources_on_disk_make_the_same_versions(
    parsed: Mapping[str, Release], shop: Path, tmp_path: Path
) -> None:
    again = run(shop, DbtCommand.PARSE, "staging", "again")
    for target in TARGETS:
        (tmp_path / target).mkdir()
        shutil.copy(shop / f"parsed_{target}" / "manifest.json", tmp_path / target)
        on_disk = release(shop, tmp_path / target)
        assert on_disk.origin is Origin.SOURCES
        assert digests(on_disk) == digests(release(shop, again)) == digests(parsed[target])


def test_where_only_the_manifest_is_at_hand_every_version_says_so(
    shop: Path, parsed: Mapping[str, Release], tmp_path: Path
) -> None:
    shutil.copy(shop / "parsed_dev" / "manifest.json", tmp_path)
    alone = release(None, tmp_path)
    assert alone.origin is Origin.MANIFEST
    assert alone.models.keys() == parsed["dev"].models.keys()
    assert all(model.version.startswith(MANIFEST_ONLY) for model in alone.models.values())


def test_an_edited_macro_that_only_another_target_calls_is_seen_in_every_target(
    parsed: Mapping[str, Release], tmp_path: Path
) -> None:
    edited = write_project(
        tmp_path / "edited",
        {**FILES, **ASKING, "macros/asking.sql": ASKING["macros/asking.sql"].replace("'prod'{%", "'PROD'{%")},
    )
    users = {f"model.shop.{name}" for name in ("branches", "put_together")}
    for target in ("dev", "prod"):
        after = release(edited, run(edited, DbtCommand.PARSE, target, f"parsed_{target}"))
        before = parsed[target]
        assert {id_ for id_, model in after.models.items() if model.code != before.models[id_].code} == users


def test_a_model_that_refs_by_target_is_another_model_for_another_target(tmp_path: Path) -> None:
    asking = "select * from {% if target.name == 'prod' %}{{ ref('plain') }}{% else %}{{ ref('branches') }}{% endif %}"
    project = write_project(tmp_path / "refs", {**FILES, **ASKING, "models/asking/refs.sql": asking})
    found = [release(project, run(project, DbtCommand.PARSE, target, target)) for target in ("dev", "prod")]
    (dev, prod) = (one.models for one in found)
    differing = {id_ for id_ in dev if dev[id_].version != prod[id_].version}
    assert differing == {"model.shop.refs"}
    assert {id_ for id_ in dev if dev[id_].code != prod[id_].code} == set()
