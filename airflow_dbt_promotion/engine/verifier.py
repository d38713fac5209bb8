"""Verifying a whole state: every document that can be had, and the sources that they name."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from airflow_dbt_promotion.core.errors import PromotionError, ReleaseError
from airflow_dbt_promotion.core.identity import EnvironmentName, ReleaseId
from airflow_dbt_promotion.core.ports import ReleaseStore
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.verifying import Finding, across, findings
from airflow_dbt_promotion.engine.cleaner import named
from airflow_dbt_promotion.engine.memory import Memory


class Verification(Struct, frozen=True, kw_only=True):
    """What was looked at, and what is wrong. `deep`: every file of every kept release was read."""

    environments: tuple[str, ...]
    releases: int
    findings: tuple[Finding, ...]
    deep: bool


class Verifier:
    """Reads everything, and changes nothing."""

    def __init__(self, memory: Memory, releases: ReleaseStore) -> None:
        """Take what is remembered, and the kept releases."""
        self._memory, self._releases = memory, releases

    def verify(self, *, deep: bool) -> Verification:
        """Return what is wrong; what cannot be read is a finding, and the others are verified all the same.

        Raises StateError where the environments cannot even be listed.
        """
        names = self._memory.store.environments()
        states: list[EnvironmentState] = []
        found: list[Finding] = []
        for name in names:
            try:
                state = self._memory.read(name)
            except PromotionError as error:
                found.append(_unreadable(name, error))
                continue
            if state is not None:
                states.append(state)
                found += findings(state)
        found += across(states)
        users: dict[ReleaseId, EnvironmentName] = {}
        for state in states:
            for release in named(state):
                users.setdefault(release, state.environment)
        read: dict[str, ReleaseError | None] = {}
        for release, name in sorted(users.items()):
            found += [_lost(name, release, error) for error in self._errors(release, read, deep=deep)]
        return Verification(environments=names, releases=len(users), findings=tuple(found), deep=deep)

    def _errors(
        self, release: ReleaseId, read: dict[str, ReleaseError | None], *, deep: bool
    ) -> Iterator[ReleaseError]:
        """Yield what of a kept release cannot be read; `read` is what came of files that other releases have, too."""
        try:
            tree = self._releases.tree(release)
        except ReleaseError as lost:
            yield lost
            return
        for path, digest in tree.files.items() if deep else ():
            if digest not in read:
                read[digest] = self._error(digest, path)
            if (error := read[digest]) is not None:
                yield error

    def _error(self, digest: str, path: str) -> ReleaseError | None:
        try:
            self._releases.read(digest, path)
        except ReleaseError as error:
            return error
        return None


def _unreadable(name: EnvironmentName, error: PromotionError) -> Finding:
    return Finding(
        code=error.code, environment=name, place="$", problem=str(error), remedy="it is left as it is; see the problem"
    )


def _lost(name: EnvironmentName, release: ReleaseId, error: ReleaseError) -> Finding:
    return Finding(
        code=error.code,
        environment=name,
        place=f"release {release}",
        problem=str(error),
        remedy="restore it from a backup, or record a run of the same sources again, which keeps them again",
    )
