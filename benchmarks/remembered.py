"""Two environments that remember a project: staging with evidence for all, production one release behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.eligibility import Requirement
from airflow_dbt_promotion.core.environment import DeployedBy, Environment, IncrementalChange
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.plan import Plan, Question, Situation
from airflow_dbt_promotion.core.planning import plan
from airflow_dbt_promotion.core.recording import Entering, record
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

_DAY = timedelta(days=1)
_STAGING = Environment(name=EnvironmentName("staging"), target="staging")
_PRODUCTION = Environment(
    name=EnvironmentName("production"),
    target="production",
    promotes_from=_STAGING.name,
    deployed_by=DeployedBy.PROMOTION,
    soak=_DAY,
)


class Remembered(Struct, frozen=True, kw_only=True):
    """Both documents, and the release at hand."""

    staging: EnvironmentState
    production: EnvironmentState
    project: Release

    @classmethod
    def of(cls, before: Release, after: Release) -> Remembered:
        """Record a build of both releases in staging, five and three days ago, and of the first one in production."""
        staging = _recorded(_empty(before, _STAGING), before, NOON - 5 * _DAY)
        production = _recorded(_empty(before, _PRODUCTION), before, NOON - 4 * _DAY)
        return cls(staging=_recorded(staging, after, NOON - 3 * _DAY), production=production, project=after)

    @property
    def changed(self) -> Situation:
        """Production lacks what changed."""
        return self._situation(self.production)

    @property
    def new(self) -> Situation:
        """Production holds nothing yet."""
        return self._situation(_empty(self.project, _PRODUCTION))

    @property
    def nothing(self) -> Situation:
        """Production holds all of it."""
        return self._situation(_recorded(_empty(self.project, _PRODUCTION), self.project, NOON - _DAY))

    def encoded(self) -> bytes:
        """Return staging's document."""
        return codec.encode(self.staging)

    def decoded(self, data: bytes) -> EnvironmentState:
        """Return staging's document, read."""
        return codec.decode(data, "staging.json", self.staging.environment)

    def _situation(self, production: EnvironmentState) -> Situation:
        return Situation(
            source=_STAGING,
            target=_PRODUCTION,
            source_state=self.staging,
            target_state=production,
            others=(production,),
            project=self.project,
            now=NOON,
        )


def plan_for(situation: Situation, *, expected: bool = True) -> Plan:
    """Return the plan for all that may go; one that lets nothing through would be fast for the wrong reason."""
    choices = Choices(on_incremental_change=IncrementalChange.FULL_REFRESH)
    found = plan(situation, Question(models=None, requirement=Requirement(soak=_DAY), choices=choices))
    if not found.allowed or found.held or bool(found.changes) is not expected:
        raise SystemExit(f"the plan of {len(found.changes)} changes holds {len(found.held)} back; it should hold none")
    return found


def _empty(release: Release, environment: Environment) -> EnvironmentState:
    """Return the document of an environment in which nothing happened."""
    return EnvironmentState(project=release.project, environment=environment.name, lineage=environment.name)


def _recorded(state: EnvironmentState, release: Release, at: datetime) -> EnvironmentState:
    """Return the document after a build of a whole release that went well."""
    built = (NodeResult(id=id_, status=ResultStatus.SUCCESS, started_at=at, completed_at=at) for id_ in release.models)
    tested = (NodeResult(id=id_, status=ResultStatus.PASS, started_at=at, completed_at=at) for id_ in release.tests)
    run = Run(
        invocation_id=f"build of {at:%Y-%m-%d}",
        command="build",
        where="run_results.json",
        started_at=at,
        finished_at=at,
        results=(*built, *tested),
    )
    return record(state, release, run, Entering(only=None, origin=EntryOrigin.RUN, by=run.invocation_id)).state
