"""Planning: from a situation and a question to a plan."""

from __future__ import annotations

from datetime import datetime

from airflow_dbt_promotion.core.candidates import Candidates
from airflow_dbt_promotion.core.consent import consented
from airflow_dbt_promotion.core.eligibility import GateName, blocked, blocked_version, judge, rejected_version
from airflow_dbt_promotion.core.environment import Candidate
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.plan import Plan, Question, Situation, plan_id
from airflow_dbt_promotion.core.state import Entry, EnvironmentState
from airflow_dbt_promotion.core.weighing import Weighing

_MOST_TRIES = 40
"""How often older candidates are tried where newer ones cannot stand together."""


def plan(situation: Situation, question: Question) -> Plan:
    """Return the plan for a question in a situation.

    Models named: the plan holds all of them and is refused where one gate of one is shut. None named: it holds the
    largest coherent set that may go now, and `held` tells of the rest.

    Where a newer candidate of some models cannot stand with the others, older ones that may go are tried.
    """
    if situation.source_state is None:
        return _never_recorded(situation, question)
    candidates = _candidates(situation, question, situation.source_state)
    before: dict[ModelId, datetime] = {}
    tries: list[tuple[int, Plan]] = []
    while True:
        weighing = Weighing(situation, question, candidates.view(before), situation.source_state)
        found = consented(weighing, situation, question)
        tries.append((weighing.score(found), found))
        stuck = {model: since for model, since in weighing.stuck(found).items() if candidates.has_older(model, since)}
        if not stuck or len(tries) == _MOST_TRIES:
            break
        before |= dict.fromkeys(stuck, max(stuck.values()))
    return max(tries, key=_first)[1]


def _first(scored: tuple[int, Plan]) -> int:
    return scored[0]


def _candidates(situation: Situation, question: Question, source: EnvironmentState) -> Candidates:
    """Return the candidates of every model."""
    only_current = situation.target.candidate is Candidate.CURRENT or situation.source.working

    def ready(model: ModelId, entry: Entry) -> bool:
        if only_current and entry is not source.current[model]:
            return False
        if entry.version != question.pinned.get(model, entry.version):
            return False
        if blocked_version(model, entry.version, source, situation.target_state):
            return False
        if question.models is None and rejected_version(model, entry.version, situation.target_state):
            return False
        asked = question.asked_of(model, situation, entry)
        verdicts = judge(model, source, asked, situation.now, situation.others, entry)
        return all(verdict.passed for verdict in verdicts)

    return Candidates(source, situation.target_state, ready, question.named)


def _never_recorded(situation: Situation, question: Question) -> Plan:
    """Return the refused plan of a source of which nothing is known."""
    name = situation.source.name
    reason = f"nothing was ever recorded for {name}; run dbt there and then `dbt-promote record --environment {name}`"
    return Plan(
        plan_id=plan_id(name, situation.target.name, (), ""),
        source=name,
        target=situation.target.name,
        strategy=question.choices.strategy,
        precondition="",
        changes=(),
        verdicts=(blocked(GateName.SOURCE, "source_never_recorded", reason),),
        choices=question.choices,
        computed_at=situation.now,
    )
