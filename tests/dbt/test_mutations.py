"""The mutation suite of versions: each edit moves what docs/versions.md says, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from airflow_dbt_promotion.core.definition import Origin
from airflow_dbt_promotion.core.release import Model, Release
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts
from tests.dbt.mutations import code, parts, settings
from tests.dbt.mutations.islands import Edit, write

EDITS = {f"i{at}": edit for at, edit in enumerate((*code.EDITS, *settings.EDITS, *parts.EDITS))}
BY_NAME = {edit.what: island for island, edit in EDITS.items()}

ISLANDS = {island: edit for island, edit in EDITS.items() if not edit.wide}
WIDE = [island for island, edit in EDITS.items() if edit.wide]


class Parsed(NamedTuple):
    """What we say of a project before and after edits, and which models are modified or below that for dbt."""

    before: Release
    after: Release
    dbt: frozenset[str]


def parsed(root: Path, edits: Mapping[str, Edit], name: str = "shop") -> Parsed:
    """Parse the islands of some edits before and after them."""
    releases = []
    for after in (False, True):
        folder = root / ("after" if after else "before")
        write(folder, edits, after=after, name=name)
        invoke(folder, "parse", "--no-partial-parse", "--target-path", str(folder / "target"))
        releases.append(DbtArtifacts(folder).release(folder / "target"))
        assert releases[-1].origin is Origin.PARSE
    kinds = [argument for kind in ("model", "seed", "snapshot") for argument in ("--resource-type", kind)]
    said = invoke(root / "after", "ls", "--select", "state:modified+", "--state", str(root / "before" / "target"),
                  "--target-path", str(root / "after" / "target"), "--output", "name", *kinds)  # fmt: skip
    return Parsed(releases[0], releases[1], frozenset(said))


def invoke(project: Path, *arguments: str) -> Any:
    """Run dbt in this process."""
    from dbt.cli.main import dbtRunner  # noqa: PLC0415 - costs two seconds, which collecting tests need not pay

    places = ("--project-dir", str(project), "--profiles-dir", str(project))
    result = dbtRunner().invoke(["--quiet", "--no-use-colors", *arguments, *places])
    assert result.success, result.exception
    return result.result


@pytest.fixture(scope="module", autouse=True)
def _no_statistics() -> Iterator[None]:
    """Keep dbt from speaking to anybody."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Parsed:
    """Parse every island, before and after."""
    root = tmp_path_factory.mktemp("islands")
    found = parsed(root, ISLANDS)
    shutil.rmtree(root)
    return found


def moved(world: Parsed, island: str) -> dict[str, str]:
    """Return what moved on one island."""
    before, after = (named(release, island) for release in (world.before, world.after))
    kinds = {name: kind(before.get(name), after.get(name)) for name in before | after}
    return {name: how for name, how in kinds.items() if how}


def named(release: Release, island: str) -> dict[str, Model]:
    """Return the models of an island by their names without its own."""
    start = f"{island}_"
    return {one.name.removeprefix(start): one for one in release.models.values() if one.name.startswith(start)}


def kind(before: Model | None, after: Model | None) -> str:
    """Return how a model moved."""
    if before is None or after is None:
        return "added" if before is None else "removed"
    if before.version != after.version:
        return "modified" if before.code != after.code else "indirect"
    return "+".join(what for what in ("tests", "meta") if getattr(before, what) != getattr(after, what))


def beside_dbt(world: Parsed, island: str) -> tuple[set[str], set[str]]:
    """Return the models that are another version for us alone, and those that are modified for dbt alone."""
    ours = {name for name, how in moved(world, island).items() if how in {"modified", "indirect", "added"}}
    ephemeral = {id_.split(".")[2] for id_ in world.after.ephemeral}
    dbts = {name.removeprefix(f"{island}_") for name in world.dbt - ephemeral if name.startswith(f"{island}_")}
    return ours - dbts, dbts - ours


def test_there_are_edits_of_every_kind() -> None:
    assert len(BY_NAME) == len(EDITS) >= 300


@pytest.mark.parametrize("what", [edit.what for edit in ISLANDS.values()])
def test_an_edit_moves(world: Parsed, what: str) -> None:
    island = BY_NAME[what]
    assert moved(world, island) == EDITS[island].moved


@pytest.mark.parametrize("what", [edit.what for edit in ISLANDS.values()])
def test_where_dbt_says_something_else_there_is_a_reason(world: Parsed, what: str) -> None:
    edit = EDITS[BY_NAME[what]]
    ours, dbts = beside_dbt(world, BY_NAME[what])
    assert (bool(ours), bool(dbts)) == (bool(edit.beyond), bool(edit.short)), (ours, dbts)


@pytest.mark.parametrize("island", WIDE, ids=lambda island: EDITS[island].what)
def test_a_wide_edit_moves(tmp_path: Path, island: str) -> None:
    alone = parsed(tmp_path, {island: EDITS[island]})
    assert moved(alone, island) == EDITS[island].moved
    assert bool(beside_dbt(alone, island)[0]) == bool(EDITS[island].beyond)


MACRO_EDITS = {island: edit for island, edit in ISLANDS.items() if edit in code.MACROS_EDITED or edit in parts.TESTS}


@pytest.mark.parametrize("name", ["dbt_postgres"])
def test_a_project_may_be_called_like_an_adapter(tmp_path: Path, name: str) -> None:
    called = parsed(tmp_path, MACRO_EDITS, name)
    assert {island: moved(called, island) for island in MACRO_EDITS} == {
        island: edit.moved for island, edit in MACRO_EDITS.items()
    }


@pytest.mark.thorough
@pytest.mark.parametrize("island", ISLANDS, ids=lambda island: EDITS[island].what)
def test_an_edit_that_is_alone_moves_the_same(tmp_path: Path, world: Parsed, island: str) -> None:
    assert moved(parsed(tmp_path, {island: EDITS[island]}), island) == moved(world, island)
