"""The shelf: kept releases that a plan is made of, each parsed once for its target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from airflow_dbt_promotion.core.code_gate import Code
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import PromotionError, ReleaseError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import ReleaseId
from airflow_dbt_promotion.core.ports import Workshop
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.reliance import Reliances


class Shelf:
    """The releases that one question needs, for one environment."""

    def __init__(self, workshop: Workshop, environment: Environment, *, dry: bool) -> None:
        """Take what reads releases, and the environment for whose target they are parsed; `dry` leaves no file."""
        self._workshop, self._environment, self._dry = workshop, environment, dry
        self._definitions: dict[ReleaseId, Definition] = {}
        self._releases: dict[ReleaseId, Release] = {}
        self._lost: dict[ReleaseId, str] = {}
        self._code: Code | None = None
        self._refused: set[ReleaseId] = set()
        self._checkout: Definition | None = None
        self._looked = False

    @property
    def definitions(self) -> Mapping[ReleaseId, Definition]:
        """The releases that were read so far."""
        return self._definitions

    def read(self, wanted: Iterable[ReleaseId]) -> tuple[Mapping[ReleaseId, Definition], Mapping[ReleaseId, str]]:
        """Return some releases, each as parsed for the environment, and those that cannot be had, each with the reason.

        Raises DbtProjectError where dbt refuses one.
        """
        asked = sorted(set(wanted))
        for release in asked:
            if release not in self._definitions and release not in self._lost:
                try:
                    self._definitions[release] = self._workshop.released(release, self._environment, dry=self._dry)
                except ReleaseError as error:
                    self._lost[release] = str(error)
        definitions = {release: self._definitions[release] for release in asked if release in self._definitions}
        return definitions, {release: self._lost[release] for release in asked if release in self._lost}

    def found(self, release: ReleaseId) -> Definition | None:
        """Return a release, None where it cannot be had, or dbt refuses it: for a question that can do without."""
        if release in self._refused:
            return None
        try:
            return self.read([release])[0].get(release)
        except PromotionError:
            self._refused.add(release)
            return None

    def checkout(self) -> Definition | None:
        """Return the project at hand, parsed once; None where it cannot be had, or dbt refuses it."""
        if not self._looked:
            self._looked = True
            try:
                self._checkout = self._workshop.at_hand(self._environment, dry=True).definition
            except PromotionError:
                self._checkout = None
        return self._checkout

    def code(self, wanted: Iterable[ReleaseId]) -> Code:
        """Return some releases with their fingerprints; raises as `read` does."""
        definitions, lost = self.read(wanted)
        for release in definitions.keys() - self._releases.keys():
            self._releases[release] = replace(release_of(definitions[release]), id=release)
        if self._code is None or (self._code.definitions.keys(), self._code.lost.keys()) != (
            definitions.keys(),
            lost.keys(),
        ):
            self._code = Code(
                definitions=definitions,
                releases={release: self._releases[release] for release in definitions},
                reliances=Reliances(definitions),
                lost=lost,
            )
        return self._code
