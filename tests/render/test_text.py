from __future__ import annotations

import re
from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.render import text
from airflow_dbt_promotion.render.table import Page, columns_of
from tests.kept_shop import KeptShop
from tests.scenarios import DAY, Shop, dashboard, defined, model_id, path, release, test_id

ALL = PromotionRequest(target="production")


def told(shop: Shop, request: PromotionRequest = ALL, page: Page | None = None) -> str:
    return text.promotion(shop.engine.promote(request), page)


def one_line(written: str) -> str:
    return " ".join(written.split())


def test_a_refusal_says_first_what_and_why_then_what_would_change_it_and_when() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(timedelta(hours=3))
    lines = told(shop, replace(ALL, models=("raw_orders",))).splitlines()
    assert lines[0] == "Refused: nothing was promoted from staging to production."
    assert lines[2:4] == [
        "  soak: soaking",
        "    raw_orders: soaks in staging for 21 h more (since 2026-07-24 12:00 UTC)",
    ]
    assert lines[4].startswith(
        "    => Wait until 2026-07-25 12:00 UTC (in 21 h); or go early by --min-days-in-staging 0"
    )
    assert "  All of it could go at 2026-07-25 12:00 UTC (in 21 h), if nothing changes." in lines


def test_refusals_of_one_kind_are_told_together_and_cut() -> None:
    shop = Shop(release({f"model_{number:02}": () for number in range(20)}))
    shop.run("staging")
    written = told(shop, replace(ALL, models=tuple(f"model_{number:02}" for number in range(20))))
    assert written.count("soak: soaking") == 1
    assert "    and 12 more\n" in written
    assert written.count("=> Wait until") == 1


def test_where_people_must_act_no_instant_is_promised() -> None:
    shop = Shop()
    shop.run("staging", failing=[test_id("orders")])
    written = told(shop, replace(ALL, models=("raw_orders", "stg_orders", "orders")))
    assert "All of it could go" not in written
    assert "tests: revoked" in written
    assert "Mend the model or the test" in written


@pytest.mark.parametrize("width", [80, 140])
def test_it_fits_the_terminal(width: int) -> None:
    long = {f"stg_salesforce__opportunity_line_items_snapshot_{number}": () for number in range(5)}
    shop = Shop(release(long, exposures=(dashboard(*long),)))
    shop.run("staging", failing=[test_id(next(iter(long)))])
    written = told(shop, page=Page(width=width)) + told(shop, replace(ALL, models=tuple(long)), Page(width=width))
    shop.clock.pass_by(DAY)
    written += told(shop, page=Page(width=width))
    assert "opportunity" in written
    assert max(columns_of(line) for line in written.splitlines()) <= width


def test_a_promotion_tells_each_model_with_its_result_and_what_stays_behind() -> None:
    shop = Shop(release(exposures=(dashboard("revenue"),)))
    shop.run("staging", failing=[test_id("orders")])
    shop.clock.pass_by(DAY)
    written = told(shop)
    assert written.startswith("Promoted 2 models from staging to production.\n")
    assert re.search(r"stg_orders  added +[0-9a-f]{8}  passed +soaked +coherent +promoted", written)
    assert "Held back: 2 models" in written
    assert re.search(r"revenue  added +coherence +it cannot go without orders: ", written)
    assert "Reaches Daily takings (owner: Finance <finance@example.com>, https://example.com/takings)" in written


def test_a_modified_model_tells_both_versions() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.engine.promote(ALL)
    shop.change(release(code={"revenue": "select 2"}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert re.search(r"revenue  modified  [0-9a-f]{8} -> [0-9a-f]{8}  passed", told(shop))


def test_a_failure_tells_in_dbts_words_what_broke() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.workshop.failing = [model_id("orders")]
    written = told(shop)
    assert written.startswith("Failed: 2 of 4 models did not get from staging to production;")
    assert "production is not whole until they do" in written
    assert "  dbt: model.shop.orders broke" in written
    assert re.search(r"orders +added .* failed\n", written)
    assert re.search(r"revenue +added .* skipped\n", written)


def test_a_swap_that_failed_left_everything_as_it_was() -> None:
    shop = KeptShop(defined())
    shop.workshop.swaps = True
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.workshop.failing = [model_id("orders")]
    written = " ".join(told(shop).split())
    assert "did not get from staging to production; nothing was published, and production is as it was." in written
    assert "not whole" not in written


def test_a_bypass_is_told_and_said_to_be_on_record_only_where_it_is() -> None:
    shop = Shop()
    shop.run("staging")
    request = replace(ALL, soak=timedelta(0), reason="hotfix")
    dry = told(shop, replace(request, dry_run=True))
    assert dry.startswith("Dry run: 4 models would go from staging to production. Nothing was changed.\n")
    assert "Bypass: soak shorter than policy asks. Reason: hotfix" in dry
    assert "a dry run runs nothing" in dry
    assert "Bypass, on record: soak shorter than policy asks. Reason: hotfix" in told(shop, request)


def test_children_that_are_left_behind_are_named() -> None:
    shop = Shop(environments=path(timedelta(0)))
    shop.run("staging")
    shop.engine.promote(ALL)
    shop.change(release(code={"stg_orders": "select 2"}))
    shop.run("staging")
    blocked = one_line(told(shop, replace(ALL, models=("stg_orders",))))
    assert "coherence: needs_downstream" in blocked
    assert (
        "Add them with --include-downstream, or leave them behind with --allow-stale-downstream: production" in blocked
    )
    left = one_line(told(shop, replace(ALL, models=("stg_orders",), allow_stale_downstream=True)))
    assert "Left on an older parent in production, which is not whole until they follow: orders" in left


def test_nothing_to_do_tells_what_is_there() -> None:
    shop = Shop(environments=path(timedelta(0)))
    shop.run("staging")
    shop.engine.promote(ALL)
    assert told(shop) == (
        "Nothing to do: what was asked for is in production already.\n\n  In production already: 4 models.\n"
    )


def test_a_long_list_of_held_models_is_cut() -> None:
    shop = Shop(release({f"model_{number:02}": () for number in range(text.MOST_HELD + 3)}))
    shop.run("staging")
    written = told(shop)
    assert f"held back: {text.MOST_HELD + 3} models" in written
    assert "  and 3 more: " in written


def test_what_waits_for_people_says_once_how_they_are_asked() -> None:
    shop = Shop(environments=path(timedelta(0), approval=ApprovalPolicy()))
    shop.run("staging")
    written = one_line(told(shop))
    assert "Held back: 4 models" in written
    assert written.count("=> Put it before people with `dbt-promote ask --target-environment production`") == 1


def test_what_waits_for_time_alone_is_not_put_before_people() -> None:
    shop = Shop()
    shop.run("staging")
    written = told(shop)
    assert "Held back: 4 models" in written
    assert "=>" not in written


def test_colours_are_there_where_the_page_has_them_and_nowhere_else() -> None:
    shop = Shop()
    shop.run("staging")
    assert "\x1b[1;33mRefused" in told(shop, replace(ALL, models=("raw_orders",)), Page(colours=True))
    assert "\x1b" not in told(shop, replace(ALL, models=("raw_orders",)))


def test_dbts_words_cannot_steer_the_terminal() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.workshop.failing = [model_id("orders")]
    promotion = replace(shop.engine.promote(ALL), words=("\x1b[2J\x1b]0;owned\x07line one\nline two\r",))
    written = text.promotion(promotion)
    assert "\x1b" not in written
    assert "\r" not in written
    assert "line one\n       line two" in written
