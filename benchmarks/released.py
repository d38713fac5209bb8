"""Released code, in a process of its own: composing and verifying, and the bytes of a hundred kept releases."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
from msgspec.structs import replace

from airflow_dbt_promotion.core.composing import compose
from airflow_dbt_promotion.core.composition import Composition, verify
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, ReleaseId
from airflow_dbt_promotion.core.kept import Provenance
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import Entry, EntryOrigin
from airflow_dbt_promotion.core.stays import entry_of
from airflow_dbt_promotion.dbt.artifacts import read_definition
from airflow_dbt_promotion.dbt.composing import composed
from airflow_dbt_promotion.dbt.source_tree import sources_of
from airflow_dbt_promotion.stores import open_releases
from benchmarks.measure import medians
from benchmarks.remembered import NOON

_OLD, _NEW = ReleaseId("a" * 32), ReleaseId("b" * 32)
_PRODUCTION = EnvironmentName("production")
_RELEASES = 100
_EDITED = 5
_PARSE = "partial_parse.msgpack"


def _composing(before: Path, after: Path, project: Path, rounds: int) -> Mapping[str, float]:
    """Compose an environment in which some edited models were promoted and the rest stands as it was.

    Tells the CPU seconds of composing and verifying, of writing that for dbt, and of dbt's own loading of one kept
    parse.
    """
    definitions = {_OLD: read_definition(before, project), _NEW: read_definition(after, project)}
    served = _served(definitions)
    parses = {_OLD: (before / _PARSE).read_bytes(), _NEW: (after / _PARSE).read_bytes()}

    def work() -> Composition:
        found = compose(_PRODUCTION, served, definitions)
        verify(found, _PRODUCTION, served, definitions)
        return found

    composition = work()
    from dbt.contracts.graph.manifest import Manifest  # noqa: PLC0415 - costs two seconds
    from dbt.parser.manifest import extended_mashumuro_decoder  # noqa: PLC0415 - as late

    def load() -> object:
        found = Manifest.from_msgpack(parses[_NEW], decoder=extended_mashumuro_decoder)  # type: ignore[attr-defined]
        found.build_flat_graph()
        return found

    works = {"compose": work, "write": lambda: composed(composition, parses, {}), "load": load}
    taken = medians(works, rounds)
    return {**taken, "promoted": sum(entry.release == _NEW for entry in served.values())}


def _served(definitions: Mapping[ReleaseId, Definition]) -> dict[ModelId, Entry]:
    """Return what an environment holds: edited models on which nothing stands are new, everything else is old."""
    old, new = (replace(release_of(definition), id=id_) for id_, definition in definitions.items())
    above = {parent for model in new.models.values() for parent in model.parents}
    return {model: _entry(new if _goes(model, old, new, above) else old, model, old) for model in old.models}


def _goes(model: ModelId, old: Release, new: Release, above: set[ModelId]) -> bool:
    """Say whether a model itself was edited (not an ephemeral one that it shares), and stands alone."""
    there = new.models.get(model)
    alone = model not in above and there is not None and there.code != old.models[model].code
    return alone and all(new.models[p].version == old.models[p].version for p in new.models[model].parents)


def _entry(release: Release, model: ModelId, old: Release) -> Entry:
    since = NOON if release is old else NOON + timedelta(days=1)
    return entry_of(release, model, since, EntryOrigin.PROMOTION, "plan")


def _keeping(project: Path) -> Mapping[str, float]:
    """Keep a project, then ninety-nine small edits of it; tell bytes, and the CPU seconds of the first and the last."""
    chance = random.Random(7)  # noqa: S311 - which models are edited
    with tempfile.TemporaryDirectory() as folder:
        copy, root = Path(folder, "project"), Path(folder, "states")
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns("target", "logs", "*.duckdb"))
        models = sorted((copy / "models").rglob("*.sql"))
        store, about = open_releases(str(root), Path(folder)), Provenance(kept_at=NOON)
        told: dict[str, float] = {}
        for index in range(_RELEASES):
            for path in chance.sample(models, _EDITED if index else 0):
                path.write_text(f"{path.read_text(encoding='utf-8')}\n-- edit {index}\n", encoding="utf-8")
            start = time.process_time()
            store.keep(sources_of(copy), about)
            told["last"] = time.process_time() - start
            if not index:
                told |= {"first": told["last"], "one": _bytes(root)}
        return {**told, "hundred": _bytes(root)}


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(arguments: Sequence[str]) -> None:
    """Do what is asked, and print the answer as JSON."""
    match arguments:
        case ["composing", before, after, project, rounds]:
            found = _composing(Path(before), Path(after), Path(project), int(rounds))
        case ["keeping", project]:
            found = _keeping(Path(project))
        case _:
            raise SystemExit(f"no such work: {' '.join(arguments)}")
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
