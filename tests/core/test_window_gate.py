from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.eligibility import GateName, Requirement, Status
from airflow_dbt_promotion.core.planning import plan
from airflow_dbt_promotion.core.stops import Freeze
from airflow_dbt_promotion.core.window_gate import freeze_of, time_to_promote
from airflow_dbt_promotion.core.windows import Hours, Opening, Window
from tests.scenarios import DAY, NOON, dbt_run, empty_state, question, recorded, release, situation

HOUR = timedelta(hours=1)
BERLIN = Window(name="business hours", zone="Europe/Berlin")
LATER = NOON + 3 * HOUR
SHUT = Opening(
    is_open=False,
    by=BERLIN,
    opens_at=LATER,
    opens_there=datetime.fromisoformat("2026-07-24 17:00").replace(tzinfo=None),
)
OPEN = Opening(is_open=True, by=BERLIN)
FREEZE = Freeze(at=NOON - HOUR, actor="ann", reason="the books are closed", until=NOON + HOUR)
LIFT = "`dbt-promote thaw --environment production --reason TEXT` lifts that"


def asked(freeze: Freeze | None = None, hours: Hours | None = None, now: datetime = NOON) -> list[tuple[object, ...]]:
    """Return what the gate says: each answer's code, status, instant and sentence."""
    state = replace(empty_state("production"), freeze=freeze)
    found = time_to_promote("production", state, hours or Hours(), now)
    assert all(verdict.gate is GateName.WINDOW for verdict in found)
    return [(verdict.code, verdict.status, verdict.eligible_at, verdict.reason) for verdict in found]


def test_without_windows_and_without_a_freeze_it_says_nothing() -> None:
    assert asked() == []
    assert time_to_promote("production", None, Hours(), NOON) == ()


@pytest.mark.parametrize(
    ("opening", "code", "status", "reason"),
    [
        (OPEN, "window_open", Status.PASSED, "the window 'business hours' is open"),
        (Opening(is_open=True), "window_open", Status.PASSED, "no window denies it now"),
        (
            SHUT,
            "window_closed",
            Status.WAITING,
            (
                "production is outside its windows; 'business hours' opens at Fri 2026-07-24 15:00 UTC "
                "(Fri 2026-07-24 17:00 in Europe/Berlin)"
            ),
        ),
        (
            replace(SHUT, denied=True),
            "window_closed",
            Status.WAITING,
            (
                "production is shut by the window 'business hours'; it opens at Fri 2026-07-24 15:00 UTC "
                "(Fri 2026-07-24 17:00 in Europe/Berlin)"
            ),
        ),
        (
            replace(SHUT, by=replace(BERLIN, zone="UTC")),
            "window_closed",
            Status.WAITING,
            "production is outside its windows; 'business hours' opens at Fri 2026-07-24 15:00 UTC",
        ),
        (
            Opening(is_open=False, opens_at=LATER),
            "window_closed",
            Status.WAITING,
            "production is outside its windows; 'the next window' opens at Fri 2026-07-24 15:00 UTC",
        ),
        (
            Opening(is_open=False),
            "never_opens",
            Status.BLOCKED,
            "production is outside its windows, and none opens it in the next two years",
        ),
        (
            Opening(is_open=False, denied=True, by=BERLIN),
            "never_opens",
            Status.BLOCKED,
            "production is shut by the window 'business hours', and none opens it in the next two years",
        ),
    ],
)
def test_it_says_which_window_and_when(opening: Opening, code: str, status: Status, reason: str) -> None:
    assert asked(hours=Hours(now=opening)) == [(code, status, opening.opens_at, reason)]


def test_a_freeze_waits_for_its_end_and_without_one_for_people() -> None:
    since = f"since Fri 2026-07-24 11:00 UTC by ann: the books are closed; {LIFT}"
    timed = f"production is frozen until Fri 2026-07-24 13:00 UTC, {since}"
    assert asked(FREEZE) == [("frozen", Status.WAITING, FREEZE.until, timed)]
    for_good = replace(FREEZE, until=None)
    assert asked(for_good) == [("frozen", Status.BLOCKED, None, f"production is frozen {since}")]
    assert asked(FREEZE, now=NOON + HOUR) == []
    assert freeze_of(replace(empty_state(), freeze=for_good), NOON) == for_good
    to_the_second = replace(FREEZE, until=NOON + timedelta(seconds=30))
    assert "until Fri 2026-07-24 12:00:30 UTC" in str(asked(to_the_second))


def test_a_freeze_that_ends_while_no_window_is_open_waits_for_the_next_one() -> None:
    frozen, closed = asked(FREEZE, Hours(now=SHUT, thawed=SHUT))
    assert (frozen[0], frozen[2], closed[0], closed[2]) == ("frozen", LATER, "window_closed", LATER)
    frozen, is_open = asked(FREEZE, Hours(now=OPEN, thawed=OPEN))
    assert (frozen[2], is_open[0]) == (FREEZE.until, "window_open")
    assert asked(FREEZE, Hours(now=OPEN, thawed=Opening(is_open=False)))[0][2] is None


def test_no_plan_rests_on_windows_or_a_freeze() -> None:
    project = release()
    source, target = recorded(project, dbt_run(project, NOON)), empty_state("production")
    free = plan(situation(source, target), question())
    shut = plan(replace(situation(source, replace(target, freeze=FREEZE)), hours=Hours(now=SHUT), now=NOON), question())
    assert shut.plan_id == free.plan_id
    assert shut.precondition == free.precondition
    assert free.verdicts == ()
    assert [(model, verdict.code) for model, verdict in shut.refusals] == [(None, "frozen"), (None, "window_closed")]
    assert not shut.allowed
    assert shut.eligible_at == LATER
    assert free.changes


def test_a_plan_could_go_when_every_gate_could_pass_and_the_windows_are_open_then() -> None:
    shut = plan(replace(situation(None), source_state=empty_state()), question("orders"))
    assert shut.all_pass_at is None
    assert replace(shut, then=SHUT).eligible_at is None
    project = release()
    source = recorded(project, dbt_run(project, NOON))
    soaking = plan(situation(source, now=NOON), question("raw_orders", requirement=Requirement(soak=DAY)))
    assert soaking.eligible_at == soaking.all_pass_at == NOON + DAY
    assert replace(soaking, then=OPEN).eligible_at == NOON + DAY
    assert replace(soaking, then=SHUT).eligible_at == LATER
    assert replace(soaking, then=Opening(is_open=False)).eligible_at is None


def test_times_are_told_in_utc_whatever_zone_they_come_in() -> None:
    there = (NOON + DAY).astimezone(UTC)
    assert "Sat 2026-07-25 12:00 UTC" in str(asked(replace(FREEZE, until=there)))
