"""The life of a version on whatever dbt is installed: these tests run on dbt 1.10, 1.11 and 1.12.

`PROMOTION_WRITE_GOLDEN=1` writes versions.json anew, and with dbt 1.12 the manifest that the other releases read.
"""

from __future__ import annotations

import gzip
import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.definition import Origin
from airflow_dbt_promotion.core.format_one import release_of_format_one
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts, read_definition
from airflow_dbt_promotion.engine import PromotionRequest, RollbackRequest, RunOrder, RunOutcome
from tests.any_dbt.project import FILES, Shop

pytestmark = pytest.mark.dbt

HERE = Path(__file__).parent
GOLDEN, ARTIFACT = HERE / "versions.json", HERE / "manifest_1.12.json.gz"
DBT = version("dbt-core")
STAGING, PRODUCTION = EnvironmentName("staging"), EnvironmentName("production")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    return Shop(folder)


def digests(release: Release) -> dict[str, list[str]]:
    return {id_: [model.version, model.code, model.tests, model.meta] for id_, model in sorted(release.models.items())}


def golden() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(GOLDEN.read_text())
    return found


def read(shop: Shop, target: str) -> Release:
    return DbtArtifacts(shop.folder).release(shop.folder / target)


def test_versions_are_the_same_on_every_dbt_target_parse_place_and_line_ending(shop: Shop, tmp_path: Path) -> None:
    shop.dbt("parse", "--target", "staging", "--target-path", "first")
    if os.environ.get("PROMOTION_WRITE_GOLDEN"):
        _write_golden(shop)
    full = read(shop, "first")
    assert (full.origin, digests(full)) == (Origin.PARSE, golden())
    shop.write("models/more.sql", "select 1 as id")
    shop.dbt("parse", "--target", "staging", "--target-path", "first")
    (shop.folder / "models/more.sql").unlink()
    shop.dbt("parse", "--target", "staging", "--target-path", "first")
    shop.dbt("parse", "--target", "production", "--target-path", "second")
    assert digests(read(shop, "first")) == digests(read(shop, "second")) == golden()
    (shop.folder / "second/partial_parse.msgpack").unlink()
    on_disk = read(shop, "second")
    assert (on_disk.origin, digests(on_disk)) == (Origin.SOURCES, golden())
    windows = Shop(tmp_path / "elsewhere")
    for path, text in FILES.items():
        windows.write(path, text.replace("\n", "\r\n"))
    windows.dbt("parse", "--target", "production")
    assert digests(read(windows, "target")) == golden()


def test_versions_of_format_1_come_out_as_an_earlier_release_wrote_them(shop: Shop) -> None:
    before = json.loads((HERE / "versions_of_format_1.json").read_text())
    shop.dbt("parse", "--target", "staging")
    found = release_of_format_one(read_definition(shop.folder / "target", shop.folder))
    assert digests(found) == before
    for path, text in FILES.items():
        shop.write(path, text.replace("\n", "\r\n") if path.endswith(".csv") else text)
    shop.dbt("parse", "--target", "production")
    windows = digests(release_of_format_one(read_definition(shop.folder / "target", shop.folder)))
    assert {id_ for id_ in before if before[id_] != windows[id_]} >= {"seed.shop.lands"}, "line endings counted"


def test_a_manifest_of_dbt_1_12_says_the_same_versions(shop: Shop) -> None:
    (shop.folder / "target").mkdir()
    (shop.folder / "target/manifest.json").write_bytes(gzip.decompress(ARTIFACT.read_bytes()))
    found = read(shop, "target")
    assert (found.origin, digests(found)) == (Origin.SOURCES, golden())


def test_a_project_whose_checkout_is_deleted_is_promoted_run_and_rolled_back(shop: Shop) -> None:
    shop.stage()
    state = shop.engine.store.read(STAGING)
    assert state is not None
    assert state.release is not None, "the sources were kept"
    assert {id_: entry.version for id_, entry in state.current.items()} == {
        id_: one[0] for id_, one in golden().items()
    }
    shop.delete_code()

    first = shop.engine.promote(PromotionRequest(target="production"))
    assert first.outcome is PromotionOutcome.PROMOTED, first
    assert shop.rows("select amount from production.events") == [(42,)]
    assert shop.rows("select distinct name from production.stg_lands") == [("***",)]
    assert shop.engine.run(RunOrder(environment="production")).outcome is RunOutcome.PASSED

    for path, text in FILES.items():
        shop.write(path, text)
    shop.write("models/all_lands.sql", "select count(*) + 1 as n\nfrom {{ ref('stg_lands') }}\n")
    shop.stage()
    shop.delete_code()
    assert shop.engine.promote(PromotionRequest(target="production")).outcome is PromotionOutcome.PROMOTED
    assert shop.rows("select n from production.all_lands") == [(3,)]
    back = shop.engine.roll_back(RollbackRequest(environment="production", actor="ann", reason="wrong"))
    assert back.outcome is PromotionOutcome.PROMOTED, back
    assert shop.rows("select n from production.all_lands") == [(2,)]


def test_a_file_that_changed_in_white_space_alone_is_another_and_one_that_did_not_is_kept(shop: Shop) -> None:
    shop.write("models/told.sql", "select 'a b' as text")
    shop.stage()
    assert shop.engine.store.read(STAGING).release is not None  # type: ignore[union-attr]
    before = digests(read(shop, "target"))
    shop.write("models/told.sql", "select 'a  b' as text")
    shop.dbt("parse", "--target", "staging", "--no-partial-parse", "--target-path", "full")
    after = digests(read(shop, "full"))
    assert {id_ for id_ in after if after[id_] != before[id_]} == {"model.shop.told"}


def _write_golden(shop: Shop) -> None:
    """Write the versions of the project, and with dbt 1.12 its manifest without what is dbt's own."""
    GOLDEN.write_text(json.dumps(digests(read(shop, "first")), indent=1) + "\n")
    if DBT.startswith("1.12"):
        found = json.loads((shop.folder / "first/manifest.json").read_bytes())
        kept = ("metadata", "nodes", "sources", "exposures", "unit_tests", "docs")
        document = {name: found[name] for name in kept}
        document["macros"] = {id_: one for id_, one in found["macros"].items() if one["package_name"] == "shop"}
        document["metadata"] |= {"user_id": None, "env": {}}
        for node in document["nodes"].values():
            node.pop("root_path", None)
        ARTIFACT.write_bytes(gzip.compress(json.dumps(document, sort_keys=True).encode(), mtime=0))
