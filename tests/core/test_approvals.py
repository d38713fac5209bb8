"""The approval gate: whose word counts, for which plan, for how long; and what moved since people were shown a plan."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_gate import Approved, Asked, approved, outvoted, unapproved
from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approvals import Approval, ApprovedChange, Decision, Identity, Vote
from airflow_dbt_promotion.core.approving import KEPT, asked, found, named, voted
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.codec import encode
from airflow_dbt_promotion.core.eligibility import GateName, blocked, passed, waiting
from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange, Strategy
from airflow_dbt_promotion.core.errors import AskedOtherwiseError, ConfigError, CorruptStateError, NotAskedError
from airflow_dbt_promotion.core.identity import EnvironmentName, PlanId, Version
from airflow_dbt_promotion.core.moving import was_there, what_moved
from airflow_dbt_promotion.core.planning import plan
from airflow_dbt_promotion.core.stays import leave
from tests.scenarios import DAY, NOON, agreed_of, dbt_run, empty_state, model_id, question, recorded, release, situation

PRODUCTION = EnvironmentName("production")
PLAN = PlanId("ab" * 32)
ORDERS = model_id("orders")
NAMES = ("raw_orders", "stg_orders", "orders", "revenue")
STAGED = recorded(release(), dbt_run(release(), NOON))
SHOWN = ApprovedChange(change="added", from_version=None, to_version=Version("11" * 16))


def approval(*votes: Vote, **fields: object) -> Approval:
    made = Approval(
        plan_id=PLAN,
        source=EnvironmentName("staging"),
        models={ORDERS: SHOWN},
        rests_on={},
        choices=Choices(),
        soak=None,
        runs=None,
        requested_at=NOON,
        requested_by="ann",
        identity=Identity.AIRFLOW,
        votes=votes,
    )
    return replace(made, **fields)


def yes(actor: str, at: datetime = NOON, identity: Identity = Identity.AIRFLOW) -> Vote:
    return Vote(decision=Decision.APPROVE, at=at, actor=actor, identity=identity)


def no(actor: str, comment: str = "") -> Vote:
    return Vote(decision=Decision.REJECT, at=NOON, actor=actor, identity=Identity.AIRFLOW, comment=comment)


def answer(
    of: Approval | None, *policies: ApprovalPolicy, choices: Choices | None = None, **fields: object
) -> Approved:
    question = Asked(
        target=PRODUCTION,
        plan_id=PLAN,
        choices=choices or Choices(),
        soak=None,
        rows={},
        approval=of,
        promoter=None,
        now=NOON,
    )
    return approved(replace(question, **fields), policies or (ApprovalPolicy(),))


def code(found: Approved) -> str:
    assert found.verdict.gate is GateName.APPROVAL
    return found.verdict.code


def test_one_more_than_policy_asks_outvotes_a_no() -> None:
    two = ApprovalPolicy(min_approvals=2)
    assert code(answer(approval(yes("bob"), yes("dee"), no("cy")), two)) == "rejected"
    assert answer(approval(yes("bob"), yes("dee"), yes("eve"), no("cy")), two).by == ("bob", "dee", "eve")
    assert code(answer(approval(yes("bob"), yes("cy"), no("cy")))) == "rejected"


def test_where_policy_asks_nobody_one_outvotes_a_rejection() -> None:
    asked = Asked(
        target=PRODUCTION,
        plan_id=PLAN,
        choices=Choices(),
        soak=None,
        rows={},
        approval=approval(replace(yes("bob"), identity=Identity.CLAIMED)),
        promoter=None,
        now=NOON,
    )
    assert outvoted(asked, (), {"cy"}) == ("bob",)
    assert outvoted(asked, (), {"Bob"}) == ()
    assert outvoted(replace(asked, approval=None), ()) == ()


def test_a_bypass_overrules_a_no_and_stands_in_for_no_approval() -> None:
    chosen = Choices(bypasses=frozenset({BypassKind.OVERRULE_REJECTION}), reason="the audit is over")
    refused = replace(approval(no("cy")), choices=chosen)
    assert code(answer(refused, choices=chosen)) == "approval_needed"
    assert answer(replace(approval(no("cy"), yes("bob")), choices=chosen), choices=chosen).by == ("bob",)


def test_nobody_asked_and_nothing_said_are_told_apart() -> None:
    unasked, unsaid = answer(None), answer(approval())
    assert code(unasked) == code(unsaid) == "approval_needed"
    assert "nobody was asked yet" in unasked.verdict.reason
    assert "dbt-promote ask --target-environment production" in unasked.verdict.reason
    assert unsaid.verdict.reason == "production asks for an approval of this plan, and none counts yet"
    assert "2 approvals" in answer(None, ApprovalPolicy(), ApprovalPolicy(min_approvals=2)).verdict.reason


def test_a_yes_opens_the_gate_and_is_told() -> None:
    opened = answer(approval(yes("bob")))
    assert (opened.verdict.passed, opened.by) == (True, ("bob",))
    assert opened.verdict.reason == "approved by bob"


def test_several_people_have_to_say_yes_and_one_person_counts_once() -> None:
    two = ApprovalPolicy(min_approvals=2)
    short = answer(approval(yes("bob"), yes("bob")), two)
    assert code(short) == "approval_needed"
    assert short.verdict.reason.endswith("asks for 2 approvals of this plan, and 1 counts so far")
    assert answer(approval(yes("bob"), yes("cy")), two).by == ("bob", "cy")
    three = answer(approval(yes("bob"), yes("cy")), ApprovalPolicy(min_approvals=3))
    assert "2 count so far" in three.verdict.reason


def test_a_no_shuts_it_until_that_person_says_yes() -> None:
    refused = answer(approval(yes("bob"), no("cy", "not before the audit")))
    assert code(refused) == "rejected"
    assert refused.verdict.reason == 'cy at 2026-07-24 12:00 UTC ("not before the audit") rejected this plan'
    assert answer(approval(yes("bob"), no("cy"), yes("cy"))).by == ("bob", "cy")
    claimed = replace(no("cy"), identity=Identity.CLAIMED)
    assert "cy (a claimed name) at" in answer(approval(claimed)).verdict.reason


def test_who_only_claims_a_name_takes_back_nobodys_word() -> None:
    claimed = replace(yes("cy"), identity=Identity.CLAIMED)
    assert code(answer(approval(yes("bob"), no("cy"), claimed), ApprovalPolicy(trust_claimed=True))) == "rejected"
    said_no = replace(no("cy"), identity=Identity.CLAIMED)
    assert code(answer(approval(yes("cy"), said_no))) == "rejected"
    assert answer(approval(said_no, yes("cy"))).by == ("cy",)


def test_an_older_word_that_arrives_late_takes_back_no_newer_one() -> None:
    said_no = replace(no("cy"), at=NOON + timedelta(minutes=2), identity=Identity.CLAIMED)
    late = answer(approval(said_no, yes("cy", NOON)), now=NOON + DAY)
    assert code(late) == "rejected"
    assert answer(approval(said_no, yes("cy", NOON + timedelta(minutes=3))), now=NOON + DAY).by == ("cy",)


def test_one_person_is_one_however_the_name_is_written() -> None:
    policy = ApprovalPolicy(min_approvals=2, trust_claimed=True)
    twice = approval(yes("bob"), replace(yes("Bob "), identity=Identity.CLAIMED))
    assert code(answer(twice, policy)) == "approval_needed"
    assert code(answer(approval(yes("Ann")), ApprovalPolicy(four_eyes=True))) == "four_eyes"
    assert answer(approval(yes("Ann")), ApprovalPolicy(approvers=("ann",))).by == ("Ann",)


def test_with_four_eyes_neither_who_asks_nor_who_promotes_counts() -> None:
    policy = ApprovalPolicy(four_eyes=True)
    assert code(answer(approval(yes("ann")), policy)) == "four_eyes"
    assert code(answer(approval(yes("bob")), policy, promoter="bob")) == "four_eyes"
    assert answer(approval(yes("ann"), yes("bob")), policy, promoter="ann").by == ("bob",)
    assert answer(approval(yes("ann"))).by == ("ann",)


def test_a_claimed_name_counts_only_where_policy_trusts_it() -> None:
    claimed = approval(yes("bob", identity=Identity.CLAIMED))
    assert code(answer(claimed)) == "claimed_only"
    assert answer(claimed, ApprovalPolicy(trust_claimed=True)).by == ("bob",)


def test_only_the_approvers_that_policy_names_count() -> None:
    policy = ApprovalPolicy(approvers=("cy",))
    assert code(answer(approval(yes("bob")), policy)) == "not_an_approver"
    assert answer(approval(yes("bob"), yes("cy")), policy).by == ("cy",)


def test_a_yes_expires_and_its_last_instant_counts() -> None:
    said, policy = approval(yes("bob")), ApprovalPolicy(expires_after=DAY)
    assert answer(said, policy, now=NOON + DAY).verdict.passed
    late = answer(said, policy, now=NOON + DAY + timedelta(seconds=1))
    assert code(late) == "approval_expired"
    assert "it expired at 2026-07-25 12:00 UTC" in late.verdict.reason


def test_several_reasons_are_all_told() -> None:
    policy = ApprovalPolicy(min_approvals=2, four_eyes=True)
    shut = answer(approval(yes("ann"), yes("bob", identity=Identity.CLAIMED), yes("cy")), policy)
    assert code(shut) == "approval_needed"
    assert shut.verdict.reason == (
        "production asks for 2 approvals of this plan, and 1 counts so far; ann's does not: who asks, or promotes, "
        "cannot approve; bob's does not: the name is only claimed, and policy does not trust that"
    )


def test_each_policy_has_to_be_satisfied() -> None:
    both = (ApprovalPolicy(approvers=("bob",)), ApprovalPolicy(approvers=("cy",)))
    assert code(answer(approval(yes("bob")), *both)) == "not_an_approver"
    assert answer(approval(yes("bob"), yes("cy")), *both).by == ("bob", "cy")


@pytest.mark.parametrize(
    "choices",
    [
        Choices(bypasses=frozenset({BypassKind.SKIP_TESTS}), reason="hotfix"),
        Choices(on_incremental_change=IncrementalChange.FULL_REFRESH),
        Choices(allow_stale_downstream=True),
        Choices(allow_removals=True),
        Choices(force=True),
        Choices(strategy=Strategy.RECORD),
    ],
)
def test_a_yes_to_other_choices_does_not_count(choices: Choices) -> None:
    assert code(answer(approval(yes("bob")), choices=choices)) == "approved_otherwise"


def test_a_yes_to_a_bypass_is_for_just_that_soak_and_that_reason() -> None:
    short = Choices(bypasses=frozenset({BypassKind.SHORT_SOAK}), reason="hotfix")
    said = approval(yes("bob"), choices=short, soak=DAY)
    assert answer(said, choices=short, soak=DAY).verdict.passed
    assert code(answer(said, choices=short, soak=timedelta(0))) == "approved_otherwise"
    assert code(answer(said, choices=replace(short, reason="because"), soak=DAY)) == "approved_otherwise"
    assert answer(approval(yes("bob"), soak=DAY), choices=Choices(reason="a note"), soak=2 * DAY).verdict.passed


def test_a_yes_is_to_what_becomes_of_rows_whoever_said_that() -> None:
    said = approval(yes("bob"), rows={ORDERS: IncrementalChange.FORWARD_ONLY})
    assert answer(said, rows={ORDERS: IncrementalChange.FORWARD_ONLY}).verdict.passed
    assert code(answer(said, rows={ORDERS: IncrementalChange.FULL_REFRESH})) == "approved_otherwise"


def test_how_it_is_built_is_not_agreed_to() -> None:
    built = Choices(strategy=Strategy.BLUE_GREEN, include_upstream=True)
    assert answer(approval(yes("bob")), choices=built).verdict.passed


def test_only_an_approval_is_missing_where_no_other_gate_is_shut() -> None:
    missing = blocked(GateName.APPROVAL, "approval_needed", "")
    assert unapproved([missing, passed(GateName.TESTS, "passed", "")])
    assert unapproved([missing, waiting(GateName.WINDOW, "window_closed", "", NOON)])
    assert not unapproved([missing, waiting(GateName.TESTS, "incomplete", "")])
    assert not unapproved([waiting(GateName.WINDOW, "window_closed", "", NOON)])
    assert not unapproved([])


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"min_approvals": 0}, "approval.min_approvals"),
        ({"min_approvals": 21}, "approval.min_approvals"),
        ({"expires_after": timedelta(0)}, "approval.expires_after"),
        ({"min_approvals": 2, "approvers": ("bob", "bob")}, "approval.approvers"),
        ({"min_approvals": 2, "approvers": ("bob", "Bob")}, "approval.approvers"),
    ],
)
def test_a_policy_that_nobody_can_satisfy_is_refused(fields: dict[str, object], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ApprovalPolicy(**fields)  # type: ignore[arg-type]  # that is the point
    assert caught.value.where == where


# --- what is written down ---------------------------------------------------------------------------------------------


def test_asking_twice_keeps_what_was_said_and_other_choices_ask_anew() -> None:
    state = voted(asked(empty_state("production"), approval()), PLAN, yes("bob"))
    assert asked(state, approval(requested_by="dan")) is state
    again = asked(state, approval(choices=Choices(force=True)))
    assert [one.votes for one in again.approvals] == [()]


def test_asking_once_more_in_other_words_keeps_what_was_said() -> None:
    state = voted(asked(empty_state("production"), approval()), PLAN, yes("bob"))
    alike = Choices(include_upstream=True, strategy=Strategy.BLUE_GREEN, reason="a note")
    assert asked(state, approval(choices=alike)) is state


def test_a_no_stays_though_it_is_asked_with_other_choices() -> None:
    state = asked(empty_state("production"), approval())
    for vote in (yes("bob"), no("cy"), no("dan"), yes("dan")):
        state = voted(state, PLAN, vote)
    state = asked(asked(state, approval(choices=Choices(force=True))), approval())
    assert [vote.actor for vote in state.approvals[0].votes] == ["cy"]
    assert code(answer(voted(state, PLAN, yes("bob")).approvals[0])) == "rejected"


def test_a_word_is_on_what_was_asked_when_its_speaker_was_shown_it() -> None:
    state = asked(empty_state("production"), approval())
    again = asked(state, approval(choices=Choices(force=True), requested_at=NOON + DAY))
    assert voted(state, PLAN, yes("bob"), asked_at=NOON).approvals[0].votes == (yes("bob"),)
    with pytest.raises(AskedOtherwiseError, match="ann asked people about the plan abababab for production"):
        voted(again, PLAN, yes("bob"), asked_at=NOON)


def test_a_word_said_again_changes_nothing_and_a_plan_that_nobody_was_asked_about_is_an_error() -> None:
    state = voted(asked(empty_state("production"), approval()), PLAN, yes("bob"))
    assert voted(state, PLAN, yes("bob")) is state
    with pytest.raises(NotAskedError, match=r"abababab; `dbt-promote ask"):
        voted(state, PlanId("cd" * 32), yes("bob"))


def test_a_plan_is_named_by_the_beginning_of_its_id_where_that_names_one() -> None:
    other = approval(plan_id=PlanId("abababab" + "0" * 56))
    state = asked(asked(empty_state("production"), approval()), other)
    assert named(state, PLAN).plan_id == PLAN
    assert named(state, "abababab0").plan_id == other.plan_id
    for name in ("abab", "abababab", "ff" * 8):
        with pytest.raises(NotAskedError):
            named(state, name)
    assert found(state, "ff") is None


def test_the_newest_are_remembered() -> None:
    state = empty_state("production")
    for number in range(KEPT + 3):
        state = asked(state, approval(plan_id=PlanId(f"{number:064}")))
    assert [state.approvals[0].plan_id, len(state.approvals)] == [f"{KEPT + 2:064}", KEPT]


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_named_plan_waits_for_its_approval_and_its_id_does_not_depend_on_it() -> None:
    staging, policy = STAGED, ApprovalPolicy()
    free = plan(situation(staging), question(*NAMES))
    asks = plan(situation(staging, approval=policy), question(*NAMES))
    assert free.allowed
    assert not asks.allowed
    assert asks.plan_id == free.plan_id
    target = empty_state("production")
    put = approval(yes("bob", NOON + 9 * DAY), plan_id=free.plan_id, choices=free.choices)
    granted = plan(situation(staging, asked(target, put), approval=policy), question(*NAMES))
    assert granted.allowed
    assert granted.approved_by == ("bob",)
    assert granted.plan_id == free.plan_id


def test_where_nothing_is_named_what_was_not_approved_stays_behind_with_the_reason() -> None:
    asks = plan(situation(STAGED, approval=ApprovalPolicy()), question())
    assert asks.changes == ()
    assert {verdict.code for change in asks.held for verdict in change.verdicts if not verdict.passed} == {
        "approval_needed"
    }
    shown = plan(
        situation(STAGED, approval=ApprovalPolicy()),
        replace(question(), to_approve=True),
    )
    assert len(shown.changes) == len(asks.held)
    assert [verdict.code for verdict in shown.verdicts] == ["approval_needed"]


def test_a_promotion_that_began_while_it_was_approved_is_carried_on_after_that_expired() -> None:
    staging, policy = STAGED, ApprovalPolicy(expires_after=DAY)
    shown = plan(situation(staging), question(*NAMES))
    put = approval(yes("bob"), plan_id=shown.plan_id, choices=shown.choices)
    later = situation(staging, asked(empty_state("production"), put), approval=policy)
    asks = question(*NAMES)
    assert not plan(later, asks).allowed
    assert plan(later, replace(asks, agreed_at=NOON)).allowed


# --- what moved -------------------------------------------------------------------------------------------------------


def test_a_plan_was_there_where_the_target_holds_or_held_what_it_brought() -> None:
    shown = agreed_of(plan(situation(STAGED), question(*NAMES)))
    empty, brought = empty_state("production"), {model: STAGED.current[model] for model in shown.models}
    assert not was_there(shown, empty)
    there = replace(empty, current=brought)
    assert was_there(shown, there)
    for model in brought:
        there = leave(there, model, NOON + DAY)
    assert was_there(shown, there)
    removal = replace(SHOWN, change="removed", from_version=SHOWN.to_version, to_version=None)
    assert was_there(replace(shown, models={ORDERS: removal}), empty)
    assert not was_there(replace(shown, models={ORDERS: removal}), replace(empty, current=brought))
    same = replace(SHOWN, change="metadata", from_version=SHOWN.to_version)
    assert not was_there(replace(shown, models={ORDERS: same}), empty)


def test_nothing_moved_where_the_plan_is_the_same() -> None:
    shown = plan(situation(STAGED), question(*NAMES))
    assert what_moved(agreed_of(shown), shown) == ()


def test_each_thing_that_moved_is_told() -> None:
    shown = plan(situation(STAGED), question(*NAMES))
    agreed = agreed_of(shown)
    moved = replace(shown, plan_id=PLAN)
    other = replace(SHOWN, to_version=Version("22" * 16))
    refunds, revenue = model_id("refunds"), model_id("revenue")
    assert what_moved(agreed, moved) == ("what production holds, its tests, or what is blocked or held there",)
    told = what_moved(replace(agreed, models={ORDERS: other, refunds: other}), moved)
    assert any(line.startswith("orders: added, - to 22222222 was shown, now it is added, - to ") for line in told)
    assert "refunds is not in it any more" in told
    assert any(line.startswith("revenue came into it (added, - to ") for line in told)
    rests = replace(agreed, rests_on={**agreed.rests_on, refunds: other.to_version})
    assert what_moved(rests, moved) == ("refunds, which it rests on: 22222222, now -",)
    many = {model_id(f"m{number}"): SHOWN for number in range(12)}
    assert what_moved(replace(agreed, models={**agreed.models, **many}), moved)[-1] == "and 4 more"
    assert revenue in agreed.models


def test_a_document_in_which_people_were_asked_about_one_plan_twice_is_not_written() -> None:
    twice = replace(empty_state("production"), approvals=(approval(), approval(yes("bob"))))
    with pytest.raises(CorruptStateError, match=r"asked about one plan twice - at `\$\.approvals`"):
        encode(twice)
