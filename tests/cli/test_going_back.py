"""Going back at the command line: what comes back, how old it is, and what cannot be undone is told in every form."""

from __future__ import annotations

import json
from datetime import timedelta

import jsonschema
import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.cli import main
from airflow_dbt_promotion.core.environment import IncrementalChange
from airflow_dbt_promotion.core.errors import DbtError
from airflow_dbt_promotion.core.identity import Digest
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.failpoints import Failpoint
from airflow_dbt_promotion.render import rolling_back, text
from airflow_dbt_promotion.render.schemas import schema
from airflow_dbt_promotion.render.table import Page
from tests.engine.test_resuming import die_in
from tests.engine.test_rollback import ASKED, opened
from tests.kept_shop import KeptShop
from tests.scenarios import defined, model_id, path, test_id

REASON = ("--reason", "it doubles rows, INC-42", "--actor", "ann")


@pytest.fixture
def shop() -> KeptShop:
    """Return a shop of which production holds a second version of `orders`."""
    made = opened(KeptShop(defined()))
    made.clock.pass_by(timedelta(hours=2))
    return made


def run(shop: KeptShop, *words: str) -> int:
    return main((words[0], "--environment", "production", *words[1:]), engine_for=lambda _: shop.engine)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_rollback_is_told_with_what_it_means(shop: KeptShop, capsys: pytest.CaptureFixture[str]) -> None:
    goal = shop.state().checkpoints[0].id
    assert run(shop, "rollback", *REASON, "--dry-run") == 0
    dry = told(capsys)
    assert f"Dry run: 2 models of production would go back to checkpoint {goal}. Nothing was changed." in dry
    assert "Old relations come back, with rows built then: orders 2026-07-25 12:00 UTC (1 day 3 h old)" in dry
    assert shop.state().hold is None
    assert run(shop, "rollback", *REASON) == 0
    done = told(capsys)
    assert f"Rolled production back to checkpoint {goal}: 2 models." in done
    assert "production is held: `dbt-promote release --environment production --reason TEXT`" in done
    assert "Built anew afterwards, with fresh rows: 2 models." in done
    assert run(shop, "history") == 0
    history = told(capsys)
    assert f"by ann back to checkpoint {goal}" in history
    assert "reason: it doubles rows, INC-42" in history
    assert run(shop, "status") == 0
    assert "Held since" in told(capsys)


def test_what_is_left_of_it_and_what_lasts(shop: KeptShop, capsys: pytest.CaptureFixture[str]) -> None:
    incremental = opened(
        KeptShop(defined(incremental={"orders"}), path(on_incremental_change=IncrementalChange.FORWARD_ONLY)),
        swaps=False,
    )
    assert run(incremental, "rollback", *REASON, "--dry-run", "--output-format", "markdown") == 0
    out = told(capsys)
    assert "Built from the code of the checkpoint: orders, revenue." in out
    assert "Cannot be undone as data: orders (an incremental model" in out
    assert run(shop, "rollback", *REASON, "--no-rebuild") == 0
    assert "Built anew afterwards" not in told(capsys)


def test_refused_failed_and_bad_input_have_their_exit_codes(shop: KeptShop, capsys: pytest.CaptureFixture[str]) -> None:
    oldest = shop.state().checkpoints[-1].id
    assert run(shop, "rollback", *REASON, "--to", oldest) == 3
    refused = told(capsys)
    assert f"Refused: production was not taken back to checkpoint {oldest}." in refused
    assert "it held nothing then, so there is nothing to go back to" in refused
    assert "=> Name another one by --to; `dbt-promote checkpoints --environment production` lists them, and" in refused
    assert run(shop, "rollback", *REASON, "--to", oldest, "--dry-run") == 3
    assert "Refused (dry run): production cannot go back" in told(capsys)
    assert run(shop, "rollback", *REASON, "--to", "nonsense") == 2
    assert "has no checkpoint 'nonsense'" in capsys.readouterr().err
    assert run(shop, "rollback") == 2
    assert "--reason" in capsys.readouterr().err
    shop.workshop.failing = {test_id("orders")}
    assert run(shop, "rollback", *REASON) == 1
    assert "Failed: 2 of 2 models of production did not get to checkpoint" in told(capsys)


def test_a_rollback_as_a_document(shop: KeptShop, capsys: pytest.CaptureFixture[str]) -> None:
    goal = shop.state().checkpoints[0]
    shop.workshop.meanwhile = lambda: setattr(shop.workshop, "build_breaks", DbtError("out of memory"))
    words = ("rollback", *REASON, "--run-id", "job 7", "--output-format", "json")
    assert run(shop, *words) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema("rollback"))
    assert (document["outcome"], document["checkpoint"], document["environment"]) == ("promoted", goal.id, "production")
    assert (document["undone"], document["reason"]) == ([goal.id], "it doubles rows, INC-42")
    assert [(one["name"], one["how"], one["result"]) for one in document["models"]] == [
        ("orders", "comes_back", "advanced"),
        ("revenue", "comes_back", "advanced"),
    ]
    assert document["rebuilt"] is False
    assert "out of memory" in document["not_rebuilt"]
    assert run(shop, *words) == 0
    again = json.loads(capsys.readouterr().out)
    jsonschema.validate(again, schema("rollback"))
    assert (again["outcome"], again["rebuilt"], again["models"][0]["how"]) == ("promoted", None, None)
    assert run(shop, "history", "--output-format", "json") == 0
    history = json.loads(capsys.readouterr().out)
    jsonschema.validate(history, schema("history"))
    assert [record["rollback_to"] for record in history["promotions"]][:2] == [None, goal.id]


def test_checkpoints_are_listed(shop: KeptShop, capsys: pytest.CaptureFixture[str]) -> None:
    newest, oldest = shop.state().checkpoints
    assert run(shop, "checkpoints") == 0
    listed = told(capsys)
    assert newest.id in listed
    assert "orders, revenue" in listed
    assert "not whole" in listed
    assert run(shop, "checkpoints", "--output-format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema("checkpoints"))
    assert [(one["id"], one["whole"], len(one["kept"])) for one in document["checkpoints"]] == [
        (newest.id, True, 2),
        (oldest.id, False, 0),
    ]
    assert run(shop, "checkpoints", "--output-format", "markdown") == 0
    assert f"`{newest.id}`" in told(capsys)
    empty = KeptShop(defined())
    for form in ("text", "markdown"):
        assert run(empty, "checkpoints", "--output-format", form) == 0
        assert "has no checkpoint" in told(capsys)
    assert run(empty, "rollback", *REASON) == 2
    assert "makes one" in capsys.readouterr().err


def test_a_checkpoint_tells_apart_what_only_its_description_changed_of(
    shop: KeptShop, capsys: pytest.CaptureFixture[str]
) -> None:
    state = shop.state()
    newest, revenue = state.checkpoints[0], model_id("revenue")
    described = replace(state.current[revenue], meta=Digest("other"))
    sources = replace(state.current[model_id("stg_orders")], release=None)
    before = {**newest.before, revenue: described, model_id("stg_orders"): sources}
    changed = (replace(newest, before=before), *state.checkpoints[1:])
    shop.store.write(replace(state, checkpoints=changed), state.serial)
    assert run(shop, "checkpoints") == 0
    assert "orders; tests or descriptions alone: revenue 2" in told(capsys)
    assert run(shop, "checkpoints", "--output-format", "json") == 0
    document = json.loads(capsys.readouterr().out)["checkpoints"][0]
    assert (document["models"], document["metadata"]) == ([model_id("orders")], [revenue])


def test_a_checkpoint_of_something_half_is_refused_with_the_reason(
    shop: KeptShop, capsys: pytest.CaptureFixture[str]
) -> None:
    state = shop.state()
    checkpoints = tuple(replace(one, whole=False) for one in state.checkpoints)
    shop.store.write(replace(state, checkpoints=checkpoints), state.serial)
    assert run(shop, "rollback", *REASON, "--to", checkpoints[0].id) == 3
    assert "a promotion had gone only part of the way then" in told(capsys)
    assert run(shop, "rollback", *REASON) == 2
    assert "promote what is right from its source instead" in " ".join(capsys.readouterr().err.split())


def test_a_rollback_and_one_that_somebody_resumes_are_told_as_such(
    shop: KeptShop, capsys: pytest.CaptureFixture[str]
) -> None:
    die_in(shop, Failpoint.PUBLISHED, lambda: shop.engine.roll_back(ASKED))
    shop.clock.pass_by(timedelta(hours=1))
    assert run(shop, "resume") == 0
    assert "Rolled production back to checkpoint" in told(capsys)
    assert run(shop, "checkpoints") == 0
    assert "not whole" in told(capsys)
    other = opened(KeptShop(defined()))
    assert run(other, "rollback", *REASON, "--output-format", "markdown") == 0
    assert capsys.readouterr().out.startswith("## Rollback of production: promoted\n")


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (PromotionOutcome.NOTHING_TO_DO, "Nothing to do: production is as it was at checkpoint"),
        (PromotionOutcome.ERRORED, "Errored: taking production back to checkpoint"),
        (PromotionOutcome.REFUSED, "Refused: production was not taken back"),
    ],
)
def test_every_end_of_a_rollback_has_its_sentence(shop: KeptShop, outcome: PromotionOutcome, said: str) -> None:
    found = shop.engine.roll_back(replace(ASKED, dry_run=True))
    ended = replace(found, promotion=replace(found.promotion, outcome=outcome, dry_run=False))
    assert said in rolling_back.text(ended, Page())


def test_fresh_rows_have_theirs(shop: KeptShop) -> None:
    found = shop.engine.roll_back(ASKED)
    assert found.rebuild is not None
    assert "Built 2 models of production anew" in text.promotion(found.rebuild)
