"""What can be asked of the engine, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum

from msgspec import Struct

from airflow_dbt_promotion.core.approvals import AgreedPlan
from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, ReleaseId
from airflow_dbt_promotion.core.lock import Holder
from airflow_dbt_promotion.core.orders import RunCommand
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.recording import Recording
from airflow_dbt_promotion.core.rolling_back import Return
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.core.state import PromotedModel, PromotionOutcome

Verify = Callable[["Promotion"], object]
"""What looks at a promotion that was published; False, a text, or an exception says that it does not hold."""


class PromotionRequest(Struct, frozen=True, kw_only=True):
    """One promotion as it is asked for. What is None is left to the policy of the target environment.

    `models` are names (None: all that may go), `select` a dbt selector; at most one of both. `soak` under the policy's
    is a bypass and needs a `reason`, so does `require_tests=False`. `run_tests` runs in the source what evidence lacks.
    `lock_timeout` is in seconds. `run` is what a later attempt at the same work has in common with this one, such as an
    Airflow task instance: what an attempt that died has begun is then carried on.

    `version` is the version to promote of the one model that is named, or `model=version` for several, separated by
    commas; one that is older than what the target holds or held is a bypass and needs a `reason`.
    `overrule_rejection` is one, too: models that are named go though people rejected their versions.

    `verify` runs the tests again in place once it is published, or asks a function; `rollback_on_failure` goes back
    where that fails, and verifies for it.

    `agreed` is the plan that has to come out, with the models of which it is made: any other is refused. `models` and
    `select` are then left out. `to_approve` asks for the plan that is put before people: all that may go but for their
    approval; it is for planning alone. `at_least` means `soak` on top of policy, never in place of it. `finishes`: what
    was opened as this `run` is finished, and nothing is begun.
    """

    target: str
    source: str | None = None
    models: tuple[str, ...] | None = None
    select: str | None = None
    version: str | None = None
    soak: timedelta | None = None
    min_successful_runs: int | None = None
    require_tests: bool = True
    reason: str | None = None
    update_state: bool = True
    dry_run: bool = False
    run_tests: bool = False
    include_upstream: bool = False
    include_downstream: bool = False
    include_macro_users: bool = False
    allow_stale_downstream: bool = False
    allow_removals: bool = False
    overrule_rejection: bool = False
    force: bool = False
    strategy: Strategy | None = None
    on_incremental_change: IncrementalChange | None = None
    verify: bool | Verify | None = None
    rollback_on_failure: bool | None = None
    lock_timeout: float = 60.0
    actor: str = "unknown"
    link: str | None = None
    run: str | None = None
    agreed: AgreedPlan | None = None
    to_approve: bool = False
    at_least: bool = False
    finishes: bool = False

    def __post_init__(self) -> None:
        """Refuse what nobody can ask for: it would be on record, where nobody could read it any more."""
        if self.min_successful_runs is not None and self.min_successful_runs < 0:
            raise ConfigError("min_successful_runs", f"must be 0 or more, and is {self.min_successful_runs}")
        if self.soak is not None and self.soak < timedelta(0):
            raise ConfigError("min_days_in_staging", "must be 0 or more; a soak cannot end before it begins")
        if self.overrule_rejection and not self.is_named:
            raise ConfigError("overrule_rejection", "name the models whose rejection is overruled")

    @property
    def is_named(self) -> bool:
        """Whether it is said which models are asked for, in whatever way."""
        return any(one is not None for one in (self.models, self.select, self.version, self.agreed))

    @property
    def holder(self) -> Holder:
        """Who holds the lock meanwhile."""
        return Holder(owner=self.actor, run=self.run, link=self.link)


class Verification(Struct, frozen=True, kw_only=True):
    """What verifying a promotion came to once it was published; `words` say what does not hold.

    One that did not pass, of a promotion that went well, could not be verified: `words` say why, and it stays.
    `rolled_back_to` is the checkpoint that it was taken back to.
    """

    passed: bool
    words: tuple[str, ...] = ()
    rolled_back_to: str | None = None


class Promotion(Struct, frozen=True, kw_only=True):
    """A plan with its outcome. `models` says what became of each change once it was carried out, and is empty before.

    `words` are dbt's own where something failed. `dry_run` says that nothing was to be carried out, `retold` that an
    earlier attempt of the same run had ended it already.
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
    retold: bool = False
    verification: Verification | None = None


class RollbackRequest(Struct, frozen=True, kw_only=True):
    """One rollback as it is asked for: to a checkpoint, or to the newest that is whole where none is named.

    The `reason` is required, and stays on record. `rebuild` builds anew what came back with old rows. `lock_timeout` is
    in seconds; `run` is as in a PromotionRequest.
    """

    environment: str
    to: str | None = None
    reason: str
    dry_run: bool = False
    rebuild: bool = True
    lock_timeout: float = 60.0
    actor: str = "unknown"
    link: str | None = None
    run: str | None = None

    @property
    def holder(self) -> Holder:
        """Who holds the lock meanwhile."""
        return Holder(owner=self.actor, run=self.run, link=self.link)


class Rollback(Struct, frozen=True, kw_only=True):
    """A rollback: the promotion that it is, and the way of each model (None where an earlier attempt of the same run
    did it, or began it).

    `rebuild` is the promotion that built anew what came back with old rows; `not_rebuilt` says why that was not done,
    where it was to be.
    """

    promotion: Promotion
    back: Return | None = None
    rebuild: Promotion | None = None
    not_rebuilt: str = ""

    @property
    def outcome(self) -> PromotionOutcome:
        """How it ended; fresh rows or not."""
        return self.promotion.outcome


class RunOrder(Struct, frozen=True, kw_only=True):
    """One run of what was promoted to an environment, as it is asked for.

    `select` and `exclude` are what dbt's options of that name take; None selects everything. A dry run tells what would
    be executed, and writes nothing. `lock_timeout` is in seconds; `run` is as in a PromotionRequest.
    """

    environment: str
    command: RunCommand = RunCommand.BUILD
    select: str | None = None
    exclude: str | None = None
    full_refresh: bool = False
    dry_run: bool = False
    lock_timeout: float = 60.0
    actor: str = "unknown"
    link: str | None = None
    run: str | None = None

    @property
    def holder(self) -> Holder:
        """Who holds the lock meanwhile."""
        return Holder(owner=self.actor, run=self.run, link=self.link)


class RunOutcome(Enum):
    """How a run of an environment ended. Failed: the data said no. Listed: it was a dry run."""

    PASSED = "passed"
    FAILED = "failed"
    LISTED = "listed"


class FailedNode(Struct, frozen=True, kw_only=True):
    """A model or a test that failed in a run; `message` is dbt's own."""

    id: str
    name: str
    status: ResultStatus
    message: str


class ServedRun(Struct, frozen=True, kw_only=True):
    """A run of what was promoted to an environment.

    `releases` are the kept sources that it was put together from. `nodes` are the unique ids that a dry run would
    execute, and what was executed else; `counts` says how many ended in which way. `words` are dbt's own where
    something failed. `recording` is what the run changed in what is remembered, None for a dry run.
    """

    order: RunOrder
    environment: EnvironmentName
    outcome: RunOutcome
    started_at: datetime
    finished_at: datetime
    releases: tuple[ReleaseId, ...]
    nodes: tuple[str, ...]
    counts: Mapping[ResultStatus, int] = {}
    failed: tuple[FailedNode, ...] = ()
    words: tuple[str, ...] = ()
    recording: Recording | None = None
    warnings: tuple[str, ...] = ()


class Exclusion(Struct, frozen=True, kw_only=True):
    """The models of the checkout that are not what was promoted to an environment, and dbt's selectors of them.

    `unpromoted` maps each to the version that the environment holds, None where it holds none. `selectors` is never
    empty: where everything is promoted, it is one that takes nothing.
    """

    environment: EnvironmentName
    unpromoted: Mapping[ModelId, str | None]
    selectors: tuple[str, ...]
