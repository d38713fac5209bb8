"""Recognising versions of an earlier format in documents, by the kept releases in which they are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ClassVar

from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import PromotionPath
from airflow_dbt_promotion.core.errors import PromotionError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.format_one import release_of_format_one
from airflow_dbt_promotion.core.identity import ReleaseId
from airflow_dbt_promotion.core.ports import StateStore, Workshop
from airflow_dbt_promotion.core.recognition import BothFormats, Recognition, holds_earlier, releases_to_read
from airflow_dbt_promotion.core.state import EnvironmentState


class Recogniser:
    """Replaces versions of an earlier format by what they are today.

    A kept release is parsed once in a process for this, whoever asks, and the documents are searched for releases once.
    What is recognised is on record from the next write on. Where no document holds such a version, nothing is read.
    """

    _known: ClassVar[dict[ReleaseId, BothFormats | None]] = {}
    _one_at_a_time: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: PromotionPath, store: StateStore, workshop: Workshop) -> None:
        """Take the environments, their documents, and what parses kept releases."""
        self._path, self._store, self._workshop = path, store, workshop
        self._learned: list[BothFormats] = []
        self._newest: Callable[[], Definition] | None = None
        self._recognition: Recognition | None = None

    def learn(self, definition: Callable[[], Definition]) -> None:
        """Take the newest parse of the project; it is made where a document holds versions of an earlier format."""
        self._newest, self._recognition = definition, None

    def recognised(self, state: EnvironmentState) -> EnvironmentState:
        """Return a document with every version that can be recognised as it is today."""
        if not holds_earlier(state):
            return state
        with self._one_at_a_time:
            if self._recognition is None:
                self._recognition = self._from_all(state)
            return self._recognition.recognised(state)

    def _from_all(self, state: EnvironmentState) -> Recognition:
        """Return what is known by the kept releases that any document names, and by the parses of the project."""
        if self._newest is not None:
            self._learned.append(_in_both_formats(self._newest()))
            self._newest = None
        stored = (self._store.read(environment.name) for environment in self._path.environments)
        wanted = releases_to_read([state, *(other for other in stored if other is not None)])
        for release in sorted(wanted - self._known.keys()):
            self._known[release] = self._read(release, state)
        read = {release: found for release in wanted if (found := self._known[release]) is not None}
        return Recognition([*read.values(), *self._learned], read.keys())

    def _read(self, release: ReleaseId, state: EnvironmentState) -> BothFormats | None:
        """Return a kept release in both formats, None where it cannot be read: its versions stay marked."""
        try:
            return _in_both_formats(self._workshop.released(release, self._path.get(state.environment), dry=True))
        except PromotionError:
            return None


def _in_both_formats(definition: Definition) -> BothFormats:
    return BothFormats(before=release_of_format_one(definition), now=release_of(definition))
