"""Hypothesis strategies for the values that state is made of, up to whole documents.

Everything that they make is valid: what a test wants broken, it breaks itself. Instants are plain, in UTC, with
microseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_dbt_promotion.core.approvals import Approval, ApprovedChange, Decision, Identity, Rejection, Vote
from airflow_dbt_promotion.core.checkpoints import with_leftovers
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange, Strategy
from airflow_dbt_promotion.core.identity import (
    MANIFEST_ONLY,
    Digest,
    EnvironmentName,
    ModelId,
    PlanId,
    ReleaseId,
    TestId,
    Version,
)
from airflow_dbt_promotion.core.parts import PartEnd, PartResult
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.relations import KeptRelation, Leftover, LeftoverRole
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.core.state import (
    Bypass,
    Checkpoint,
    Drift,
    Entry,
    EntryOrigin,
    EnvironmentState,
    Evidence,
    Journal,
    Lock,
    Outcome,
    Part,
    Process,
    PromotedModel,
    PromotionOutcome,
    PromotionRecord,
    Stay,
    TestStatus,
    Unfinalized,
    Unlocking,
)
from airflow_dbt_promotion.core.stops import Block, Freeze, Hold, Intervention, InterventionKind

T = TypeVar("T")

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)

_WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=12)
_UNUSUAL = st.text("abcÄéß日本_-0", min_size=1, max_size=12)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
"""What people and dbt write: any character that UTF-8 can hold, quotes and control characters too."""

names = _WORDS | _UNUSUAL

digests = st.binary(min_size=16, max_size=16).map(lambda data: Digest(data.hex()))

versions = st.builds(lambda prefix, found: Version(prefix + found), st.sampled_from(["", MANIFEST_ONLY]), digests)

release_ids = st.binary(min_size=16, max_size=16).map(lambda data: ReleaseId(data.hex()))

plan_ids = st.binary(min_size=32, max_size=32).map(lambda data: PlanId(data.hex()))

environment_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", fullmatch=True).map(EnvironmentName)

instants = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)

lengths = st.timedeltas(timedelta(0), timedelta(days=400))


@st.composite
def model_ids(draw: st.DrawFn) -> ModelId:
    """Unique ids of models, seeds and snapshots; some with a version."""
    kind = draw(st.sampled_from(["model", "seed", "snapshot"]))
    suffix = draw(st.sampled_from(["", "", ".v1", ".v2"])) if kind == "model" else ""
    return ModelId(f"{kind}.{draw(_WORDS)}.{draw(names)}{suffix}")


@st.composite
def test_ids(draw: st.DrawFn) -> TestId:
    """Unique ids of data tests and unit tests."""
    if draw(st.booleans()):
        return TestId(f"unit_test.{draw(_WORDS)}.{draw(_WORDS)}.{draw(_WORDS)}")
    return TestId(f"test.{draw(_WORDS)}.{draw(names)}.{draw(st.binary(min_size=5, max_size=5)).hex()}")


test_ids.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def maps(values: st.SearchStrategy[T], most: int = 3) -> st.SearchStrategy[dict[ModelId, T]]:
    """Mappings from model ids to something."""
    return st.dictionaries(model_ids(), values, max_size=most)


def tuples(values: st.SearchStrategy[T], most: int = 3) -> st.SearchStrategy[tuple[T, ...]]:
    """Tuples of something, of any length up to `most`."""
    return st.lists(values, max_size=most).map(tuple)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Entries of `current`; a stale one became so when it was there already."""
    since = draw(instants)
    return Entry(
        version=draw(versions),
        code=draw(digests),
        tests=draw(digests),
        meta=draw(digests),
        parents=draw(maps(versions)),
        since=since,
        origin=draw(st.sampled_from(EntryOrigin)),
        by=draw(texts),
        incremental=draw(st.booleans()),
        stale_since=draw(st.none() | lengths.map(lambda length: since + length)),
        release=draw(st.none() | release_ids),
    )


@st.composite
def stays(draw: st.DrawFn) -> Stay:
    """Completed stays; some of no length."""
    entered = draw(instants)
    return Stay(
        version=draw(versions),
        code=draw(digests),
        entered_at=entered,
        left_at=entered + draw(lengths),
        tests=draw(digests),
        meta=draw(digests),
        parents=draw(maps(versions)),
        incremental=draw(st.booleans()),
        release=draw(st.none() | release_ids),
    )


outcomes = st.builds(Outcome, st.sampled_from(TestStatus), instants, maps(versions, most=2))


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Ledgers of one version: never built, complete, failed, and everything between."""
    optional = st.none() | instants
    first = draw(optional)
    return Evidence(
        version=draw(versions),
        tests=draw(digests),
        built_at=draw(optional),
        outcomes=draw(st.dictionaries(test_ids(), outcomes, max_size=3)),
        missing=draw(tuples(test_ids())),
        settled=draw(optional),
        first_pass=first,
        last_pass=first and first + draw(lengths),
        passed_tests=draw(st.none() | digests),
        warned=draw(st.booleans()),
        runs=draw(st.integers(0, 1_000)),
        failed_at=draw(optional),
        failure=draw(st.none() | texts),
    )


ledgers = st.lists(evidences(), min_size=1, max_size=3, unique_by=lambda evidence: evidence.version).map(tuple)

drifts = st.builds(Drift, version=versions, seen_at=instants, by=texts)

bypasses = st.builds(
    Bypass,
    kind=st.sampled_from(BypassKind),
    at=instants,
    actor=texts,
    reason=texts,
    plan_id=plan_ids,
    models=maps(versions),
)

promoted_models = st.builds(
    PromotedModel,
    change=st.sampled_from(["added", "modified", "indirect", "metadata", "removed"]),
    from_version=st.none() | versions,
    to_version=st.none() | versions,
    result=st.sampled_from(["advanced", "failed", "skipped", "removed"]),
)


@st.composite
def promotion_records(draw: st.DrawFn) -> PromotionRecord:
    """Promotions as history tells of them."""
    started = draw(instants)
    return PromotionRecord(
        plan_id=draw(plan_ids),
        outcome=draw(st.sampled_from(PromotionOutcome)),
        source=draw(environment_names),
        strategy=draw(st.sampled_from(["record", "build"])),
        actor=draw(texts),
        started_at=started,
        finished_at=started + draw(lengths),
        models=draw(maps(promoted_models)),
        message=draw(texts),
        reason=draw(st.none() | texts),
        link=draw(st.none() | texts),
        run=draw(st.none() | texts),
        attempts=draw(st.integers(1, 9)),
        rollback_to=draw(st.none() | texts),
        approved_by=draw(tuples(texts)),
    )


choices = st.builds(
    Choices,
    include_upstream=st.booleans(),
    allow_removals=st.booleans(),
    strategy=st.sampled_from(Strategy),
    on_incremental_change=st.sampled_from(IncrementalChange),
    bypasses=st.frozensets(st.sampled_from(BypassKind)),
    reason=st.none() | texts,
)

places = st.builds(
    Place,
    database=st.none() | names,
    schema=names,
    identifier=names,
    quoted=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)

kept_relations = st.builds(KeptRelation, place=places, rows_at=instants)

processes = st.builds(
    Process, host=texts, boot=texts, pid=st.integers(0, 2**22), started=st.floats(0, 2e9, allow_nan=False)
)

locks = st.builds(
    Lock,
    owner=texts,
    run=st.none() | texts,
    epoch=st.integers(0, 99),
    acquired_at=instants,
    heartbeat_at=instants,
    expires_at=instants,
    process=st.none() | processes,
    link=st.none() | texts,
    patience=st.none() | lengths,
)

part_results = st.builds(
    PartResult,
    id=texts,
    status=st.sampled_from(ResultStatus),
    started_at=st.none() | instants,
    completed_at=st.none() | instants,
    message=texts,
)

part_ends = st.builds(
    PartEnd,
    well=st.booleans(),
    started_at=instants,
    finished_at=instants,
    invocation_id=texts,
    results=tuples(part_results, most=2),
    words=tuples(texts, most=2),
)

parts = st.builds(Part, models=tuples(model_ids(), most=2), lock=st.none() | locks, end=st.none() | part_ends)

journals = st.builds(
    Journal,
    plan_id=plan_ids,
    actor=texts,
    started_at=instants,
    source=environment_names,
    strategy=st.sampled_from(["record", "build"]),
    models=maps(promoted_models),
    link=st.none() | texts,
    run=st.none() | texts,
    epochs=tuples(st.integers(0, 99)),
    choices=choices,
    soak=st.none() | lengths,
    runs=st.none() | st.integers(0, 9),
    rests_on=maps(versions),
    rows=maps(st.sampled_from(IncrementalChange)),
    beside=maps(places, most=2),
    kept=maps(kept_relations, most=2),
    aside=maps(places, most=2),
    rollback_to=st.none() | texts,
    approved_by=tuples(texts),
    opened=st.booleans(),
    parts=st.dictionaries(texts, parts, max_size=2),
)

blocks = st.builds(Block, version=versions, at=instants, actor=texts, reason=texts, plan_id=st.none() | plan_ids)

holds = st.builds(Hold, at=instants, actor=texts, reason=texts, plan_id=st.none() | plan_ids)

freezes = st.builds(Freeze, at=instants, actor=texts, reason=texts, until=st.none() | instants)

votes = st.builds(
    Vote,
    decision=st.sampled_from(Decision),
    at=instants,
    actor=texts,
    identity=st.sampled_from(Identity),
    comment=texts,
    link=st.none() | texts,
)

approved_changes = st.builds(
    ApprovedChange, change=texts, from_version=st.none() | versions, to_version=st.none() | versions
)

rejections = st.builds(
    Rejection,
    version=st.none() | versions,
    at=instants,
    actor=texts,
    identity=st.sampled_from(Identity),
    reason=texts,
    plan_id=plan_ids,
)

approvals = st.builds(
    Approval,
    plan_id=plan_ids,
    source=environment_names,
    models=maps(approved_changes, most=2),
    rests_on=maps(versions, most=2),
    choices=choices,
    soak=st.none() | lengths,
    runs=st.none() | st.integers(0, 9),
    rows=maps(st.sampled_from(IncrementalChange), most=2),
    requested_at=instants,
    requested_by=texts,
    identity=st.sampled_from(Identity),
    link=st.none() | texts,
    votes=tuples(votes, most=2),
)

interventions = st.builds(
    Intervention,
    kind=st.sampled_from(InterventionKind),
    at=instants,
    actor=texts,
    reason=texts,
    models=maps(tuples(versions, most=2), most=2),
    until=st.none() | instants,
)


@st.composite
def checkpoints(draw: st.DrawFn) -> Checkpoint:
    """Checkpoints; a relation is kept of some of what changed."""
    before = draw(maps(st.none() | entries()))
    kept = draw(st.sets(st.sampled_from(sorted(before)))) if before else set()
    return Checkpoint(
        id=draw(st.binary(min_size=4, max_size=4)).hex(),
        at=draw(instants),
        by=draw(plan_ids),
        actor=draw(texts),
        before=before,
        kept={model: draw(kept_relations) for model in sorted(kept)},
        whole=draw(st.booleans()),
    )


leftovers = st.builds(
    Leftover,
    place=places,
    model=model_ids(),
    since=instants,
    plan_id=plan_ids,
    role=st.sampled_from(LeftoverRole),
)

unlockings = st.builds(Unlocking, at=instants, actor=texts, reason=texts, epoch=st.integers(0, 99), owner=texts)

unfinalizeds = st.builds(Unfinalized, plan_id=plan_ids, since=instants, models=tuples(model_ids()), why=texts)

projects = st.builds(ProjectIdentity, name=_WORDS, id=st.none() | digests)

documents = st.builds(
    EnvironmentState,
    project=projects,
    environment=environment_names,
    lineage=st.uuids().map(str),
    serial=st.integers(0, 2**53),
    current=maps(entries()),
    stays=maps(st.lists(stays(), min_size=1, max_size=2).map(tuple)),
    evidence=maps(ledgers),
    drift=maps(drifts, most=2),
    bypasses=tuples(bypasses),
    history=tuples(promotion_records()),
    journal=st.none() | journals,
    unfinalized=st.none() | unfinalizeds,
    epoch=st.integers(99, 2**53),
    lock=st.none() | locks,
    unlocks=tuples(unlockings),
    checkpoints=st.lists(checkpoints(), max_size=3, unique_by=lambda found: found.id).map(tuple),
    blocks=maps(st.lists(blocks, min_size=1, max_size=2, unique_by=lambda block: block.version).map(tuple), most=2),
    hold=st.none() | holds,
    freeze=st.none() | freezes,
    interventions=tuples(interventions, most=2),
    leftovers=tuples(leftovers, most=2),
    approvals=st.lists(approvals, max_size=2, unique_by=lambda found: found.plan_id).map(tuple),
    rejections=maps(st.lists(rejections, min_size=1, max_size=2).map(tuple), most=2),
)

states = documents.map(lambda state: with_leftovers(replace(state, leftovers=()), state.leftovers))
"""Whole documents of any environment; nothing is left over that a checkpoint keeps."""
