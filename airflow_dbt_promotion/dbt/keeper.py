"""Keep the sources of the project at hand, beside the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.errors import SourcesError
from airflow_dbt_promotion.core.identity import ReleaseId
from airflow_dbt_promotion.core.kept import Provenance, Sources
from airflow_dbt_promotion.core.orders import Kept
from airflow_dbt_promotion.core.ports import Clock, ReleaseStore
from airflow_dbt_promotion.core.release import Release


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """Keeps what a version was built of.

    `sources` lists the files of the project at hand, as they are now. `commit` tells git's, where there is one.
    `run` keeps the sources of a run that lies in a target folder, where they are still at hand.
    """

    store: ReleaseStore
    sources: Callable[[], Sources]
    clock: Clock
    commit: Callable[[], str | None]
    run: Callable[[Path, Release], Kept]
    _parsed: dict[ReleaseId, Definition] = field(default_factory=dict, init=False)

    def parsed_as(self, release: ReleaseId, definition: Definition) -> None:
        """Note how the sources at hand were parsed last, for the provenance."""
        self._parsed.clear()
        self._parsed[release] = definition

    def keep(self, expected: ReleaseId) -> None:
        """Keep the sources at hand. Raises SourcesError where they are not the expected ones."""
        sources = self.sources()
        if sources.tree.id != expected:
            problem = "changed since it was parsed; let the checkout be still while a promotion runs, and try again"
            raise SourcesError("the project", problem)
        parsed = self._parsed.get(expected)
        provenance = Provenance(
            kept_at=self.clock(),
            dbt_version=parsed.dbt_version if parsed is not None else "",
            adapter_type=parsed.adapter_type if parsed is not None else None,
            commit=self.commit(),
        )
        self.store.keep(sources, provenance)
