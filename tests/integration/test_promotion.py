"""The main job on real warehouses: a version earns its way from staging to production."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.errors import UnknownModelError
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.dbt.marks import TABLE
from airflow_dbt_promotion.engine import Promotion, PromotionRequest
from tests.integration.warehouse import BOTH, Mill, a_warehouse

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

DAY = timedelta(days=1)
MODELS = {"sacks", "stg_sacks", "weights", "lonely"}


@pytest.fixture(params=BOTH)
def mill(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mill]:
    project = tmp_path / "mill"
    project.mkdir()
    with a_warehouse(request.param, tmp_path) as warehouse:
        yield Mill(project, warehouse)


def promote(mill: Mill, *models: str, **more: object) -> Promotion:
    return mill.engine.promote(
        PromotionRequest(target="production", models=models or None, actor="tests", **more)  # type: ignore[arg-type] - any field
    )


def codes(promotion: Promotion) -> set[str]:
    return {verdict.code for _, verdict in promotion.plan.refusals}


def in_production(mill: Mill) -> set[str]:
    """Return the relations of production; the marks of promotions lie beside them."""
    query = "select table_name from information_schema.tables where table_schema = 'production'"
    return {str(name) for (name,) in mill.warehouse.rows(query)} - {TABLE}


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_version_earns_its_way(mill: Mill) -> None:
    nothing_known = promote(mill)
    assert nothing_known.outcome is PromotionOutcome.REFUSED
    assert codes(nothing_known) == {"source_never_recorded"}

    assert mill.build_staging()
    before = files(mill.folder)
    dry = promote(mill, "weights", include_upstream=True, dry_run=True)
    assert dry.outcome is PromotionOutcome.REFUSED
    assert codes(dry) == {"soaking"}
    since = {status.name: status.since for status in mill.engine.status("staging")}
    assert dry.plan.eligible_at == since["weights"] + DAY
    assert files(mill.folder) == before
    assert codes(promote(mill, "weights", include_upstream=True)) == {"soaking"}
    with pytest.raises(UnknownModelError, match="wieghts"):
        promote(mill, "wieghts")
    assert files(mill.folder) == before
    assert in_production(mill) == set()

    mill.ahead = DAY
    done = promote(mill)
    assert done.outcome is PromotionOutcome.PROMOTED, done.message
    assert {told.result for told in done.models.values()} == {"advanced"}
    assert in_production(mill) == MODELS
    assert sorted(mill.warehouse.rows("select kilos, sacks from production.weights")) == [(25, 2), (50, 1)]
    assert promote(mill).outcome is PromotionOutcome.NOTHING_TO_DO

    production = {status.name: status for status in mill.engine.status("production")}
    staging = {status.name: status for status in mill.engine.status("staging")}
    assert production.keys() == MODELS
    assert all(production[name].version == staging[name].version for name in MODELS)
    assert all(status.tested for status in production.values())
    assert not any(status.pending for status in staging.values())


def test_a_change_soaks_again_and_only_it_goes(mill: Mill) -> None:
    mill.build_staging()
    mill.ahead = DAY
    promote(mill)

    mill.ahead = timedelta(0)
    mill.edit("models/weights.sql", "count(*)", "count(*) * 10")
    assert mill.build_staging()
    assert codes(promote(mill, "weights")) == {"soaking"}
    assert promote(mill).outcome is PromotionOutcome.NOTHING_TO_DO

    mill.ahead = DAY
    done = promote(mill)
    assert done.outcome is PromotionOutcome.PROMOTED
    assert [(change.name, change.kind.value) for change in done.plan.changes] == [("weights", "modified")]
    assert sorted(mill.warehouse.rows("select kilos, sacks from production.weights")) == [(25, 20), (50, 10)]


def test_what_soaked_goes_however_far_the_checkout_has_moved(mill: Mill) -> None:
    mill.build_staging()
    mill.ahead = DAY
    mill.edit("models/lonely.sql", "1 as id", "2 as id")
    (mill.folder / "models" / "weights.sql").unlink()
    assert promote(mill).outcome is PromotionOutcome.PROMOTED
    assert in_production(mill) == MODELS
    assert mill.warehouse.rows("select id from production.lonely") == [(1,)]


def test_a_failing_test_in_staging_revokes_and_a_later_pass_restores(mill: Mill) -> None:
    mill.build_staging()
    mill.write("seeds/sacks.csv", "sack_id,kilos\n1,25\n1,50\n")
    assert not mill.build_staging()
    mill.ahead = DAY
    assert "revoked" in codes(promote(mill, "stg_sacks", include_upstream=True))

    mill.write("seeds/sacks.csv", "sack_id,kilos\n1,25\n2,50\n")
    mill.ahead = timedelta(0)
    assert mill.build_staging()
    mill.ahead = DAY
    assert promote(mill).outcome is PromotionOutcome.PROMOTED


def test_what_fails_in_production_does_not_advance(mill: Mill) -> None:
    mill.build_staging()
    mill.ahead = DAY
    promote(mill)
    held = {status.name: status.version for status in mill.engine.status("production")}

    twice = "{% if target.name == 'production' %} union all select 25, 1 {% endif %}"
    mill.edit("models/weights.sql", "group by kilos", f"group by kilos {twice}")
    mill.edit("models/lonely.sql", "1 as id", "3 as id")
    assert mill.build_staging()
    mill.ahead = 2 * DAY
    failed = promote(mill)
    assert failed.outcome is PromotionOutcome.FAILED
    assert {model.rsplit(".", 1)[-1]: told.result for model, told in failed.models.items()} == {
        "weights": "failed",
        "lonely": "skipped",
    }
    assert {status.name: status.version for status in mill.engine.status("production")} == held
    assert mill.warehouse.rows("select id from production.lonely") == [(1,)]
    state = mill.engine.observer.state("production")
    assert state is not None
    assert state.unfinalized is None

    failed = mill.engine.promote(PromotionRequest(target="production", strategy=Strategy.BUILD))
    assert {model.rsplit(".", 1)[-1]: told.result for model, told in failed.models.items()} == {
        "weights": "failed",
        "lonely": "advanced",
    }
    now = {status.name: status.version for status in mill.engine.status("production")}
    assert now["weights"] == held["weights"]
    assert now["lonely"] != held["lonely"]
    state = mill.engine.observer.state("production")
    assert state is not None
    assert state.unfinalized is not None
    assert [record.outcome for record in state.history] == [
        PromotionOutcome.FAILED,
        PromotionOutcome.FAILED,
        PromotionOutcome.PROMOTED,
    ]


def test_a_table_that_writes_names_into_its_rows_is_published_in_place_alone(mill: Mill) -> None:
    mill.write("models/named.sql", "select '{{ ref('stg_sacks') }}' as source, sack_id from {{ ref('stg_sacks') }}")
    assert mill.build_staging()
    mill.ahead = DAY
    failed = promote(mill)
    assert failed.outcome is PromotionOutcome.FAILED
    assert "model.mill.named writes the name stg_sacks__next_" in failed.message
    assert promote(mill, strategy=Strategy.BUILD).outcome is PromotionOutcome.PROMOTED
    ((source,),) = mill.warehouse.rows("select distinct source from production.named")
    assert "__next_" not in str(source)
