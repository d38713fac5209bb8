"""Where an environment builds, held against where a run built.

The environment's parse is the one that is cached with the kept sources, where they are kept: then no dbt is started.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import MsgspecError, Struct

from airflow_dbt_promotion.core.definition import Definition, Origin
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import PromotionError, SourcesError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.core.run_conditions import Connection, RunPlace
from airflow_dbt_promotion.dbt.artifacts import read_definition
from airflow_dbt_promotion.dbt.circumstances import circumstances
from airflow_dbt_promotion.dbt.connections import Profile, compared, profile_of_run
from airflow_dbt_promotion.dbt.folders import PARSED, Folders
from airflow_dbt_promotion.dbt.invocation import DbtProject, DbtRunner
from airflow_dbt_promotion.dbt.keeper import Keeper
from airflow_dbt_promotion.dbt.kept_parse import connection_in, read_kept_parse
from airflow_dbt_promotion.dbt.project_file import FILE, read_project
from airflow_dbt_promotion.dbt.released import Releases


class _Parse(Struct, frozen=True):
    """The project as it is parsed for an environment, and dbt's digest of the connection."""

    definition: Definition
    connection: str | None


class Places:
    """Tells where runs went."""

    def __init__(
        self, project: DbtProject, runner: DbtRunner, keeper: Keeper, folders: Folders, releases: Releases
    ) -> None:
        """Take the project, how dbt is run, what keeps sources, and what parses them."""
        self._project, self._runner, self._keeper = project, runner, keeper
        self._folders, self._releases = folders, releases

    def of_run(self, target_path: Path, run: Run, release: Release, environment: Environment) -> RunPlace:
        """Return where an environment builds what a run built, and whether the run went there."""
        try:
            parse = self._parsed(environment)
        except (OSError, MsgspecError, PromotionError) as error:
            return RunPlace(connection=Connection.UNKNOWN, why=str(error))
        return RunPlace(
            connection=self._connection(target_path, run, release, environment, parse.connection),
            adapter=parse.definition.adapter_type,
            relations=_relations(parse.definition, release),
        )

    def _parsed(self, environment: Environment) -> _Parse:
        """Return the project's parse for an environment: the cached one of kept sources, else made now."""
        try:
            sources = self._keeper.sources().tree.id
        except SourcesError:
            sources = None
        if sources is not None and self._keeper.store.has(sources):
            target = self._folders.target(environment)
            found = self._releases.parsed(sources, target, environment.vars, dry=False)
            return _Parse(found.definition, connection_in(found.packed))
        with self._folders.parsed(environment, dry=True) as project:
            packed = (project.target_path / PARSED).read_bytes()
            return _Parse(read_definition(project.target_path, project.project_dir), connection_in(packed))

    def _connection(
        self, target_path: Path, run: Run, release: Release, environment: Environment, expected: str | None
    ) -> Connection:
        """Return whether a run connected to where the environment does."""
        kept = read_kept_parse(target_path) if release.origin is Origin.PARSE else None
        if kept is not None and expected is not None and kept.connection == expected:
            return Connection.SAME
        profile = self._profile(environment)
        if profile is None:
            return Connection.UNKNOWN
        made_with = profile_of_run(run, profile, self._project.stands_in)
        return compared(self._runner, self._project, made_with, profile)

    def _profile(self, environment: Environment) -> Profile | None:
        """Return the profile by which an environment connects, None where it is not on this machine."""
        target, folder = self._folders.target(environment), self._project.project_dir
        now = circumstances(self._project, None, target, environment.vars)
        file = now.profiles_file()
        try:
            project = read_project(folder, (folder / FILE).read_text(encoding="utf-8"), vars_file=False)
        except (OSError, UnicodeDecodeError, PromotionError):
            return None
        name = now.profile_name(project.profile)
        if file is None or name is None:
            return None
        return Profile(file=file, name=name, target=target, vars=environment.vars)


def _relations(definition: Definition, release: Release) -> dict[str, str]:
    """Return where an environment has the nodes of a run: those whose code, tags and places are the run's, and sources.

    Of a node that was edited since the run, the parse does not tell where the run should have built it.
    """
    now = release_of(definition)
    same = {
        str(id_): model.relation
        for id_, model in now.models.items()
        if model.relation and (then := release.models.get(id_)) and (then.code, then.meta) == (model.code, model.meta)
    }
    return same | {id_: relation for id_, relation in now.source_relations.items() if now.project == release.project}
