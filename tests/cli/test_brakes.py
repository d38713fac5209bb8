"""Holding, releasing and unblocking at the command line."""

from __future__ import annotations

import json

import jsonschema
import pytest

from airflow_dbt_promotion.cli import main
from airflow_dbt_promotion.render.schemas import schema
from tests.engine.test_brakes import block
from tests.scenarios import DAY, Shop


@pytest.fixture
def shop() -> Shop:
    """Return a shop whose staging has soaked."""
    made = Shop()
    made.run("staging")
    made.clock.pass_by(DAY)
    return made


def run(shop: Shop, *words: str) -> int:
    return main(words, engine_for=lambda _: shop.engine)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_an_environment_is_held_and_released(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--environment", "production", "--reason", "INC-42", "--actor", "ann")
    assert run(shop, "hold", *words) == 0
    assert "until `dbt-promote release --environment production --reason TEXT`" in told(capsys)
    assert run(shop, "promote", "--target-environment", "production") == 3
    refused = told(capsys)
    assert "hold: held" in refused
    assert "held since 2026-07-25 12:00 UTC by ann: INC-42" in refused
    assert "=> Lift it with `dbt-promote release --environment production --reason TEXT`." in refused
    assert run(shop, "why", "orders", "--target-environment", "production") == 3
    assert "hold: blocked (held)" in told(capsys)
    assert run(shop, "status") == 0
    standing = told(capsys)
    assert "Held since 2026-07-25 12:00 UTC by ann: INC-42." in standing
    assert "held" in standing
    assert run(shop, "release", *words) == 0
    assert "production is held no more" in told(capsys)
    assert run(shop, "release", *words) == 2
    assert "nothing to release" in capsys.readouterr().err


def test_versions_are_unblocked(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    block(shop, "orders")
    assert run(shop, "why", "orders", "--target-environment", "production") == 3
    why = told(capsys)
    assert "block: blocked (version_blocked)" in why
    assert "it doubles rows" in why
    assert "=> Let a newer version soak, or lift the block" in why
    assert run(shop, "status", "--environment", "production") == 0
    assert "Blocked: orders" in told(capsys)
    words = ("unblock", "--environment", "production", "--reason", "mended")
    assert run(shop, *words, "--models", "all-validated") == 2
    assert "leave --models out" in capsys.readouterr().err
    assert run(shop, *words, "--models", "orders", "--output-format", "markdown") == 0
    assert "Blocked in production no more: orders" in told(capsys)


def test_a_reason_has_to_be_given(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("hold", "release", "unblock"):
        assert run(shop, command, "--environment", "production") == 2
        assert "--reason" in capsys.readouterr().err


def test_what_was_done_and_what_holds_as_documents(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    block(shop, "orders")
    assert run(shop, "promote", "--target-environment", "production") == 0
    words = ("--environment", "production", "--reason", "INC-42", "--output-format", "json")
    capsys.readouterr()
    for command in ("hold", "release", "unblock", "hold"):
        assert run(shop, command, *words) == 0
        document = json.loads(capsys.readouterr().out)
        jsonschema.validate(document, schema("intervened"))
        assert (document["kind"], document["environment"], document["reason"]) == (command, "production", "INC-42")
        assert len(document["models"]) == (command == "unblock")
    block(shop, "orders")
    assert run(shop, "status", "--output-format", "json") == 0
    status = json.loads(capsys.readouterr().out)
    jsonschema.validate(status, schema("status"))
    staging, production = status["environments"]
    assert (staging["environment"], staging["hold"], staging["blocks"]) == ("staging", None, [])
    assert production["hold"]["reason"] == "INC-42"
    assert [block["unique_id"] for block in production["blocks"]] == ["model.shop.orders"]
    assert (production["checkpoints"], production["whole"]) == (1, True)
    blocked = next(one for one in status["models"] if one["name"] == "orders" and one["environment"] == "staging")
    assert [verdict["code"] for verdict in blocked["verdicts"]][2:] == ["version_blocked", "held"]
    assert run(shop, "status", "--output-format", "markdown") == 0
    assert "No checkpoint to go back to: before 2026-07-25 12:00" in told(capsys)
