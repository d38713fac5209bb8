"""What this package does, in a process of its own: `python -m benchmarks.ours once|...` prints a line of JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from airflow_dbt_promotion.core.adoption import adopt
from airflow_dbt_promotion.core.change import ChangeKind, difference
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts, read_definition
from airflow_dbt_promotion.dbt.manifest import FILE, manifest_of, read_manifest_bytes
from airflow_dbt_promotion.stores import open_store
from benchmarks.measure import medians, peak
from benchmarks.remembered import NOON, Remembered, plan_for

Answer = Mapping[str, float]
Kinds = Mapping[str, list[str]]


def _once(what: str, target: Path, project: Path) -> Answer:
    """Do one piece of work in a process that did nothing yet, as most processes that read a manifest do it.

    Tells its CPU seconds, and the most memory that it took beyond what the interpreter and our modules had before.
    """
    path, artifacts = target / FILE, DbtArtifacts(project)
    works: dict[str, Callable[[], object]] = {
        "read": path.read_bytes,
        "load": lambda: manifest_of(path, read_manifest_bytes(target)),
        "json": lambda: json.loads(path.read_bytes()),
        "definition": lambda: read_definition(target, project),
        "release": lambda: artifacts.release(target),
        "unchanged": lambda: artifacts.release(target),
    }
    if what == "unchanged":
        artifacts.release(target)
    before, start = peak(), time.process_time()
    held = works[what]()
    seconds = time.process_time() - start
    return {"seconds": seconds, "peak": peak() - before, "file": path.stat().st_size, "held": float(held is not None)}


def _changes(before: Path, after: Path, project: Path) -> Kinds:
    """Load two releases; return what differs between them, and what only stands on something that does."""
    target, source = (_baseline(DbtArtifacts(project).release(folder)) for folder in (before, after))
    return _kinds(source, target)


def _changes_from_document(folder: Path, after: Path, project: Path) -> Kinds:
    """Do the same where an environment's document tells what was before, as it does in every promotion."""
    target = open_store("target/promotion_states", folder).read(EnvironmentName("production"))
    if target is None:
        raise SystemExit(f"no document in {folder}")
    return _kinds(_baseline(DbtArtifacts(project).release(after)), target)


def _kinds(source: EnvironmentState, target: EnvironmentState) -> Kinds:
    """Return the models that differ, by the kind of their change."""
    kinds: dict[str, list[str]] = {ChangeKind.MODIFIED.value: [], ChangeKind.INDIRECT.value: []}
    for change in difference(source, target, None).values():
        if change.kind is not ChangeKind.UNCHANGED:
            kinds.setdefault(change.kind.value, []).append(change.model)
    return kinds


def _baseline(release: Release) -> EnvironmentState:
    """Return an environment that holds a release."""
    fresh = EnvironmentState(project=release.project, environment=EnvironmentName("any"), lineage="benchmark")
    return adopt(fresh, release, NOON, "benchmark").state


def _changed(before: Path, after: Path, project: Path, rounds: int) -> Answer:
    """Tell what that costs in a process that has nothing but our modules."""
    return medians({"changed": lambda: _changes(before, after, project)}, rounds)


def _plan(before: Path, after: Path, project: Path, rounds: int) -> Answer:
    """Tell what loading two releases costs, and a plan with every gate over them: of what changed, of all as new."""

    def two() -> tuple[Release, Release]:
        return DbtArtifacts(project).release(before), DbtArtifacts(project).release(after)

    remembered = Remembered.of(*two())
    document, changed, new, nothing = remembered.encoded(), remembered.changed, remembered.new, remembered.nothing
    works: dict[str, Callable[[], object]] = {
        "two": two,
        "changed": lambda: plan_for(changed),
        "new": lambda: plan_for(new),
        "nothing": lambda: plan_for(nothing, expected=False),
        "encode": remembered.encoded,
        "decode": lambda: remembered.decoded(document),
    }
    sizes = {"changes": len(plan_for(changed).changes), "bytes": len(document)}
    return {**medians(works, rounds), **sizes}


def _states(before: Path, after: Path, project: Path, folder: Path) -> Answer:
    """Write the documents of two environments where the command line looks for them in a project folder."""
    remembered = Remembered.of(DbtArtifacts(project).release(before), DbtArtifacts(project).release(after))
    store = open_store("target/promotion_states", folder)
    for state in (remembered.staging, remembered.production):
        if store.read(state.environment) is None:
            store.write(state, None)
    return {"models": len(remembered.staging.current)}


def main(arguments: Sequence[str]) -> None:
    """Do what is asked, and print the answer as JSON."""
    found: object
    match arguments:
        case ["once", what, target, project]:
            found = _once(what, Path(target), Path(project))
        case ["changes", before, after, project]:
            found = _changes(Path(before), Path(after), Path(project))
        case ["changes-from-document", folder, after, project]:
            found = _changes_from_document(Path(folder), Path(after), Path(project))
        case ["changed", before, after, project, rounds]:
            found = _changed(Path(before), Path(after), Path(project), int(rounds))
        case ["plan", before, after, project, rounds]:
            found = _plan(Path(before), Path(after), Path(project), int(rounds))
        case ["states", before, after, project, folder]:
            found = _states(Path(before), Path(after), Path(project), Path(folder))
        case _:
            raise SystemExit(f"no such work: {' '.join(arguments)}")
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
