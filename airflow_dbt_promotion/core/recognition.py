"""Versions that an earlier format made, recognised as those of the present one.

A document of schema 7 or earlier holds versions of format 1, and `migrations` marks each of them. A marked version
equals no present one. Where a parse of the code is there, its versions are computed in both formats, and what is marked
is replaced by what it is today. A block whose version is not recognised holds its model at every version: no block is
lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.identity import (
    EARLIER_FORMAT,
    NOT_FOUND,
    Digest,
    ModelId,
    ReleaseId,
    Version,
    bare_version,
    is_earlier,
)
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import Checkpoint, Drift, Entry, EnvironmentState, Evidence, Formerly, Stay
from airflow_dbt_promotion.core.stops import Block


class BothFormats(Struct, frozen=True):
    """One release with its versions of format 1 (`before`) and of the present format (`now`)."""

    before: Release
    now: Release


def holds_earlier(state: EnvironmentState) -> bool:
    """Say whether a document holds versions of an earlier format by which something is decided."""
    return any(is_earlier(version) for version in _deciding(state))


def releases_to_read(states: Collection[EnvironmentState]) -> set[ReleaseId]:
    """Return the kept releases in which marked versions are: those of what is held, of what can be gone back to, and of
    what is blocked.
    """
    blocked = {
        (model, block.version) for state in states for model, several in state.blocks.items() for block in several
    }
    held: Iterator[tuple[Version, ReleaseId | None]] = (
        (entry.version, entry.release) for state in states for _, entry in _entries(state)
    )
    left = (
        (stay.version, stay.release)
        for state in states
        for model, stays in state.stays.items()
        for stay in stays
        if (model, stay.version) in blocked
    )
    named = (*held, *left)
    return {release for version, release in named if release is not None and version.startswith(EARLIER_FORMAT)}


class Recognition:
    """What versions and digests of format 1 are today, as far as releases are known in both formats."""

    def __init__(self, releases: Iterable[BothFormats], read: Collection[ReleaseId] = ()) -> None:
        """Take the releases, and which kept ones are among them: what is not found there is not looked for again."""
        self._read = read
        self._digests: dict[tuple[ModelId, str], str] = {}
        self._now: dict[tuple[ModelId, Version], Version] = {}
        for release in releases:
            for model, now in release.now.models.items():
                before = release.before.models[model]
                # A document of schema 7 may hold versions of format 2, too.
                self._now[model, now.version] = self._now[model, before.version] = now.version
                self._digests[model, before.code] = now.code
                self._digests[model, before.tests] = now.tests
                self._digests[model, before.meta] = now.meta

    def recognised(self, state: EnvironmentState) -> EnvironmentState:
        """Return a document with everything in it that is known; what is not stays marked."""
        return replace(
            state,
            current={model: self._entry(model, entry) for model, entry in state.current.items()},
            stays={model: tuple(self._stay(model, stay) for stay in several) for model, several in state.stays.items()},
            evidence={
                model: tuple(self._evidence(model, one) for one in several) for model, several in state.evidence.items()
            },
            drift={model: self._drift(model, drift) for model, drift in state.drift.items()},
            checkpoints=tuple(self._checkpoint(checkpoint) for checkpoint in state.checkpoints),
            blocks={model: self._blocks(model, several) for model, several in state.blocks.items()},
        )

    def _version(self, model: ModelId, version: Version, release: ReleaseId | None = None) -> Version:
        """Return a version as it is today; one that its own release does not have is not looked for again."""
        if not is_earlier(version):
            return version
        found = self._now.get((model, Version(version[len(EARLIER_FORMAT) :])))
        if found is None and release in self._read:
            return Version(NOT_FOUND + version[len(EARLIER_FORMAT) :])
        return found or version

    def _versions(self, versions: Mapping[ModelId, Version]) -> dict[ModelId, Version]:
        return {model: self._version(model, version) for model, version in versions.items()}

    def _digest(self, model: ModelId, digest: Digest) -> Digest:
        return Digest(self._digests.get((model, digest), digest))

    def _entry(self, model: ModelId, entry: Entry) -> Entry:
        """Return what is held of a model; what is recognised keeps its former name, by which plans were approved."""
        parents = self._versions(entry.parents)
        if not is_earlier(entry.version):
            return replace(entry, parents=parents) if parents != entry.parents else entry
        version = self._version(model, entry.version, entry.release)
        if is_earlier(version):
            return replace(entry, version=version, parents=parents)
        tests, meta = self._digest(model, entry.tests), self._digest(model, entry.meta)
        formerly = Formerly(
            version=bare_version(entry.version), tests=entry.tests, meta=entry.meta, tests_now=tests, meta_now=meta
        )
        return replace(
            entry,
            version=version,
            code=self._digest(model, entry.code),
            tests=tests,
            meta=meta,
            parents=parents,
            formerly=formerly,
        )

    def _stay(self, model: ModelId, stay: Stay) -> Stay:
        """Return a completed stay."""
        version = self._version(model, stay.version, stay.release)
        stay = replace(stay, version=version, parents=self._versions(stay.parents))
        if is_earlier(version):
            return stay
        tests, meta = self._digest(model, stay.tests), self._digest(model, stay.meta)
        return replace(stay, code=self._digest(model, stay.code), tests=tests, meta=meta)

    def _evidence(self, model: ModelId, evidence: Evidence) -> Evidence:
        """Return what was proven of a version."""
        version = self._version(model, evidence.version)
        outcomes = {
            test: replace(outcome, others=self._versions(outcome.others)) if outcome.others else outcome
            for test, outcome in evidence.outcomes.items()
        }
        evidence = replace(evidence, version=version, outcomes=outcomes)
        if is_earlier(version):
            return evidence
        passed = evidence.passed_tests and self._digest(model, evidence.passed_tests)
        return replace(evidence, tests=self._digest(model, evidence.tests), passed_tests=passed)

    def _drift(self, model: ModelId, drift: Drift) -> Drift:
        """Return what others built."""
        return replace(drift, version=self._version(model, drift.version))

    def _checkpoint(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return what can be gone back to."""
        before = {
            model: None if entry is None else self._entry(model, entry) for model, entry in checkpoint.before.items()
        }
        return replace(checkpoint, before=before)

    def _blocks(self, model: ModelId, several: tuple[Block, ...]) -> tuple[Block, ...]:
        """Return what may not come in; a version that two blocks turn out to name is blocked by the first."""
        found: dict[Version, Block] = {}
        for block in several:
            version = self._version(model, block.version)
            was = block.formerly if version == block.version else bare_version(block.version)
            found.setdefault(version, replace(block, version=version, formerly=was))
        return tuple(found.values())


def _entries(state: EnvironmentState) -> Iterator[tuple[ModelId, Entry]]:
    """Yield what is held, and what can be gone back to."""
    yield from state.current.items()
    for checkpoint in state.checkpoints:
        yield from ((model, entry) for model, entry in checkpoint.before.items() if entry is not None)


def _deciding(state: EnvironmentState) -> Iterator[Version]:
    """Yield the versions by which something is decided."""
    yield from (entry.version for _, entry in _entries(state))
    yield from (block.version for several in state.blocks.values() for block in several)
