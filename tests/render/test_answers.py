"""Status, validated models, recordings, history and why: as text, markdown and documents."""

from __future__ import annotations

import re
from datetime import timedelta

import jsonschema
import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import DeployedBy
from airflow_dbt_promotion.core.lock import Holder, taken
from airflow_dbt_promotion.core.parts import PartEnd
from airflow_dbt_promotion.core.recording import Recording
from airflow_dbt_promotion.core.state import EntryOrigin, Journal, Part
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.render import history, recording, standing, why
from airflow_dbt_promotion.render.schemas import schema
from airflow_dbt_promotion.render.table import Page, columns_of
from tests.scenarios import DAY, NOON, Shop, dashboard, model_id, path, release, test_id

ALL = PromotionRequest(target="production")


def places(shop: Shop) -> tuple[standing.Place, ...]:
    return tuple(
        standing.Place(
            name=one.name,
            state=shop.engine.observer.state(one.name),
            working=one.working,
            promoted=one.deployed_by is DeployedBy.PROMOTION,
        )
        for one in shop.engine.path.environments
    )


def status_text(shop: Shop, page: Page | None = None) -> str:
    return standing.text(shop.engine.status(), places(shop), shop.clock(), page or Page())


def asked(shop: Shop, name: str, target: str = "production") -> why.Why:
    plan = shop.engine.plan(PromotionRequest(target=target, models=(name,)))
    observer = shop.engine.observer
    return why.Why(asked=name, plan=plan, source=observer.state(plan.source), target=observer.state(plan.target))


# --- status -----------------------------------------------------------------------------------------------------------


def test_status_tells_of_each_environment_even_of_an_empty_one() -> None:
    written = status_text(Shop())
    assert "development\n  People work here" in written
    assert (
        "staging\n  Nothing was ever recorded. Run dbt there, then `dbt-promote record --environment staging`."
        in written
    )


def test_status_says_that_an_environment_begins_by_promotion_where_it_does() -> None:
    written = " ".join(status_text(Shop()).partition("\nproduction\n")[2].split())
    assert written.startswith(
        "Nothing was ever promoted. `dbt-promote promote --target-environment production` does; where it was built "
        "before, `dbt-promote record --environment production --baseline` adopts what stands in its warehouse."
    )


def test_status_tells_how_far_each_model_is() -> None:
    shop = Shop()
    shop.run("staging", failing=[test_id("orders")])
    shop.clock.pass_by(timedelta(hours=20))
    written = status_text(shop)
    assert re.search(r"orders +[0-9a-f]{8}  2026-07-24 12:00  revoked +clock_stopped  waits", written)
    assert re.search(r"stg_orders +[0-9a-f]{8}  2026-07-24 12:00  passed +in 4 h +waits", written)
    shop.clock.pass_by(timedelta(hours=4))
    assert re.search(r"stg_orders .* soaked +may go", status_text(shop))
    shop.engine.promote(ALL)
    written = status_text(shop)
    assert re.search(r"stg_orders .* soaked +there", written)
    assert re.search(r"stg_orders .* passed +advanced 2026-07-25 12:00 by unknown", written)


def test_status_tells_bypasses_stale_children_and_environments_that_are_not_whole() -> None:
    shop = Shop()
    shop.run("staging")
    shop.engine.promote(replace(ALL, soak=timedelta(0), reason="hotfix"))
    shop.change(release(code={"stg_orders": "select 2"}))
    shop.run("staging")
    stale = replace(ALL, models=("stg_orders",), allow_stale_downstream=True, soak=timedelta(0), reason="hotfix")
    shop.engine.promote(stale)
    written = status_text(shop)
    assert re.search(r"raw_orders .*bypassed: short_soak", written)
    assert re.search(r"orders .*stands on an older parent", written)
    assert "  Not whole since 2026-07-24 12:00 UTC: children stand on an older parent (orders)." in written


def test_status_tells_a_baseline_and_drift() -> None:
    shop = Shop()
    shop.baseline("production")
    shop.change(release(code={"revenue": "select 2"}))
    shop.run("production")
    assert re.search(r"revenue .*drifted to [0-9a-f]{8}; baseline", status_text(shop))


def test_status_tells_a_promotion_that_began_and_did_not_end() -> None:
    shop = Shop()
    state = shop.run("staging").state
    journal = Journal(plan_id="p", actor="ann", started_at=NOON, source="development", strategy="build", models={})
    place = standing.Place(name="staging", state=replace(state, journal=journal))
    (told,) = standing.notes(place)
    assert told.startswith("A promotion by ann began 2026-07-24 12:00 UTC and broke off; `dbt-promote resume --env")
    locked = taken(replace(state, journal=journal), Holder(owner="ann"), NOON)
    first, second = standing.notes(standing.Place(name="staging", state=locked))
    assert first.startswith("Locked by ann, since 2026-07-24T12:00:00Z, last sign of life")
    assert "began 2026-07-24 12:00 UTC: it goes on, or broke off;" in second
    end = PartEnd(well=True, started_at=NOON, finished_at=NOON)
    divided = replace(journal, parts={"1": Part(models=()), "2": Part(models=(), end=end)})
    (built,) = standing.notes(standing.Place(name="staging", state=replace(state, journal=divided)))
    assert "began 2026-07-24 12:00 UTC (1 of 2 parts built) and broke off;" in built


@pytest.mark.parametrize("width", [80, 140])
def test_status_fits_the_terminal(width: int) -> None:
    shop = Shop(release({"stg_salesforce__opportunity_line_items_snapshot": (), "b": ()}))
    shop.run("staging")
    shop.engine.promote(replace(ALL, soak=timedelta(0), reason="hotfix"))
    assert max(columns_of(line) for line in status_text(shop, Page(width=width)).splitlines()) <= width


def test_status_as_markdown_has_a_table_for_each_environment_that_holds_something() -> None:
    shop = Shop()
    shop.run("staging")
    written = standing.as_markdown(shop.engine.status(), places(shop), shop.clock())
    assert written.count("| model | version | since | tests | soak | next | notes |") == 1
    assert re.search(r"\| `orders` \| `[0-9a-f]{8}` \| 2026-07-24 12:00 \| passed \| in 1 day \| waits \|  \|", written)


# --- validated --------------------------------------------------------------------------------------------------------


def test_validated_as_document_and_markdown() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    found = shop.engine.validated(DAY)
    names = [shop.engine.observer.called(found)[one.model] for one in found]
    document = standing.validated_document(found, names, "staging", timedelta(hours=12), pending=True)
    jsonschema.validate(document, schema("validated"))
    assert (document["environment"], document["min_days_in_staging"], document["pending_only"]) == (
        "staging",
        0.5,
        True,
    )
    assert sorted(one["name"] for one in document["models"]) == ["orders", "raw_orders", "revenue", "stg_orders"]
    written = standing.validated_markdown(found, names, "staging")
    assert written.startswith("## Validated in staging: 4 models\n")
    assert "| `orders` |" in written
    assert standing.validated_markdown((), (), "staging") == "## Validated in staging: 0 models\n"


# --- recording --------------------------------------------------------------------------------------------------------


def test_a_recording_tells_what_entered_passed_and_failed() -> None:
    shop = Shop()
    done = shop.run("staging", failing=[test_id("orders")], without=[test_id("revenue")])
    written = recording.text(done, Page(), baseline=False)
    assert written.splitlines() == [
        "Recorded a run in staging.",
        "  4 models entered staging: orders, revenue, stg_orders, raw_orders",
        "  2 models passed all required tests: stg_orders, raw_orders",
        "  1 model without results of all required tests: revenue",
        "  1 model failed; what was earned is void: orders",
    ]
    document = recording.document(done, 7, baseline=False)
    jsonschema.validate(document, schema("recording"))
    assert (document["serial"], document["failed"], document["incomplete"]) == (
        7,
        [model_id("orders")],
        [model_id("revenue")],
    )
    assert "- 1 model failed; what was earned is void: orders\n" in recording.as_markdown(done, baseline=False)


def test_a_baseline_says_how_many_were_adopted() -> None:
    done = Shop().baseline("production")
    assert recording.text(done, Page(), baseline=True).startswith(
        "Adopted production: 4 models taken over as they are.\n"
    )
    assert recording.document(done, 1, baseline=True)["baseline"] is True


def test_a_run_that_says_nothing_says_so() -> None:
    state = Shop().run("staging").state
    empty = Recording(state=state)
    assert recording.text(empty, Page(), baseline=False) == "The run says nothing of the models of staging.\n"
    assert recording.as_markdown(empty, baseline=False) == "## The run says nothing of the models of staging.\n"


# --- history ----------------------------------------------------------------------------------------------------------


def test_history_tells_newest_first_with_reason_message_and_link() -> None:
    shop = Shop()
    shop.run("staging")
    shop.engine.promote(replace(ALL, soak=timedelta(0), reason="hotfix", actor="ann", link="https://ci.example.com/1"))
    shop.clock.pass_by(DAY)
    shop.workshop.failing = [test_id("orders")]
    shop.engine.promote(replace(ALL, models=("orders",), force=True))
    records = shop.engine.history()
    lines = history.text(records, Page()).splitlines()
    assert lines[0] == "2026-07-25 12:00 UTC  production  failed"
    assert "  failed: orders" in lines
    second = lines[lines.index("") + 1 :]
    assert second[0] == "2026-07-24 12:00 UTC  production  promoted"
    assert second[1].startswith("  by ann from staging, plan ")
    assert second[2:] == [
        "  advanced: orders, revenue, stg_orders, raw_orders",
        "  bypass, reason: hotfix",
        "  https://ci.example.com/1",
    ]
    document = history.document(records)
    jsonschema.validate(document, schema("history"))
    assert [one["outcome"] for one in document["promotions"]] == ["failed", "promoted"]
    assert document["promotions"][1]["reason"] == "hotfix"
    written = history.as_markdown(records)
    assert written.startswith("## 2 promotions on record\n")
    assert "| promoted |" in written


def test_no_history_says_so() -> None:
    assert history.text((), Page()) == "No promotion is on record.\n"
    assert history.as_markdown(()) == "## 0 promotions on record\n"
    jsonschema.validate(history.document(()), schema("history"))


# --- why --------------------------------------------------------------------------------------------------------------


def test_why_tells_every_gate_with_its_answer_and_remedy() -> None:
    shop = Shop(release(exposures=(dashboard("revenue"),)))
    shop.run("staging", failing=[test_id("orders")])
    shop.clock.pass_by(timedelta(hours=3))
    found = asked(shop, "orders")
    written = why.text(found, Page())
    assert written.startswith("orders may not go from staging to production now.\n")
    for gate in ("tests: blocked (revoked)", "soak: waiting (clock_stopped)", "coherence: blocked (needs_upstream)"):
        assert f"\n  {gate}\n" in written
    assert written.count("    => ") == 3
    assert re.search(r"in staging +[0-9a-f]{8} since 2026-07-24 12:00 UTC \(3 h\), by run run-1", written)
    assert re.search(r"last failure +2026-07-24 12:00 UTC, test test.shop.not_null_orders_id", written)
    assert re.search(r"reaches +Daily takings", written)
    document = why.document(found)
    jsonschema.validate(document, schema("why"))
    assert (document["may_go"], document["already_current"], document["change"]) == (False, False, "added")
    assert all(verdict["remedy"] for verdict in document["verdicts"])
    assert document["evidence"]["failure"].startswith("test test.shop.not_null_orders_id")
    markdown = why.as_markdown(found)
    assert markdown.startswith("## `orders`: staging to production\n")
    assert "| gate | answer | why | what would change it |" in markdown


def test_why_of_a_model_that_soaks_says_when() -> None:
    shop = Shop()
    shop.run("staging")
    found = asked(shop, "raw_orders")
    assert why.text(found, Page()).startswith(
        "raw_orders may not go from staging to production now; it could at 2026-07-25 12:00 UTC (in 1 day).\n"
    )
    assert why.document(found)["eligible_at"] == "2026-07-25T12:00:00Z"


def test_why_of_a_model_that_may_go_has_no_remedies() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    found = asked(shop, "raw_orders")
    assert why.text(found, Page()).startswith("raw_orders may go from staging to production now.\n")
    assert "=>" not in why.text(found, Page())
    document = why.document(found)
    assert document["may_go"] is True
    assert {verdict["remedy"] for verdict in document["verdicts"]} == {None}


def test_why_of_a_model_that_is_there_already_tells_what_both_hold() -> None:
    shop = Shop(environments=path(timedelta(0)))
    shop.run("staging")
    shop.engine.promote(ALL)
    found = asked(shop, "orders")
    document = why.document(found)
    jsonschema.validate(document, schema("why"))
    assert (document["already_current"], document["change"]) == (True, None)
    assert document["held_by_source"]["version"] == document["held_by_target"]["version"]
    assert document["held_by_target"]["origin"] == EntryOrigin.PROMOTION.value
    assert "orders: production holds what staging has already" in why.text(found, Page())


def test_why_where_nothing_was_recorded_tells_how_to_begin() -> None:
    found = asked(Shop(), "orders")
    document = why.document(found)
    jsonschema.validate(document, schema("why"))
    assert (document["unique_id"], document["name"], document["evidence"]) == (None, "orders", None)
    assert "source: blocked (source_never_recorded)" in why.text(found, Page())


def test_why_tells_missing_tests_and_stays_that_ended() -> None:
    shop = Shop()
    shop.run("staging")
    shop.change(release(code={"stg_orders": "select 2"}))
    later = [model_id("orders"), model_id("revenue"), test_id("orders"), test_id("revenue"), test_id("stg_orders")]
    shop.clock.pass_by(timedelta(hours=1))
    shop.run("staging", without=later)
    assert re.search(r"missing tests +test.shop.not_null_stg_orders_id", why.text(asked(shop, "stg_orders"), Page()))
    stale = why.text(asked(shop, "orders"), Page())
    assert "its stay ended 2026-07-24 13:00 UTC, when a parent moved" in stale
