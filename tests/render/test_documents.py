from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta

import jsonschema
import pytest

from airflow_dbt_promotion.core.environment import BypassKind
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion, PromotionRequest
from airflow_dbt_promotion.render import documents
from airflow_dbt_promotion.render.schemas import schema
from tests.scenarios import DAY, Shop, dashboard, model_id, release, test_id

PRODUCTION = PromotionRequest(target="production")
PROMISED = {"unique_id", "name", "change", "from_version", "to_version", "result", "verdicts"}


def soaked_shop() -> Shop:
    shop = Shop(release(exposures=(dashboard("revenue"),)))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    return shop


def promoted() -> Promotion:
    return soaked_shop().engine.promote(PRODUCTION)


def planned() -> Promotion:
    return soaked_shop().engine.promote(PromotionRequest(target="production", dry_run=True))


def nothing_to_do() -> Promotion:
    shop = soaked_shop()
    shop.engine.promote(PRODUCTION)
    return shop.engine.promote(PRODUCTION)


def refused() -> Promotion:
    shop = Shop()
    shop.run("staging")
    return shop.engine.promote(
        PromotionRequest(target="production", models=("orders",), require_tests=False, reason="why not")
    )


def never_recorded() -> Promotion:
    return Shop().engine.promote(PRODUCTION)


def failed() -> Promotion:
    shop = soaked_shop()
    shop.workshop.failing = [test_id("orders")]
    return shop.engine.promote(PRODUCTION)


CASES = {
    promoted: PromotionOutcome.PROMOTED,
    planned: PromotionOutcome.PLANNED,
    nothing_to_do: PromotionOutcome.NOTHING_TO_DO,
    refused: PromotionOutcome.REFUSED,
    never_recorded: PromotionOutcome.REFUSED,
    failed: PromotionOutcome.FAILED,
}


@pytest.mark.parametrize(("make", "outcome"), CASES.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_every_outcome_keeps_to_the_published_schema(make: Callable[[], Promotion], outcome: PromotionOutcome) -> None:
    document = documents.promotion_document(make())
    jsonschema.validate(document, schema("promotion"))
    assert document["outcome"] == outcome.value
    assert json.loads(json.dumps(document)) == document


def test_a_promoted_model_tells_its_change_versions_result_and_verdicts() -> None:
    document = documents.promotion_document(promoted())
    models = {model["name"]: model for model in document["models"]}
    assert set(models) == {"raw_orders", "stg_orders", "orders", "revenue"}
    orders = models["orders"]
    assert set(orders) == PROMISED
    assert orders["unique_id"] == model_id("orders")
    assert (orders["change"], orders["from_version"], orders["result"]) == ("added", None, "advanced")
    assert orders["to_version"] == release().models[model_id("orders")].version
    assert [verdict["gate"] for verdict in orders["verdicts"]] == ["tests", "soak", "coherence"]
    assert document["exposures"] == [
        {
            "unique_id": "exposure.shop.takings",
            "name": "Daily takings",
            "owner": "Finance",
            "email": "finance@example.com",
            "url": "https://example.com/takings",
        }
    ]


def test_a_refused_promotion_tells_bypasses_and_reasons() -> None:
    document = documents.promotion_document(refused())
    assert document["bypasses"] == [{"kind": BypassKind.SKIP_TESTS.value, "reason": "why not"}]
    (orders,) = document["models"]
    assert orders["result"] is None
    soak = next(verdict for verdict in orders["verdicts"] if verdict["gate"] == "soak")
    assert (soak["status"], soak["code"], soak["eligible_at"]) == ("waiting", "soaking", "2026-07-25T12:00:00Z")


def test_what_failed_and_what_was_skipped_after_it_are_told_apart() -> None:
    models = {model["name"]: model["result"] for model in documents.promotion_document(failed())["models"]}
    assert models == {"raw_orders": "advanced", "stg_orders": "advanced", "orders": "failed", "revenue": "skipped"}


def test_held_models_have_the_shape_of_planned_ones() -> None:
    shop = Shop()
    shop.run("staging")
    document = documents.promotion_document(shop.engine.promote(PRODUCTION))
    assert document["models"] == []
    assert {frozenset(model) for model in document["held"]} == {frozenset(PROMISED)}


def test_a_dry_run_says_so() -> None:
    assert documents.promotion_document(planned())["dry_run"] is True
    assert documents.promotion_document(promoted())["dry_run"] is False


def test_instants_are_utc_with_a_z() -> None:
    document = documents.promotion_document(promoted())
    for name in ("started_at", "finished_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", document[name])


def test_a_promotion_that_broke_has_every_field_of_one_that_did_not() -> None:
    error = documents.ErrorDocument(kind="machine", code="locked", message="somebody else promotes")
    broken = documents.failed_promotion_document(error, "production", dry_run=True)
    jsonschema.validate(broken, schema("promotion"))
    assert list(broken) == list(documents.promotion_document(promoted()))
    assert broken["outcome"] == "errored"
    assert broken["message"] == broken["error"]["message"] == "somebody else promotes"


def test_a_failure_of_any_other_command_says_errored() -> None:
    error = documents.ErrorDocument(kind="bad_input", code="unknown_model", message="no such model")
    document = documents.failure_document(error)
    jsonschema.validate(document, schema("failure"))
    assert document["outcome"] == "errored"


def test_status_tells_soak_and_last_promotion() -> None:
    shop = soaked_shop()
    shop.engine.promote(PRODUCTION)
    shop.change(release(code={"revenue": "select 2"}))
    shop.clock.pass_by(timedelta(hours=1))
    shop.run("staging")
    document = documents.status_document(shop.engine.status())
    jsonschema.validate(document, schema("status"))
    found = {(one["environment"], one["name"]): one for one in document["models"]}
    revenue = found["staging", "revenue"]
    assert (revenue["tested"], revenue["soaked"], revenue["validated"], revenue["pending"]) == (
        True,
        False,
        False,
        True,
    )
    assert revenue["eligible_at"] == "2026-07-26T13:00:00Z"
    assert found["staging", "orders"]["validated"]
    assert not found["staging", "orders"]["pending"]
    there = found["production", "orders"]
    assert there["soaked"] is None
    assert there["last_promotion"]["result"] == "advanced"
    assert [verdict["gate"] for verdict in there["verdicts"]] == ["tests"]
