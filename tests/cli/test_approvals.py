"""Asking people, and what they say, at the command line."""

from __future__ import annotations

import json

import jsonschema
import pytest

from airflow_dbt_promotion.cli import main
from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.render.schemas import schema
from tests.scenarios import DAY, Shop, path

WHERE = ("--environment", "production")
INTO = ("--target-environment", "production")
JSON = ("--output-format", "json")


@pytest.fixture
def shop() -> Shop:
    """Return a shop whose staging has soaked, and whose production asks people, whatever they call themselves."""
    made = Shop(environments=path(approval=ApprovalPolicy(four_eyes=True, trust_claimed=True)))
    made.run("staging")
    made.clock.pass_by(DAY)
    return made


def run(shop: Shop, *words: str) -> int:
    return main(words, engine_for=lambda _: shop.engine)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(schema("approvals")).validate(found)
    return found


def plan_of(shop: Shop) -> str:
    return shop.engine.approvals.of("production")[0].plan_id


def test_a_plan_goes_its_way_from_asking_to_promoting(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, "promote", *INTO, "--models", "raw_orders") == 3
    refused = told(capsys)
    assert "approval: approval_needed" in refused
    assert "=> Put it before people with `dbt-promote ask --target-environment production`" in refused
    assert run(shop, "ask", *INTO, "--actor", "ann") == 0
    name = plan_of(shop)[:8]
    asked = told(capsys)
    assert f"Plan {name} is before people: nobody has said anything yet" in asked
    assert f"`dbt-promote approve --environment production --plan {name}`" in asked
    assert run(shop, "promote", *INTO, "--plan", name, "--actor", "ann") == 3
    capsys.readouterr()
    assert run(shop, "approve", *WHERE, "--plan", name, "--actor", "ann") == 0
    assert "ann's does not: who asks, or promotes, cannot approve" in told(capsys)
    assert run(shop, "approve", *WHERE, "--plan", name, "--actor", "bob", "--comment", "numbers checked") == 0
    approved = told(capsys)
    assert f"Plan {name} is approved (approved by bob)" in approved
    assert f"`dbt-promote promote --target-environment production --plan {name}`" in approved
    assert run(shop, "promote", *INTO, "--plan", name, "--actor", "ann") == 0
    capsys.readouterr()
    assert run(shop, "history", *WHERE) == 0
    assert "approved by bob" in told(capsys)


def test_a_no_is_told_wherever_the_plan_is(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, "ask", *INTO, "--actor", "ann") == 0
    assert run(shop, "reject", *WHERE, "--plan", plan_of(shop), "--actor", "cy", "--comment", "not now", *JSON) == 0
    capsys.readouterr()
    assert run(shop, "promote", *INTO, "--plan", plan_of(shop)) == 3
    assert 'cy (a claimed name) at 2026-07-25 12:00 UTC ("not now") rejected this plan' in told(capsys)
    assert run(shop, "approvals", *WHERE) == 0
    assert "no: cy (claimed), not now" in told(capsys)
    assert run(shop, "approvals", *WHERE, "--output-format", "markdown") == 0
    assert "no: cy" in told(capsys)


def test_each_answer_is_a_document(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, "approvals", *WHERE, *JSON) == 0
    assert document(capsys)["approvals"] == []
    assert run(shop, "ask", *INTO, "--actor", "ann", *JSON) == 0
    asked = document(capsys)
    (one,) = asked["approvals"]  # type: ignore[misc]  # checked against the schema
    assert (one["requested_by"], one["identity"], one["votes"]) == ("ann", "claimed", [])
    assert asked["verdict"]["code"] == "approval_needed"  # type: ignore[index]
    assert run(shop, "approve", *WHERE, "--plan", one["plan_id"], "--actor", "bob", *JSON) == 0
    assert document(capsys)["verdict"]["code"] == "approved"  # type: ignore[index]
    assert run(shop, "ask", *INTO, "--actor", "ann", "--output-format", "markdown") == 0
    assert "nobody was asked: this plan may go" in capsys.readouterr().err


def test_nobody_is_asked_about_what_could_not_go_anyhow(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("ask", *INTO, "--models", "raw_orders", "--min-successful-runs", "3")
    assert run(shop, *words) == 3
    answer = capsys.readouterr()
    assert "nobody was asked: more than an approval is missing" in answer.err
    assert "soak: runs" in answer.out
    assert run(shop, *words, *JSON) == 3
    found = document(capsys)
    assert (found["approvals"], found["verdict"]["code"]) == ([], "runs")  # type: ignore[index]
    assert shop.engine.approvals.of("production") == ()


def test_who_says_yes_is_told_what_was_chosen_besides(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, "ask", *INTO) == 0
    assert " with " not in told(capsys)
    chosen = ("--skip-tests", "--reason", "hotfix", "--min-days-in-staging", "0.5", "--allow-removals", "--force")
    assert run(shop, "ask", *INTO, *chosen, "--strategy", "record", "--actor", "ann") == 0
    capsys.readouterr()
    for words in ((), ("--output-format", "markdown")):
        assert run(shop, "approvals", *WHERE, *words) == 0
        said = capsys.readouterr().out
        for word in ("12 h", "skipped", "hotfix", "Removals", "anew", "Nothing"):
            assert word in said, said
    assert run(shop, "approve", *WHERE, "--plan", plan_of(shop), "--actor", "bob", *JSON) == 0
    (one,) = document(capsys)["approvals"]  # type: ignore[misc]  # checked against the schema
    assert one["agreed_to"] == [  # type: ignore[index]
        "Bypass: soak shorter than policy asks (12 h).",
        "Bypass: tests skipped.",
        "Reason: hotfix",
        "Removals are allowed.",
        "What is there already is built anew.",
        "Nothing is built: state alone is written.",
    ]


def test_what_moved_is_told_when_people_are_asked_again(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, "ask", *INTO, "--models", "raw_orders", "--actor", "ann") == 0
    first = plan_of(shop)
    assert run(shop, "approve", *WHERE, "--plan", first, "--actor", "bob") == 0
    capsys.readouterr()
    assert run(shop, "ask", *INTO, "--actor", "ann") == 0
    assert f"what moved since people had a word on plan {first[:8]}: " in capsys.readouterr().err


def test_a_plan_that_nobody_was_asked_about_is_bad_input(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("approve", *WHERE), ("reject", *WHERE), ("promote", *INTO)):
        assert run(shop, *words, "--plan", "feedbeef") == 2
        assert "nobody was asked about a plan 'feedbeef'" in capsys.readouterr().err
    assert run(shop, "approvals", *WHERE) == 0
    assert "Nobody was asked about a plan for production" in told(capsys)
    assert run(shop, "approvals", *WHERE, "--output-format", "markdown") == 0
    assert "Nobody was asked" in told(capsys)
