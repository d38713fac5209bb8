"""Compositions as dbt runs them: the parse that it is handed, beside a folder with what it reads besides."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtProjectError
from airflow_dbt_promotion.core.orders import OnProgress
from airflow_dbt_promotion.dbt.composing import composed
from airflow_dbt_promotion.dbt.desk import Desk
from airflow_dbt_promotion.dbt.invocation import DbtInvocation, DbtOutcome, DbtProject, DbtRunner
from airflow_dbt_promotion.dbt.released import Releases
from airflow_dbt_promotion.dbt.workspace import Workspace

Alteration = Callable[[bytes], bytes]
"""What is done to a parse before dbt is handed it."""

_LISTING = "listing"


class Served(Struct, frozen=True, kw_only=True):
    """A composition that lies ready to be run, for as long as its folder is there.

    `project` writes into the environment's own target folder, `listing` into one that is gone afterwards. `parse` is
    what `manifest` was made of.
    """

    runner: DbtRunner
    project: DbtProject
    listing: DbtProject
    manifest: Path
    parse: bytes
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

    def desk(self, target: str) -> Desk:
        """Return a desk beside the composition, as long as its folder is there."""
        return Desk(
            runner=self.runner, project=self.listing, folder=self.manifest.parent, parse=self.parse, target=target
        )


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
        alter: Alteration | None = None,
    ) -> Iterator[Served]:
        """Yield a composition that lies ready for a dbt target; `project` is the one at hand, for its profile.

        `alter` is done to the parse that dbt is handed. `dry` leaves nothing in the release store. Raises
        ReleaseError and its kin, and what parsing a release raises.
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
            manifest.write_bytes(packed if alter is None else alter(packed))
            here = replace(project, project_dir=folder / "project", working_dir=project.stands_in)
            yield Served(
                runner=self._runner,
                project=here,
                listing=replace(here, target_path=folder / _LISTING),
                manifest=manifest,
                parse=packed,
                told=f"what {environment.name} runs (put together from {len(composition.releases)} releases)",
            )
