"""The shelf: kept releases that a plan is made of, each parsed once for its target."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from airflow_dbt_promotion.core.code_gate import Code
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import ReleaseError
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

    def code(self, wanted: Iterable[ReleaseId]) -> Code:
        """Return some releases, each as parsed for the environment; one that cannot be had is told as lost.

        Raises DbtProjectError where dbt refuses one.
        """
        asked = set(wanted)
        for release in sorted(asked - self._definitions.keys() - self._lost.keys()):
            try:
                found = self._workshop.released(release, self._environment, dry=self._dry)
            except ReleaseError as error:
                self._lost[release] = str(error)
            else:
                self._definitions[release] = found
                self._releases[release] = replace(release_of(found), id=release)
        if self._code is None or self._code.definitions.keys() | self._code.lost.keys() != asked:
            definitions = {release: self._definitions[release] for release in asked & self._definitions.keys()}
            self._code = Code(
                definitions=definitions,
                releases={release: self._releases[release] for release in definitions},
                reliances=Reliances(definitions),
                lost={release: self._lost[release] for release in asked & self._lost.keys()},
            )
        return self._code
