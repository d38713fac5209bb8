"""Artifacts that real projects of real people left, under dbt 0.19 to 1.12."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import RunRefusedError, UnsupportedSchemaError
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts
from airflow_dbt_promotion.dbt.results import read_run

_SCHEMA = re.compile(r"/v(\d+)\.json$")
_OLDEST_MANIFEST = 10
_OLDEST_RESULTS = 4


def _corpus() -> Path | None:
    """Return the folder of the corpus: PROMOTION_CORPUS, or `shared/corpus` beside the repository."""
    named = os.environ.get("PROMOTION_CORPUS")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "corpus"
    return folder if folder.is_dir() else None


def _files(kind: str) -> list[object]:
    """Return the artifacts of a kind as test parameters; one that is skipped where there is no corpus."""
    corpus = _corpus()
    if corpus is None:
        return [
            pytest.param(
                None, marks=pytest.mark.skip(reason="no corpus: set PROMOTION_CORPUS to a folder of gzipped artifacts")
            )
        ]
    return [pytest.param(path, id=str(path.relative_to(corpus))) for path in sorted(corpus.rglob(f"{kind}*.json.gz"))]


def _unpacked(path: Path, folder: Path, name: str) -> int:
    """Unpack an artifact into a folder and return the number of its schema."""
    data = gzip.decompress(path.read_bytes())
    (folder / name).write_bytes(data)
    match = _SCHEMA.search(json.loads(data)["metadata"]["dbt_schema_version"])
    assert match is not None
    return int(match[1])


@pytest.mark.parametrize("path", _files("manifest"))
def test_every_manifest_loads_and_fingerprints_or_says_what_to_do(path: Path, tmp_path: Path) -> None:
    if _unpacked(path, tmp_path, "manifest.json") < _OLDEST_MANIFEST:
        with pytest.raises(UnsupportedSchemaError, match=r"use dbt 1\.6 or newer"):
            DbtArtifacts().release(tmp_path)
        return
    release = DbtArtifacts().release(tmp_path)
    nodes = json.loads((tmp_path / "manifest.json").read_bytes())["nodes"]
    built = {
        id_
        for id_, node in nodes.items()
        if id_.split(".")[0] in {"model", "seed", "snapshot"} and node["config"]["materialized"] != "ephemeral"
    }
    assert built <= set(release.models)
    assert all(model.version.startswith("m:") for model in release.models.values())


@pytest.mark.parametrize("path", _files("run_results"))
def test_every_run_is_read_or_refused_for_its_command(path: Path, tmp_path: Path) -> None:
    if _unpacked(path, tmp_path, "run_results.json") < _OLDEST_RESULTS:
        with pytest.raises(UnsupportedSchemaError):
            read_run(tmp_path)
        return
    document = json.loads((tmp_path / "run_results.json").read_bytes())
    if document["args"]["which"] == "generate":
        with pytest.raises(RunRefusedError, match="dbt generate"):
            read_run(tmp_path)
        document["args"]["which"] = "build"
        (tmp_path / "run_results.json").write_text(json.dumps(document), encoding="utf-8")
    run = read_run(tmp_path)
    assert [entry.id for entry in run.results] == [entry["unique_id"] for entry in document["results"]]
    assert run.started_at <= run.finished_at
