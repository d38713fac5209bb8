"""What can be asked of the engine, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.state import PromotedModel, PromotionOutcome


class PromotionRequest(Struct, frozen=True, kw_only=True):
    """One promotion as it is asked for. What is None is left to the policy of the target environment.

    `models` are names (None: all that may go), `select` a dbt selector; at most one of both. `soak` under the policy's
    is a bypass and needs a `reason`, so does `require_tests=False`. `run_tests` runs in the source what evidence lacks.
    `lock_timeout` is in seconds.
    """

    target: str
    source: str | None = None
    models: tuple[str, ...] | None = None
    select: str | None = None
    soak: timedelta | None = None
    min_successful_runs: int | None = None
    require_tests: bool = True
    reason: str | None = None
    update_state: bool = True
    dry_run: bool = False
    run_tests: bool = False
    include_upstream: bool = False
    include_downstream: bool = False
    allow_stale_downstream: bool = False
    allow_removals: bool = False
    force: bool = False
    strategy: Strategy | None = None
    on_incremental_change: IncrementalChange | None = None
    lock_timeout: float = 60.0
    actor: str = "unknown"
    link: str | None = None


class Promotion(Struct, frozen=True, kw_only=True):
    """A plan with its outcome. `models` says what became of each change once it was carried out, and is empty before.

    `words` are dbt's own where something failed. `dry_run` says that nothing was to be carried out.
    """

    plan: Plan
    outcome: PromotionOutcome
    started_at: datetime
    finished_at: datetime
    message: str = ""
    models: Mapping[ModelId, PromotedModel] = {}
    words: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False
