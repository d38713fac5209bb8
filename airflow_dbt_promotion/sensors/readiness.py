"""Whether what is waited for is there: a plan's verdicts, read for a sensor.

The gates are asked by the same code as for a promotion (`engine.plan`); of their verdicts a sensor reads those that are
about one model's way through the source (is it there, is it tested, has it soaked), and whether people stopped it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.change import Change
from airflow_dbt_promotion.core.eligibility import GateName, Status, Verdict
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.instants import duration
from airflow_dbt_promotion.core.names import Names, split
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.policy import policy_for
from airflow_dbt_promotion.core.rejection_gate import is_rejected
from airflow_dbt_promotion.engine import Engine, PromotionRequest
from airflow_dbt_promotion.sensors.waiting import Waiting

_OWN = frozenset({GateName.SOURCE, GateName.TESTS, GateName.SOAK, GateName.BLOCK, GateName.HOLD})
_NOTHING = "nothing is on its way"


class Ready(Struct, frozen=True):
    """What was waited for is there: these models, by unique id."""

    models: tuple[ModelId, ...]


class NotYet(Struct, frozen=True, kw_only=True):
    """Time or the next runs can bring it; ask again at `ask_at`. `reasons` tell what is missing."""

    ask_at: datetime
    reasons: tuple[str, ...]


class Never(Struct, frozen=True):
    """Only people can bring it, and here is why."""

    reasons: tuple[str, ...]


Answer = Ready | NotYet | Never


class Question(Struct, frozen=True, kw_only=True):
    """What is asked, and the plan that knows the answer. `soak` is the longest that is asked of any model, `known` are
    all models that are remembered anywhere.
    """

    plan: Plan
    named: bool
    soak: timedelta
    now: datetime
    known: frozenset[ModelId]

    def names(self, models: Sequence[ModelId]) -> list[str]:
        """Return the shortest unambiguous name of each model, sorted."""
        names = Names(self.known | set(models))
        return sorted(names.shortest(model) for model in models)


def question(engine: Engine, target: str | None, models: str | Sequence[str] | None, soak: str | None) -> Question:
    """Return the question for a target environment (None: the last of the path), with at least the soak that its policy
    asks for. Raises InputError, MachineError.
    """
    environment = engine.path.last() if target is None else engine.path.get(target)
    more = None if soak is None else duration(soak)
    return question_of(
        engine, PromotionRequest(target=environment.name, models=split(models), soak=more, at_least=True)
    )


def question_of(engine: Engine, request: PromotionRequest) -> Question:
    """Return the question of a request.

    It is the plan of `record`, which needs no dbt where the models are known. Raises InputError, MachineError.
    """
    plan = engine.plan(replace(request, strategy=Strategy.RECORD))
    states = [engine.observer.state(place.name) for place in engine.path.environments]
    known = frozenset(model for state in states if state is not None for model in state.current)
    return Question(
        plan=plan, named=request.models is not None, soak=_longest(engine, request), now=plan.computed_at, known=known
    )


def _longest(engine: Engine, request: PromotionRequest) -> timedelta:
    """Return the longest soak that a request asks of any model."""
    policy = policy_for(engine.path.get(request.target), None).soak
    if request.soak is None or request.at_least:
        return max(policy, request.soak or timedelta(0))
    return request.soak


def answer(asked: Question, waiting: Waiting, recheck: timedelta) -> Answer:
    """Return what a plan answers.

    Named models of which the target holds the version already are ready. A wait whose end nobody knows is asked again
    after `recheck`.
    """
    plan = asked.plan
    if closed := [verdict for verdict in plan.verdicts if verdict.gate in _OWN and not verdict.passed]:
        return Never(tuple(verdict.reason for verdict in closed))
    coming = (*plan.changes, *(plan.held if asked.named else _without_rejected(plan.held)))
    found = {change.model: shut for change in coming if (shut := _shut(change)) is not None}
    ready = [model for model, shut in found.items() if not shut] + (list(plan.already_current) if asked.named else [])
    open_yet = {model: shut for model, shut in found.items() if shut and not _blocked(shut)}
    blocked = {model: shut for model, shut in found.items() if _blocked(shut)}
    instants = [_ask_at(shut, asked.now, recheck) for shut in open_yet.values()]
    reasons = _reasons({**open_yet, **blocked})
    match waiting:
        case Waiting.ALL if blocked:
            return Never(_reasons(blocked))
        case Waiting.ALL if instants:
            return NotYet(ask_at=max(instants), reasons=reasons)
        case Waiting.ANY if not ready and blocked and not open_yet:
            return Never(reasons)
        case Waiting.ANY if not ready:
            return NotYet(ask_at=min(instants, default=asked.now + recheck), reasons=reasons or (_NOTHING,))
        case _:
            return Ready(tuple(sorted(ready)))


def _without_rejected(held: Sequence[Change]) -> tuple[Change, ...]:
    """Return what is held back without the versions that people rejected, and what cannot go without these: none of
    them is on its way.
    """
    if not any(is_rejected(change) for change in held):
        return tuple(held)
    return tuple(change for change in held if not is_rejected(change) and not _needs_people(change))


def _needs_people(change: Change) -> bool:
    """Say whether a change waits for another one that only people can let go."""
    return any(verdict.code == "needs_other" and verdict.status is Status.BLOCKED for verdict in change.verdicts)


def _blocked(shut: Sequence[Verdict]) -> bool:
    """Say whether a gate is among them that only people can open."""
    return any(verdict.status is Status.BLOCKED for verdict in shut)


def _shut(change: Change) -> tuple[Verdict, ...] | None:
    """Return the shut gates of a model's way through the source; None for a removal, which has no such way."""
    own = [verdict for verdict in change.verdicts if verdict.gate in _OWN or verdict.code == "rejected"]
    return tuple(verdict for verdict in own if not verdict.passed) if own else None


def _ask_at(shut: tuple[Verdict, ...], now: datetime, recheck: timedelta) -> datetime:
    """Return when asking again can bring another answer: not before the last instant that is known, and for what nobody
    knows after `recheck`.
    """
    return max(verdict.eligible_at or now + recheck for verdict in shut)


def _reasons(shut: Mapping[ModelId, tuple[Verdict, ...]]) -> tuple[str, ...]:
    """Return a sentence for each shut gate of each model."""
    return tuple(f"{model}: {verdict.reason} ({verdict.code})" for model in sorted(shut) for verdict in shut[model])
