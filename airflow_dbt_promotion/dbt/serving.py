"""Compositions as dbt runs them: the parse that it is handed, beside a folder with what it reads besides."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtProjectError
from airflow_dbt_promotion.core.graph import KINDS
from airflow_dbt_promotion.core.ports import Mark, OnProgress
from airflow_dbt_promotion.dbt.composing import composed
from airflow_dbt_promotion.dbt.invocation import DbtInvocation, DbtOutcome, DbtProject, DbtRunner
from airflow_dbt_promotion.dbt.marks import marked
from airflow_dbt_promotion.dbt.released import Releases
from airflow_dbt_promotion.dbt.workspace import Workspace

_LISTING = "listing"


class Served(Struct, frozen=True, kw_only=True):
    """A composition that lies ready to be run, for as long as its folder is there.

    `project` writes into the environment's own target folder, `listing` into one that is gone afterwards.
    """

    runner: DbtRunner
    project: DbtProject
    listing: DbtProject
    manifest: Path
    told: str

    def invoke(self, invocation: DbtInvocation, on_progress: OnProgress | None) -> DbtOutcome:
        """Run one command on the composition; what lists goes to the folder that is gone afterwards.

        Raises as `DbtRunner.invoke` does, in the composition's name.
        """
        project = self.project if invocation.command.writes_results else self.listing
        try:
            return self.runner.invoke(project, replace(invocation, manifest=self.manifest), on_progress)
        except DbtProjectError as error:
            words = [word.replace(f"{project.project_dir}/", "") for word in error.words]
            raise DbtProjectError(self.told, words) from error


class Serving:
    """Lays compositions ready for dbt."""

    def __init__(self, releases: Releases, runner: DbtRunner) -> None:
        """Take the kept releases, and how dbt is run."""
        self._releases, self._runner = releases, runner

    @contextmanager
    def serve(
        self,
        composition: Composition,
        environment: Environment,
        target: str,
        project: DbtProject,
        *,
        dry: bool,
        mark: Mark | None = None,
    ) -> Iterator[Served]:
        """Yield a composition that lies ready for a dbt target; `project` is the one at hand, for its profile.

        With a `mark`, every model that is built checks it and leaves it (see `dbt/marks.py`). `dry` leaves nothing in
        the release store. Raises ReleaseError and its kin, and what parsing a release raises.
        """
        parses = {
            release: self._releases.parsed(release, target, environment.vars, dry=dry).packed
            for release in {composition.base, *composition.origins.values()}
        }
        layouts = {release: self._releases.layout(release) for release in composition.releases}
        with tempfile.TemporaryDirectory(prefix="dbt-promote-") as made:
            folder = Path(made).resolve()
            workspace = Workspace(environment.name, composition, layouts)
            workspace.write(folder / "project")
            manifest = folder / "composition.msgpack"
            packed = composed(composition, parses, workspace.changes(folder / "project"))
            if mark is not None:
                definition = composition.definition
                packed = marked(packed, definition.project.name, environment, mark, _built(definition))
            manifest.write_bytes(packed)
            here = replace(project, project_dir=folder / "project", working_dir=project.stands_in)
            yield Served(
                runner=self._runner,
                project=here,
                listing=replace(here, target_path=folder / _LISTING),
                manifest=manifest,
                told=f"what {environment.name} runs (put together from {len(composition.releases)} releases)",
            )


def _built(definition: Definition) -> list[str]:
    """Return what leaves a relation in the warehouse."""
    return [id_ for id_, node in definition.nodes.items() if node.resource_type in KINDS and not node.is_ephemeral]
