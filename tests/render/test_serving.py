"""Runs, exclusions and waste: what is told where there is much, or nothing, or something odd."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.identity import EnvironmentName, PlanId
from airflow_dbt_promotion.core.kept import Waste
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.relations import Leftover, LeftoverRole
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.engine import RunOrder, RunOutcome, ServedRun
from airflow_dbt_promotion.engine.request import FailedNode
from airflow_dbt_promotion.engine.sweeper import Swept
from airflow_dbt_promotion.render import serving, waste
from airflow_dbt_promotion.render.table import Page
from tests.scenarios import DAY, NOON, Shop, defined, model_id


@pytest.fixture
def told() -> ServedRun:
    shop = Shop(defined())
    shop.baseline("production")
    shop.clock.pass_by(DAY)
    return shop.engine.run(RunOrder(environment="production"))


def test_a_long_list_is_cut_as_text_and_not_as_json(told: ServedRun) -> None:
    dry = replace(told, outcome=RunOutcome.LISTED, nodes=tuple(f"model.shop.m{n}" for n in range(300)), recording=None)
    written = serving.text(dry, Page())
    assert "and 100 more: json lists all" in written
    assert len(written.splitlines()) == 203
    assert len(serving.document(dry)["nodes"]) == 300  # type: ignore[arg-type]  # a list


def test_what_broke_outside_of_models_is_told_in_dbts_words(told: ServedRun) -> None:
    hook = replace(told, outcome=RunOutcome.FAILED, counts={}, words=("on-run-end broke",))
    assert "  dbt: on-run-end broke\n" in serving.text(hook, Page())
    assert "nothing was executed" in serving.headline(hook)


def test_what_stands_on_an_older_parent_has_no_evidence_and_that_is_told(told: ServedRun) -> None:
    assert told.recording is not None
    stale = replace(told, recording=replace(told.recording, unmatched=(model_id("orders"),)))
    assert "Without evidence, since they stand on an older parent, or on drift: orders." in serving.text(stale, Page())


def test_what_dbt_says_is_no_markup(told: ServedRun) -> None:
    failed = FailedNode(
        id="model.shop.orders", name="orders", status=ResultStatus.FAILED, message="<b>|boom|</b>\n## no heading"
    )
    odd = replace(told, outcome=RunOutcome.FAILED, failed=(failed,), warnings=("*not bold*",))
    written = serving.as_markdown(odd)
    assert "<b>" not in written
    assert "\n## no heading" not in written
    assert "- \\*not bold\\*" in written


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (5 * 1024**3, "5.0 GiB")]
)
def test_sizes_are_readable(size: int, shown: str) -> None:
    found = waste.Rubbish(waste=Waste(blobs=1, bytes=size, names=("blobs/a",)))
    assert waste.text(found, Page(), deleted=True).startswith(f"Deleted 0 releases, 1 file, 0 cached parses ({shown}).")
    assert "| `blobs/a` |" in waste.as_markdown(found, deleted=True)


def swept(name: str, role: LeftoverRole, **more: object) -> Swept:
    leftover = Leftover(
        place=Place(database=None, schema="analytics", identifier=name),
        model=model_id("orders"),
        since=NOON,
        plan_id=PlanId("p"),
        role=role,
    )
    return Swept(environment=EnvironmentName("production"), leftover=leftover, **{"kind": "table", **more})  # type: ignore[arg-type]


def test_relations_are_told_with_what_they_were_and_why_one_stays() -> None:
    relations = (
        swept("orders__was_1", LeftoverRole.SUPERSEDED),
        swept("orders__next_2", LeftoverRole.SHADOW, stays="a view reads it"),
        swept("orders__was_3", LeftoverRole.SUPERSEDED, kind=None),
    )
    found = waste.Rubbish(waste=Waste(), relations=relations)
    told = waste.text(found, Page(), deleted=False)
    assert told.startswith("Would delete 2 relations.")
    assert "production: table analytics.orders__was_1, replaced, and needed for no way back since 2026-07-24" in told
    assert "orders__was_3" not in told
    told = waste.text(found, Page(), deleted=True)
    assert told.startswith("Deleted 1 relation.")
    assert "built and not published, since 2026-07-24 12:00 UTC; stays, since a view reads it" in " ".join(told.split())
    assert "| `analytics.orders__next_2` | table |" in waste.as_markdown(found, deleted=True)
    relation = waste.document(found, deleted=True)["relations"][1]  # type: ignore[index]
    assert (relation["role"], relation["stays"]) == ("shadow", "a view reads it")
    stays = waste.Rubbish(waste=Waste(), relations=relations[1:2])
    assert waste.text(stays, Page(), deleted=True).startswith("Nothing was deleted: what nobody needs")
    assert waste.text(waste.Rubbish(waste=Waste()), Page(), deleted=True).startswith("Nothing to clean")
