"""What moved between a plan that people were shown and the one that comes out now, in sentences."""

from __future__ import annotations

from msgspec.structs import replace

from airflow_dbt_promotion.core.approvals import AgreedPlan, ApprovedChange
from airflow_dbt_promotion.core.eligibility import GateName, blocked
from airflow_dbt_promotion.core.identity import ModelId, Version, bare_name, short
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome

_TOLD = 8
"""How many of the models that moved are told."""


def as_approved(plan: Plan) -> dict[ModelId, ApprovedChange]:
    """Return the changes of a plan as people are shown them."""
    return {
        change.model: ApprovedChange(
            change=change.kind.value, from_version=change.from_version, to_version=change.to_version
        )
        for change in plan.changes
    }


def is_there(agreed: AgreedPlan, plan: Plan, target: EnvironmentState) -> bool:
    """Say whether a plan was carried out already: the target holds every version that it brings.

    Where it brings no other version (tests and descriptions, a rebuild by force), asking for it again tells.
    """
    left = {change.model for change in plan.changes}
    held = {model: entry.version for model, entry in target.current.items()}
    return all(
        held.get(model) == told.to_version and (told.from_version != told.to_version or model not in left)
        for model, told in agreed.models.items()
    )


def was_there(agreed: AgreedPlan, target: EnvironmentState) -> bool:
    """Say whether a plan was carried out, be it that other versions came since: the target holds, or once held, every
    version that it brought. Of one that brings no other version, history tells as far as it goes.
    """
    done = {record.plan_id for record in target.history if record.outcome is PromotionOutcome.PROMOTED}
    brought = {m: told.to_version for m, told in agreed.models.items() if told.from_version != told.to_version}
    return agreed.plan_id in done or (
        bool(brought) and all(_ever_stood(target, model, version) for model, version in brought.items())
    )


def _ever_stood(target: EnvironmentState, model: ModelId, version: Version | None) -> bool:
    """Say whether a target holds or held a version; of None: that it does not hold the model."""
    held = target.current.get(model)
    if version is None:
        return held is None
    left = {stay.version for stay in target.stays.get(model, ())}
    return version in left or (held is not None and held.version == version)


def held_to(agreed: AgreedPlan, plan: Plan, target: EnvironmentState) -> Plan:
    """Return a plan, refused where it is not the one that was agreed to; who approves of this one is no matter then.

    Where that was carried out already, nothing is left to do.
    """
    if is_there(agreed, plan, target):
        return replace(plan, changes=())
    told = what_moved(agreed, plan)
    if not told:
        return plan
    if not _differences(agreed, plan) and any(verdict.gate is GateName.HOLD for verdict in plan.verdicts):
        # What is approved is approved still once the hold is lifted, for a hold is part of a plan's id.
        return replace(plan, verdicts=tuple(one for one in plan.verdicts if one.gate is not GateName.APPROVAL))
    reason = f"the plan {short(agreed.plan_id)} that was agreed to is another one by now: {'; '.join(told)}; plan again"
    others = (verdict for verdict in plan.verdicts if verdict.gate is not GateName.APPROVAL)
    return replace(plan, verdicts=(blocked(GateName.SOURCE, "plan_moved", reason), *others))


def what_moved(agreed: AgreedPlan, plan: Plan) -> tuple[str, ...]:
    """Return a sentence for each thing that moved since a plan was shown, none where it is the same plan."""
    if agreed.plan_id in plan.ids:
        return ()
    told = _differences(agreed, plan)
    if not told:
        return (f"what {plan.target} holds, its tests, or what is blocked or held there",)
    more = [f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
    return (*told[:_TOLD], *more)


def _differences(agreed: AgreedPlan, plan: Plan) -> list[str]:
    """Return a sentence for each change, and each model that it rests on, that is another one now."""
    now = as_approved(plan)
    told = [
        _change(model, agreed.models.get(model), now.get(model))
        for model in sorted(agreed.models.keys() | now.keys())
        if agreed.models.get(model) != now.get(model)
    ]
    before, after = agreed.rests_on, plan.rests_on
    told += [
        f"{bare_name(model)}, which it rests on: {short(before.get(model))}, now {short(after.get(model))}"
        for model in sorted(before.keys() | after.keys())
        if model not in agreed.models.keys() | now.keys() and before.get(model) != after.get(model)
    ]
    return told


def _change(model: ModelId, before: ApprovedChange | None, now: ApprovedChange | None) -> str:
    """Return what became of one change."""
    name = bare_name(model)
    if now is None:
        return f"{name} is not in it any more"
    if before is None:
        return f"{name} came into it ({_way(now)})"
    return f"{name}: {_way(before)} was shown, now it is {_way(now)}"


def _way(change: ApprovedChange) -> str:
    """Return from what to what a change goes."""
    return f"{change.change}, {short(change.from_version)} to {short(change.to_version)}"
