"""Who recorded a run of others, when, and from when on it counts towards soak.

Runs are ordered by their own ends. What they earn counts no earlier than `record_within` before they were recorded, so
that nobody dates a run back; a reason, which stays on record, lets their own time count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import BypassKind
from airflow_dbt_promotion.core.identity import ModelId, PlanId
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.core.state import Bypass, EnvironmentState, Evidence


class Recorded(Struct, frozen=True, kw_only=True):
    """When and by whom a run of others was recorded.

    It counts towards soak from `earliest` on, but by its own time where there was a `reason` for that. `vars` are those
    of the run that may differ from run to run, as JSON; `unverified_place`: it could not be told which warehouse it
    went to.
    """

    at: datetime
    by: str
    earliest: datetime
    reason: str | None = None
    vars: Mapping[str, str] = {}
    unverified_place: bool = False

    def counts_from(self, run: Run) -> datetime | None:
        """Return from when on a run counts towards soak, None where that is its own end."""
        return self.earliest if self.reason is None and self.earliest > run.finished_at else None


def witnessed(recorded: Recorded | None, run: Run, before: Evidence | None, after: Evidence) -> Evidence:
    """Return evidence with who recorded it, and from when on its first pass counts.

    A run that is recorded again changes nothing, and no run makes a first pass earlier.
    """
    if recorded is not None and recorded.reason is not None:
        after = replace(after, counts_from=None)
    if after == before:
        return after
    if after.first_pass is None or before is None or before.first_pass is None:
        counts_from = recorded.counts_from(run) if recorded is not None and after.first_pass is not None else None
        after = replace(after, counts_from=counts_from)
    if recorded is None:
        return after
    return replace(
        after,
        recorded_at=recorded.at,
        recorded_by=recorded.by,
        run_vars=recorded.vars,
        unverified_place=recorded.unverified_place,
    )


def counted_fully(
    state: EnvironmentState, recorded: Recorded, run: Run, models: Collection[ModelId]
) -> EnvironmentState:
    """Return the document in which some models count by the run's own time, on record as a bypass.

    `models` are those that the run built and that stand since then.
    """
    fully = {model: replace(state.current[model], counts_from=None) for model in models}
    bypass = Bypass(
        kind=BypassKind.OLD_EVIDENCE,
        at=recorded.at,
        actor=recorded.by,
        reason=recorded.reason or "",
        plan_id=PlanId(run.invocation_id),
        models={model: entry.version for model, entry in fully.items()},
    )
    return replace(state, current={**state.current, **fully}, bypasses=(*state.bypasses, bypass))
