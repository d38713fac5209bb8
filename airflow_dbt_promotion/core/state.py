"""What is remembered of one environment: what it holds, for how long, what was proven, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum

from msgspec import Struct

from airflow_dbt_promotion.core.approvals import Approval, Rejection
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange
from airflow_dbt_promotion.core.identity import Digest, EnvironmentName, ModelId, PlanId, ReleaseId, TestId, Version
from airflow_dbt_promotion.core.instants import Instant, Natural
from airflow_dbt_promotion.core.parts import PartEnd
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.relations import KeptRelation, Leftover
from airflow_dbt_promotion.core.stops import Block, Freeze, Hold, Intervention

SCHEMA_VERSION = 9


class EntryOrigin(Enum):
    """How a version came to be current."""

    PROMOTION = "promotion"
    RUN = "run"
    BASELINE = "baseline"


class Formerly(Struct, frozen=True, kw_only=True, gc=False):
    """What format 1 called something that is held, by which a plan that was approved then is recognised.

    `tests` and `meta` hold as long as the entry's are still `tests_now` and `meta_now`.
    """

    version: Version
    tests: Digest
    meta: Digest
    tests_now: Digest
    meta_now: Digest


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """What an environment holds of one model: its version and digests, the parent versions it was built on, since when
    and by what.

    `by` is a plan id, or the invocation id of a recorded run. `stale_since` is set when a parent moved and the model
    was not built after it: its stay is over although its relation is still there. `release` are the kept sources in
    which the model has this version, these tests and this meta; None where they were not at hand to be kept.
    `counts_from` is where its soak begins if the run was recorded too late for its own time to count. `formerly` is
    what format 1 called it, None where it entered since.
    """

    version: Version
    code: Digest
    tests: Digest
    meta: Digest
    parents: Mapping[ModelId, Version]
    since: Instant
    origin: EntryOrigin
    by: str
    incremental: bool = False
    stale_since: Instant | None = None
    release: ReleaseId | None = None
    counts_from: Instant | None = None
    formerly: Formerly | None = None


class Stay(Struct, frozen=True, kw_only=True, gc=False):
    """One completed, uninterrupted time that a version was current, with what the entry said at its end.

    A version that has left can still be promoted, as long as `release` says where its sources are kept.
    """

    version: Version
    code: Digest
    entered_at: Instant
    left_at: Instant
    tests: Digest
    meta: Digest
    parents: Mapping[ModelId, Version] = {}
    incremental: bool = False
    release: ReleaseId | None = None
    counts_from: Instant | None = None


class TestStatus(Enum):
    """How a required test ended. ERROR and SKIPPED prove nothing and revoke nothing."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"
    SKIPPED = "skipped"


class Outcome(Struct, frozen=True, array_like=True, gc=False):
    """The newest result of one test on one model: status, when it started, the versions of its other parents then."""

    status: TestStatus
    at: Instant
    others: Mapping[ModelId, Version] = {}


class Unproven(Struct, frozen=True, kw_only=True, gc=False):
    """A build that ended well, at `at`, and does not prove what it built: `unknown_bytes` or `slices_missing`.

    `slices` are the batches of a microbatch model that were built since its table was made.
    """

    code: str
    at: Instant
    slices: tuple[tuple[Instant, Instant], ...] = ()


class Evidence(Struct, frozen=True, kw_only=True, gc=False):
    """What runs have proven of one version of a model in one environment.

    A *complete pass* is a build after which every required test passed. `first_pass` is the first since the version
    last failed, `last_pass` the newest, `runs` counts them since entry (one a build), `passed_tests` is the test digest
    of the newest. `tests` is the digest of the required tests that `outcomes`, `settled` and `missing` are about: a
    data test that is not in `outcomes` passed at `settled`. `built_at` is None until a build succeeds, and again when
    one fails. `failed_at` and `failure` tell of the newest failure. `counts_from` is where the first pass begins to
    count towards soak, if it was recorded too late for its own time to count. `recorded_at` and `recorded_by` say when
    and by whom the newest run was recorded, `run_vars` its vars that may differ from run to run (as JSON), and
    `unverified_place` that it could not be told which warehouse it went to; all of them empty for our own runs.
    `unproven` is the newest build that proved nothing: while `built_at` is None, no other came after it.
    """

    version: Version
    tests: Digest
    built_at: Instant | None = None
    outcomes: Mapping[TestId, Outcome] = {}
    missing: tuple[TestId, ...] = ()
    settled: Instant | None = None
    first_pass: Instant | None = None
    last_pass: Instant | None = None
    passed_tests: Digest | None = None
    warned: bool = False
    runs: Natural = 0
    failed_at: Instant | None = None
    failure: str | None = None
    counts_from: Instant | None = None
    recorded_at: Instant | None = None
    recorded_by: str | None = None
    run_vars: Mapping[str, str] = {}
    unverified_place: bool = False
    unproven: Unproven | None = None


class Bypass(Struct, frozen=True, kw_only=True):
    """One time that somebody went around a gate; kept for good."""

    kind: BypassKind
    at: Instant
    actor: str
    reason: str
    plan_id: PlanId
    models: Mapping[ModelId, Version]


class PromotionOutcome(Enum):
    """How asking for a promotion ended. Refused: the gates said no. Failed: the data said no. Errored: the machine
    broke.
    """

    PROMOTED = "promoted"
    NOTHING_TO_DO = "nothing_to_do"
    PLANNED = "planned"
    REFUSED = "refused"
    FAILED = "failed"
    ERRORED = "errored"


class PromotedModel(Struct, frozen=True, kw_only=True, array_like=False, gc=False):
    """What became of one model in a promotion that is history; `result` is `advanced`, `failed`, `skipped` or
    `removed`.
    """

    change: str
    from_version: Version | None
    to_version: Version | None
    result: str


class PromotionRecord(Struct, frozen=True, kw_only=True):
    """One promotion, for people. `run` is what it was run as, and `attempts` how often it was begun until it ended.

    `rollback_to` is the checkpoint that a rollback went back to, None for a promotion. `approved_by` are those whose
    approval counted.
    """

    plan_id: PlanId
    outcome: PromotionOutcome
    source: EnvironmentName
    strategy: str
    actor: str
    started_at: Instant
    finished_at: Instant
    models: Mapping[ModelId, PromotedModel]
    message: str = ""
    reason: str | None = None
    link: str | None = None
    run: str | None = None
    attempts: Natural = 1
    rollback_to: str | None = None
    approved_by: tuple[str, ...] = ()


class Journal(Struct, frozen=True, kw_only=True):
    """A promotion that has begun and whose end is not written yet, with all that a later attempt needs to carry it on.

    `epochs` are the lock's of every attempt, the present one last, and `run` is what they have in common.
    `choices`, `soak` and `runs` are what was asked for on top of policy, `rests_on` the candidates of the plan, `rows`
    what becomes of the rows of models by rules.
    `beside` are the relations that it builds beside those that readers see. `kept` is where these go at the swap, as
    far as they hold rows, and `aside` where the others go: a view is made again from its code.
    `rollback_to` is the checkpoint that it goes back to, None for a promotion. `approved_by` are those whose
    approval counted. One that is `opened` is finished by another task of the run; `parts` are what is built by
    itself before, by name.
    """

    plan_id: PlanId
    actor: str
    started_at: Instant
    source: EnvironmentName
    strategy: str
    models: Mapping[ModelId, PromotedModel]
    link: str | None = None
    run: str | None = None
    epochs: tuple[Natural, ...] = ()
    choices: Choices = Choices()
    soak: timedelta | None = None
    runs: Natural | None = None
    rests_on: Mapping[ModelId, Version] = {}
    rows: Mapping[ModelId, IncrementalChange] = {}
    beside: Mapping[ModelId, Place] = {}
    kept: Mapping[ModelId, KeptRelation] = {}
    aside: Mapping[ModelId, Place] = {}
    rollback_to: str | None = None
    approved_by: tuple[str, ...] = ()
    opened: bool = False
    parts: Mapping[str, Part] = {}


class Part(Struct, frozen=True, kw_only=True):
    """Models of a promotion that are built by themselves: who does it now, if anybody, and what came of it."""

    models: tuple[ModelId, ...]
    lock: Lock | None = None
    end: PartEnd | None = None


class Process(Struct, frozen=True, kw_only=True):
    """A process of some machine.

    `boot` tells one start of the machine from the next, `started` (as its system counts) a process from a later
    one that has its number.
    """

    host: str
    boot: str
    pid: Natural
    started: float


class Lock(Struct, frozen=True, kw_only=True):
    """Who promotes into, or runs, an environment, or builds a part of a promotion; see `core/lock.py`.

    One with `patience` is held by no process: it waits so long for the next task of its `run`.
    """

    owner: str
    run: str | None
    epoch: Natural
    acquired_at: Instant
    heartbeat_at: Instant
    expires_at: Instant
    process: Process | None = None
    link: str | None = None
    patience: timedelta | None = None


class Unlocking(Struct, frozen=True, kw_only=True):
    """One time that somebody opened a lock by force; kept for good. `epoch` and `owner` are of the lock."""

    at: Instant
    actor: str
    reason: str
    epoch: Natural
    owner: str


class Drift(Struct, frozen=True, kw_only=True, gc=False):
    """A version that a run of others built into an environment that only promotions may move."""

    version: Version
    seen_at: Instant
    by: str


class Unfinalized(Struct, frozen=True, kw_only=True):
    """Why an environment is not whole: a promotion went only part of the way, or children stand on an older parent."""

    plan_id: PlanId
    since: Instant
    models: tuple[ModelId, ...]
    why: str


class Checkpoint(Struct, frozen=True, kw_only=True):
    """What an environment held before the plan `by` replaced some of it, at `at`: see `core/checkpoints.py`.

    `before` are the entries of what has changed between this checkpoint and the next newer one (`current`, for the
    newest); None for a model that was not there. `kept` is where their relations are kept, as far as they are. `whole`
    says that the environment was finalized then, so that it can be gone back to.
    """

    id: str
    at: Instant
    by: PlanId
    actor: str
    before: Mapping[ModelId, Entry | None]
    kept: Mapping[ModelId, KeptRelation]
    whole: bool


class EnvironmentState(Struct, frozen=True, kw_only=True):
    """The one document of an environment. `serial` rises by one at each write; `lineage` is a UUID made at creation.

    `epoch` is that of the newest lock, held or not. `release` are the kept sources of the newest run of the whole
    project that was recorded: what the project is now. `checkpoints` are newest first. `blocks` are versions that may
    not come in again, `rejections` versions that people rejected, `leftovers` relations that this package made and that
    nobody needs any more. `approvals` are newest first.
    """

    project: ProjectIdentity
    environment: EnvironmentName
    lineage: str
    schema_version: int = SCHEMA_VERSION
    serial: Natural = 0
    release: ReleaseId | None = None
    current: Mapping[ModelId, Entry] = {}
    stays: Mapping[ModelId, tuple[Stay, ...]] = {}
    evidence: Mapping[ModelId, tuple[Evidence, ...]] = {}
    drift: Mapping[ModelId, Drift] = {}
    bypasses: tuple[Bypass, ...] = ()
    history: tuple[PromotionRecord, ...] = ()
    journal: Journal | None = None
    unfinalized: Unfinalized | None = None
    epoch: Natural = 0
    lock: Lock | None = None
    unlocks: tuple[Unlocking, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    blocks: Mapping[ModelId, tuple[Block, ...]] = {}
    hold: Hold | None = None
    interventions: tuple[Intervention, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    approvals: tuple[Approval, ...] = ()
    freeze: Freeze | None = None
    rejections: Mapping[ModelId, tuple[Rejection, ...]] = {}
