"""Choices: what a caller decided for one promotion, on top of policy."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange, Strategy


class Choices(Struct, frozen=True, kw_only=True):
    """What the caller chose for one promotion. `bypasses` are those that this request uses, all for one `reason`."""

    include_upstream: bool = False
    include_downstream: bool = False
    include_macro_users: bool = False
    allow_stale_downstream: bool = False
    allow_removals: bool = False
    force: bool = False
    strategy: Strategy = Strategy.BUILD
    on_incremental_change: IncrementalChange = IncrementalChange.BLOCK
    bypasses: frozenset[BypassKind] = frozenset()
    reason: str | None = None
