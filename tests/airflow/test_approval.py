"""The approval task, with an Airflow of which just the questions are there: what it asks, records, and ends with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.timezone import utcnow

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approvals import Decision, Identity, Person, Vote
from airflow_dbt_promotion.core.moving import as_approved
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.operators.approval import PromotionApprovalOperator
from airflow_dbt_promotion.render import planned as planned_by
from tests.airflow.spellings import AirflowFailException, AirflowSkipException
from tests.airflow.tasks import FakeTaskInstance, LogOfLines, a_context, lead_to
from tests.scenarios import DAY, NOON, Shop, dashboard, path, release


class Desk:
    """Airflow's side of a question: it keeps the first for a task in a run, as Airflow's server does."""

    def __init__(self) -> None:
        self.shown: Any = None
        self.asked = 0

    def send(self, msg: Any) -> Any:
        self.asked += 1
        self.shown = self.shown or msg
        return self.shown


class Parked(NamedTuple):
    """A task that waits."""

    method: str
    memo: Mapping[str, Any]
    waits: timedelta | None


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", made, raising=False)
    return made


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what makes a shop whose production asks people, with a plan that may go but for their word."""

    def made(**policy: Any) -> Shop:
        asks = ApprovalPolicy(**policy) if policy.pop("asks", True) else None
        shop = Shop(release(exposures=(dashboard("revenue"),)), path(approval=asks))
        lead_to(shop, monkeypatch)
        shop.run("staging")
        shop.clock.pass_by(DAY)
        return shop

    return made


def planned(shop: Shop) -> dict[str, Any]:
    """Return the plan as the planning task hands it over."""
    plan = shop.engine.plan(PromotionRequest(target="production", to_approve=True))
    models = [
        {
            "unique_id": model,
            "name": model.rsplit(".", 1)[1],
            "change": change.change,
            "from_version": change.from_version,
            "to_version": change.to_version,
        }
        for model, change in as_approved(plan).items()
    ]
    return {"plan_id": plan.plan_id, "models": models, "rests_on": dict(plan.rests_on), "markdown": "..."}


def a_task(shop: Shop, **arguments: Any) -> PromotionApprovalOperator:
    return PromotionApprovalOperator(
        task_id="approve",
        dbt_project_dir="/shop",
        **{"target_environment": "production", "plan": planned(shop), **arguments},
    )


def ask(task: PromotionApprovalOperator, context: Any) -> Parked:
    """Execute a task that has to wait for an answer."""
    return _parked(lambda: task.execute(context))


def say(task: PromotionApprovalOperator, context: Any, parked: Parked, option: str, by: str, comment: str = "") -> Any:
    """Resume a task with an answer."""
    event = {
        "chosen_options": [option],
        "params_input": {"comment": comment},
        "responded_at": NOON + DAY,
        "responded_by_user": {"id": by, "name": by},
        "timedout": False,
    }
    return getattr(task, parked.method)(context, event, **parked.memo)


def _parked(do: Any) -> Parked:
    """Do what parks a task, as this version of Airflow parks it."""
    with pytest.raises(BaseException) as raised:  # noqa: PT011 - neither signal is an Exception
        do()
    signal: Any = raised.value
    if type(signal).__name__ == "TaskDeferred":
        assert signal.trigger.options == ["Approve", "Reject"]
        assert signal.trigger.defaults is None
        limit = signal.trigger.timeout_datetime
        return Parked(signal.method_name, signal.kwargs, None if limit is None else limit - utcnow())
    if type(signal).__name__ != "TaskAwaitingInput":
        raise signal
    return Parked(signal.method_name, signal.kwargs, signal.timeout)


def votes(shop: Shop) -> list[tuple[str, Decision, Identity, str]]:
    (approval,) = shop.engine.approvals.of("production")
    return [(vote.actor, vote.decision, vote.identity, vote.comment) for vote in approval.votes]


def test_people_are_shown_what_goes_on_which_evidence_and_who_is_reached(waiting: Any, desk: Desk) -> None:
    shop = waiting(expires_after=timedelta(days=2))
    task = a_task(shop, approvers=["bob", {"id": "7", "name": "carol"}], response_timeout=timedelta(days=3))
    ask(task, a_context(user="alice"))

    shown, plan = desk.shown, planned(shop)
    assert shown.subject == f"Promote 4 models from staging to production? (plan {plan['plan_id'][:8]})"
    assert shown.options == ["Approve", "Reject"]
    assert shown.defaults is None
    assert [(user.id, user.name) for user in shown.assigned_users] == [("bob", "bob"), ("7", "carol")]
    assert list(shown.params) == ["comment"]
    assert plan["plan_id"] in shown.body
    assert "| `orders` | added | `" in shown.body
    assert "| `Daily takings` | Finance &lt;finance@example.com&gt; |" in shown.body
    assert "Asked for by alice" in shown.body
    assert "An approval counts for 2 days" in shown.body
    assert "waits 3 days for an answer" in shown.body


def test_the_request_is_on_record_with_who_triggered_the_run_and_where_to_answer(waiting: Any, desk: Desk) -> None:
    shop = waiting()
    ask(a_task(shop), a_context(user="alice"))
    (approval,) = shop.engine.approvals.of("production")
    assert (approval.requested_by, approval.identity, approval.votes) == ("alice", Identity.AIRFLOW, ())
    assert approval.plan_id == planned(shop)["plan_id"]
    assert approval.link == (
        "https://airflow.example.com/dags/a%20dag/runs/manual__2026-07-24T12%3A00%3A00%2B00%3A00"
        "/tasks/task/required_actions?map_index=-1"
    )
    assert desk.asked == 1


def test_an_approval_is_recorded_and_is_what_the_promotion_asks_for(waiting: Any, desk: Desk) -> None:
    shop = waiting(four_eyes=True)
    task, context = a_task(shop), a_context(user="alice")
    parked = ask(task, context)
    told = say(task, context, parked, "Approve", "bob", "looks fine")
    assert (told["approved"], told["by"], told["code"]) == (True, ["bob"], "approved")
    assert json.loads(json.dumps(told)) == told
    assert votes(shop) == [("bob", Decision.APPROVE, Identity.AIRFLOW, "looks fine")]
    done = shop.engine.promote(PromotionRequest(target="production", agreed=a_shown(task), actor="alice"))
    assert (done.outcome.value, done.plan.approved_by) == ("promoted", ("bob",))
    assert desk.asked == 1


def a_shown(task: PromotionApprovalOperator) -> Any:
    return planned_by.read(task.plan).agreed


def test_where_policy_asks_nobody_or_enough_said_yes_already_it_does_not_ask(waiting: Any, desk: Desk) -> None:
    free = waiting(asks=False)
    told = a_task(free).execute(a_context())
    assert (told["approved"], told["code"], told["by"]) == (True, "no_approval_needed", [])

    shop = waiting()
    task, context = a_task(shop), a_context(user="alice")
    parked = ask(task, context)
    say(task, context, parked, "Approve", "bob")
    told = a_task(shop).execute(a_context(user="alice"))
    assert (told["approved"], told["by"]) == (True, ["bob"])
    assert desk.asked == 1


def test_a_plan_that_changes_nothing_needs_nobody(waiting: Any, desk: Desk) -> None:
    nothing = {"plan_id": "0" * 64, "models": [], "rests_on": {}}
    told = a_task(waiting(), plan=nothing).execute(a_context())
    assert (told["approved"], told["code"]) == (True, "nothing_to_approve")
    assert desk.asked == 0


@pytest.mark.parametrize(("on_rejected", "end"), [("fail", AirflowFailException), ("skip", AirflowSkipException)])
def test_a_rejection_is_recorded_and_ends_the_task(
    waiting: Any, desk: Desk, on_rejected: str, end: type[Exception]
) -> None:
    shop, ti = waiting(), FakeTaskInstance()
    task, context = a_task(shop, on_rejected=on_rejected), a_context(ti, user="alice")
    parked = ask(task, context)
    with pytest.raises(end, match=r"bob at .* rejected this plan"):
        say(task, context, parked, "Reject", "bob", "not on a Friday")
    assert votes(shop) == [("bob", Decision.REJECT, Identity.AIRFLOW, "not on a Friday")]
    told: Any = ti.pushed["return_value"]
    assert (told["approved"], told["code"]) == (False, "rejected")

    with pytest.raises(end, match="not on a Friday"):
        task.execute(a_context(user="alice"))
    later: Any = a_task(shop, on_rejected=on_rejected).execute(a_context(user="alice"))
    assert (later["approved"], later["code"]) == (True, "nothing_to_approve")
    assert desk.asked == 1


def test_clearing_a_rejected_task_asks_anew_and_the_one_who_said_no_can_say_yes(waiting: Any, desk: Desk) -> None:
    shop, ti = waiting(), FakeTaskInstance()
    task, context = a_task(shop), a_context(ti, user="alice")
    with pytest.raises(AirflowFailException):
        say(task, context, ask(task, context), "Reject", "bob")
    ti.try_number = 2
    assert say(task, context, ask(task, context), "Approve", "bob")["approved"] is True
    assert desk.asked == 2


def test_it_asks_until_enough_have_said_yes(waiting: Any, desk: Desk) -> None:
    shop = waiting(min_approvals=2)
    task, context = a_task(shop, response_timeout=timedelta(days=3)), a_context(user="alice")
    parked = ask(task, context)
    shop.clock.pass_by(DAY)
    again = _parked(lambda: say(task, context, parked, "Approve", "bob"))
    assert again.memo == parked.memo
    assert [round(one.waits / DAY, 3) for one in (parked, again)] == [3, 2]
    same = _parked(lambda: say(task, context, again, "Approve", "bob"))
    assert say(task, context, same, "Approve", "carol")["by"] == ["bob", "carol"]
    assert desk.asked == 3


def test_who_asked_is_heard_but_does_not_count_where_four_eyes_are_asked_for(
    waiting: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = waiting(four_eyes=True)
    log = LogOfLines()
    monkeypatch.setattr(PromotionApprovalOperator, "log", log, raising=False)
    task, context = a_task(shop), a_context(user="alice")
    parked = ask(task, context)
    again = _parked(lambda: say(task, context, parked, "Approve", "alice"))
    assert [actor for actor, *_ in votes(shop)] == ["alice"]
    assert any("who asks, or promotes, cannot approve" in line for line in log.lines)
    assert say(task, context, again, "Approve", "bob")["by"] == ["bob"]
    assert desk.asked == 2


TIMEOUT = {"error": "The timeout has passed.", "error_type": "timeout"}
DEFAULT = {
    "chosen_options": ["Approve"],
    "params_input": {},
    "responded_at": NOON + DAY,
    "responded_by_user": None,
    "timedout": True,
}


@pytest.mark.parametrize("event", [TIMEOUT, DEFAULT])
@pytest.mark.parametrize(("on_timeout", "end"), [("fail", AirflowFailException), ("skip", AirflowSkipException)])
def test_what_nobody_chose_is_no_approval_and_is_not_recorded(
    waiting: Any, desk: Desk, event: dict[str, Any], on_timeout: str, end: type[Exception]
) -> None:
    shop = waiting()
    task, context = a_task(shop, on_timeout=on_timeout), a_context(user="alice")
    parked = ask(task, context)
    with pytest.raises(end, match="time ran out before people enough had answered: nobody has answered yet"):
        task.execute_complete(context, event, **parked.memo)
    assert votes(shop) == []
    assert desk.asked == 1


def test_who_approved_elsewhere_meanwhile_counts_when_time_runs_out(waiting: Any, desk: Desk) -> None:
    shop = waiting(trust_claimed=True)
    task, context = a_task(shop), a_context(user="alice")
    parked = ask(task, context)
    vote = Vote(decision=Decision.APPROVE, at=shop.clock(), actor="dora", identity=Identity.CLAIMED)
    shop.engine.approvals.vote("production", planned(shop)["plan_id"], vote)
    assert task.execute_complete(context, TIMEOUT, **parked.memo)["by"] == ["dora"]
    assert desk.asked == 1


def test_a_plan_that_moved_fails_and_says_what_moved(waiting: Any, desk: Desk) -> None:
    shop = waiting()
    task, context = a_task(shop), a_context(user="alice")
    parked = ask(task, context)
    shop.change(release(code={"orders": "select 2"}))
    shop.run("staging")
    shop.engine.hold("production", "ops", "stop")
    with pytest.raises(AirflowFailException, match="plan_moved"):
        a_task(shop, plan=task.plan, on_rejected="skip").execute(context)
    with pytest.raises(AirflowSkipException, match="is another one by now"):
        a_task(shop, plan=task.plan, on_refused="skip").execute(context)
    with pytest.raises(AirflowFailException, match=r"plan_moved: .* is another one by now"):
        say(task, context, parked, "Approve", "bob")
    assert desk.asked == 1


def test_a_plan_that_could_not_go_anyway_is_put_before_nobody(waiting: Any, desk: Desk) -> None:
    shop = waiting()
    shop.engine.hold("production", "ops", "audit")
    with pytest.raises(AirflowFailException, match=r"held: production is held .* audit"):
        a_task(shop).execute(a_context())
    assert (desk.asked, shop.engine.approvals.of("production")) == (0, ())


def test_what_the_plan_was_asked_with_is_told_and_agreed_to(waiting: Any, desk: Desk) -> None:
    shop = waiting()
    asked_with = {"require_tests": False, "reason": "a hot fix", "allow_removals": True, "soak": "PT12H"}
    task, context = a_task(shop, plan={**planned(shop), "asked_with": asked_with}), a_context(user="alice")
    parked = ask(task, context)
    assert desk.shown.subject.startswith(
        "Promote 4 models from staging to production, soak shorter than policy asks and"
    )
    assert "- Bypass: soak shorter than policy asks (12 h).\n- Bypass: tests skipped.\n- Reason: a hot fix\n" in (
        desk.shown.body
    )
    assert "\n- Removals are allowed.\n\n---\n" in desk.shown.body
    assert say(task, context, parked, "Approve", "bob")["approved"] is True

    as_asked = PromotionRequest(target="production", agreed=a_shown(task), actor="alice")
    (verdict,) = [one for _, one in shop.engine.plan(as_asked).refusals]
    assert verdict.code == "approved_otherwise"


def test_what_was_answered_to_other_choices_is_not_recorded(waiting: Any, desk: Desk) -> None:
    shop = waiting()
    task, context = a_task(shop), a_context(user="alice")
    parked = ask(task, context)
    other = PromotionRequest(
        target="production", to_approve=True, agreed=a_shown(task), require_tests=False, reason="now", actor="eve"
    )
    shop.clock.pass_by(timedelta(minutes=1))
    plan = shop.engine.plan(other)
    assert plan.plan_id == planned(shop)["plan_id"]
    shop.engine.approvals.ask(other, plan, Person(name="eve", identity=Identity.CLAIMED))
    with pytest.raises(AirflowFailException, match="eve asked people about the same plan with other choices"):
        say(task, context, parked, "Approve", "bob")
    assert votes(shop) == []
    assert desk.asked == 1


def test_it_does_not_let_people_answer_the_question_of_an_earlier_attempt(waiting: Any, desk: Desk) -> None:
    shop = waiting()
    ask(a_task(shop), a_context(user="alice"))
    shop.engine.hold("production", "ops", "audit")
    shop.engine.release("production", "ops", "over")
    shop.change(release(code={"revenue": "select 2"}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    with pytest.raises(AirflowFailException, match="trigger a new run"):
        a_task(shop).execute(a_context(FakeTaskInstance(try_number=2), user="alice"))
    assert planned(shop)["plan_id"] not in desk.shown.body


def test_it_does_not_let_people_answer_an_earlier_question_that_asked_for_more(waiting: Any, desk: Desk) -> None:
    shop = waiting()
    ask(a_task(shop, plan={**planned(shop), "asked_with": {"allow_removals": True}}), a_context(user="alice"))
    with pytest.raises(AirflowFailException, match="trigger a new run"):
        a_task(shop).execute(a_context(FakeTaskInstance(try_number=2), user="alice"))
    assert "Removals are allowed" in desk.shown.body


def test_other_choices_that_are_asked_between_a_look_and_the_record_take_no_word(
    waiting: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = waiting()
    task, context = a_task(shop), a_context(user="alice")
    parked = ask(task, context)
    other = PromotionRequest(target="production", to_approve=True, agreed=a_shown(task), force=True, actor="eve")
    read, plan = shop.store.read, shop.engine.plan(other)
    looks = iter(range(100))

    def overtaken(environment: Any) -> Any:
        found = read(environment)
        if next(looks) == 1:
            shop.clock.pass_by(timedelta(minutes=1))
            shop.engine.approvals.ask(other, plan, Person(name="eve", identity=Identity.CLAIMED))
        return found

    monkeypatch.setattr(shop.store, "read", overtaken)
    with pytest.raises(AirflowFailException, match="eve asked people about the same plan with other choices"):
        say(task, context, parked, "Approve", "bob")
    assert votes(shop) == []
    assert desk.asked == 1


def test_an_airflow_that_does_not_tell_who_answered_is_no_approval(waiting: Any, desk: Desk) -> None:
    shop = waiting()
    task, context = a_task(shop), a_context(user="alice")
    parked = ask(task, context)
    event = {key: value for key, value in DEFAULT.items() if key != "responded_by_user"}
    with pytest.raises(AirflowFailException, match="apache-airflow-providers-standard"):
        task.execute_complete(context, event, **parked.memo)
    with pytest.raises(RuntimeError, match="could not take the answer"):
        task.execute_complete(context, {"error": "no", "error_type": "validation"}, **parked.memo)
    assert votes(shop) == []
    assert desk.asked == 1


def test_arguments_come_out_of_templates_and_bad_ones_are_told(waiting: Any, desk: Desk) -> None:
    shop = waiting()
    ask(a_task(shop, plan=str(planned(shop)), approvers="bob, carol"), a_context())
    assert [user.id for user in desk.shown.assigned_users] == ["bob", "carol"]
    for told in ('["bob", "carol"]', "['bob', {'id': 'carol', 'name': 'Carol'}]"):
        desk.shown = None
        ask(a_task(shop, approvers=told), a_context())
        assert [user.id for user in desk.shown.assigned_users] == ["bob", "carol"]
    assert set(PromotionApprovalOperator.template_fields) >= {"plan", "target_environment", "approvers"}
    for wrong, told in (
        ({"plan": "None"}, "plan"),
        ({"plan": "what"}, "is no plan"),
        ({"plan": {"models": []}}, "missing required field `plan_id`"),
        ({"approvers": [3]}, "3 names no user"),
        ({"approvers": 3}, "no list of users"),
        ({"approvers": "[3"}, "no list of names"),
        ({"approvers": ""}, "names nobody"),
        ({"approvers": "None"}, "names nobody"),
        ({"approvers": []}, "names nobody"),
        ({"target_environment": "nowhere"}, "nowhere"),
    ):
        with pytest.raises(AirflowFailException, match=told):
            a_task(shop, **wrong).execute(a_context())
    with pytest.raises(ValueError, match="sometimes"):
        a_task(shop, on_rejected="sometimes")


def test_notifiers_run_each_time_it_asks(waiting: Any, desk: Desk) -> None:
    shop, told = waiting(min_approvals=2), list[str]()

    def notify(context: Any) -> None:
        told.append(context["dag_run"].dag_id)

    task, context = a_task(shop, notifiers=[notify]), a_context(user="alice")
    _parked(lambda: say(task, context, ask(task, context), "Approve", "bob"))
    assert told == ["a dag", "a dag"]
    assert desk.asked == 2
