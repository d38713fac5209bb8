"""What broke off, at the command line: carried on, or its lock opened."""

from __future__ import annotations

import json
from datetime import timedelta

import jsonschema
import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.cli import main
from airflow_dbt_promotion.core.promotion import Attempt, begin
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.render.schemas import schema
from tests.kept_shop import KeptShop
from tests.locking import locked
from tests.scenarios import DAY, defined, empty_state


@pytest.fixture
def shop() -> KeptShop:
    """Return a shop in which a promotion into production broke off, and its owner is dead."""
    made = KeptShop(defined())
    made.run("staging")
    made.clock.pass_by(DAY)
    plan = made.engine.plan(PromotionRequest(target="production"))
    attempt = Attempt(actor="ann", epoch=1)
    began = begin(replace(empty_state("production"), epoch=1), plan, attempt, made.clock(), 10)
    made.store.write(began, None)
    return made


def run(shop: KeptShop, *words: str) -> int:
    return main(words, engine_for=lambda _: shop.engine)


def test_a_person_resumes_it(shop: KeptShop, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, "status", "--environment", "production") == 0
    assert "dbt-promote resume --environment production" in " ".join(capsys.readouterr().out.split())
    assert run(shop, "resume", "--environment", "production", "--output-format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema("promotion"))
    assert document["outcome"] == "promoted"
    assert run(shop, "history") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "by ann" in told
    assert "in 2 attempts" in told
    assert run(shop, "resume", "--environment", "production") == 2
    assert "nothing to resume" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_resuming_is_told_in_every_form(shop: KeptShop, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert run(shop, "resume", "--environment", "production", "--output-format", form) == 0
    assert "orders" in capsys.readouterr().out


def test_a_lock_is_opened_by_force_with_a_reason(shop: KeptShop, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(shop.store, "production", "ben", shop.clock()):
        assert run(shop, "unlock", "--environment", "production", "--reason", "gone") == 2
        assert "--force" in capsys.readouterr().err
        assert run(shop, "unlock", "--environment", "production", "--force") == 2
        assert "--reason" in capsys.readouterr().err
        words = ("unlock", "--environment", "production", "--force", "--reason", "gone", "--actor", "eve")
        assert run(shop, *words) == 0
        told = " ".join(capsys.readouterr().out.split())
    assert "held by ben" in told
    assert "`dbt-promote resume --environment production` carries it on" in told
    (opened,) = shop.state().unlocks
    assert (opened.actor, opened.reason, opened.owner) == ("eve", "gone", "ben")
    assert run(shop, *words) == 2
    assert "nobody holds the lock" in capsys.readouterr().err


def test_an_opened_lock_as_a_document(shop: KeptShop, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("json", "markdown"):
        with locked(shop.store, "production", "ben", shop.clock()):
            words = ("unlock", "--environment", "production", "--force", "--reason", "gone", "--output-format", form)
            assert run(shop, *words) == 0
        out = capsys.readouterr().out
        if form == "json":
            document = json.loads(out)
            jsonschema.validate(document, schema("unlocked"))
            assert (document["owner"], document["reason"]) == ("ben", "gone")
            assert document["open_promotion"] is not None
        else:
            assert "The lock of production, held by ben, is open." in out


def test_a_retry_of_the_very_command_carries_on(shop: KeptShop, capsys: pytest.CaptureFixture[str]) -> None:
    state = shop.state()
    assert state.journal is not None
    shop.store.write(replace(state, journal=replace(state.journal, run="job 7")), state.serial)
    words = ("promote", "--target-environment", "production", "--run-id", "job 7")
    assert run(shop, *words) == 0
    (told,) = shop.state().history
    assert (told.outcome, told.attempts, told.actor) == (PromotionOutcome.PROMOTED, 2, "ann")
    shop.clock.pass_by(timedelta(hours=1))
    capsys.readouterr()
    assert run(shop, *words) == 0
    assert "nothing was done again" in " ".join(capsys.readouterr().out.split())
    assert len(shop.state().history) == 1
