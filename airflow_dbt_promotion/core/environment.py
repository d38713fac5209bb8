"""Environments, their policy, and the path from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum, StrEnum

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.errors import (
    ConfigError,
    CyclicPathError,
    SkippedEnvironmentError,
    UnknownEnvironmentError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName, environment_name
from airflow_dbt_promotion.core.labels import Labels
from airflow_dbt_promotion.core.selector import Selector
from airflow_dbt_promotion.core.windows import Windows


class Strategy(Enum):
    """How models get into an environment.

    RECORD writes state only. BUILD runs dbt for exactly what is planned, in place. BLUE_GREEN builds and tests beside
    what readers see, and swaps everything at once. CLONE does the same with clones of the source's relations.
    """

    RECORD = "record"
    BUILD = "build"
    BLUE_GREEN = "blue_green"
    CLONE = "clone"

    @property
    def builds(self) -> bool:
        """Whether dbt builds something from the code that is promoted."""
        return self is not Strategy.RECORD

    @property
    def swaps(self) -> bool:
        """Whether readers see nothing until all is built and tested."""
        return self in {Strategy.BLUE_GREEN, Strategy.CLONE}


class DeployedBy(Enum):
    """Which runs may move `current`: promotions alone, or recorded runs of others too."""

    PROMOTION = "promotion"
    OTHERS = "others"


class IncrementalChange(Enum):
    """What happens to the data of an incremental model whose own code changed."""

    BLOCK = "block"
    FULL_REFRESH = "full_refresh"
    FORWARD_ONLY = "forward_only"


class Candidate(Enum):
    """Which version of the source goes: the newest that is validated and soaked, held still or not, or the one that is
    held now.
    """

    NEWEST_SOAKED = "newest_soaked"
    CURRENT = "current"


class OnDrift(Enum):
    """What becomes of a run that others made of code that was never promoted: it is told, or it is refused."""

    TELL = "tell"
    BLOCK = "block"


class SoakScope(Enum):
    """What a soak is of: the version with its lineage, or (`self`) the model's own code."""

    LINEAGE = "lineage"
    SELF = "self"


class Leniency(Enum):
    """Whether something passes or blocks."""

    PASS = "pass"  # noqa: S105 - not a password
    BLOCK = "block"


class BypassKind(StrEnum):
    """The gates that a person can go around, with a reason."""

    SKIP_TESTS = "skip_tests"
    SHORT_SOAK = "short_soak"
    OLD_EVIDENCE = "old_evidence"
    OLDER_VERSION = "older_version"
    OVERRULE_REJECTION = "overrule_rejection"
    BASELINE = "baseline"


MOST_RUNS = 1_000
MOST_HISTORY = 1_000
MOST_CHECKPOINTS = 100


class Rule(Struct, frozen=True, kw_only=True):
    """What an environment asks of the models that a selector means, in place of its own values; None says nothing.

    `exclude` are those that are not meant after all. `approvals` are what is asked of people: nothing where it is
    empty. A rule may ask for less than the environment does.
    """

    select: Selector
    exclude: Selector | None = None
    name: str | None = None
    soak: timedelta | None = None
    min_successful_runs: int | None = None
    soak_scope: SoakScope | None = None
    zero_tests: Leniency | None = None
    warnings: Leniency | None = None
    on_incremental_change: IncrementalChange | None = None
    approvals: tuple[ApprovalPolicy, ...] | None = None

    @property
    def called(self) -> str:
        """What people call it: its name, or what it selects."""
        return self.name or self.select.text

    def means(self, labels: Labels) -> bool:
        """Say whether a model is meant."""
        return self.select.selects(labels) and not (self.exclude is not None and self.exclude.selects(labels))


class Environment(Struct, frozen=True, kw_only=True):
    """A named place that dbt builds into, with the policy for entering it.

    `soak` and `min_successful_runs` are asked of the source environment before a version may enter this one.
    `vars` are given to dbt for every run of this environment and are no part of a version; `run_vars` may have any
    value in a run. `accept_arguments` are arguments of dbt that recorded runs may have, `unverified_place` is what
    becomes of a run of which it cannot be told which warehouse it went to. What a recorded run proves counts towards
    soak from its own end on, or from `record_within` before it was recorded, whichever is later. `strategy` None leaves
    it to the warehouse: BLUE_GREEN where that was run, else BUILD. `keep_checkpoints` is before how many promotions it
    can be gone back. `verify` runs the tests again in place once a promotion is published, `rollback_on_failure` goes
    back where they fail. `approval` is what is asked of people, None for nothing; `windows` are when it may be
    promoted. `rules` ask something else of some models; see `core.policy`.
    """

    name: EnvironmentName
    target: str
    promotes_from: EnvironmentName | None = None
    working: bool = False
    deployed_by: DeployedBy = DeployedBy.OTHERS
    soak: timedelta = timedelta(0)
    min_successful_runs: int = 1
    soak_scope: SoakScope = SoakScope.LINEAGE
    zero_tests: Leniency = Leniency.PASS
    warnings: Leniency = Leniency.PASS
    strategy: Strategy | None = None
    on_incremental_change: IncrementalChange = IncrementalChange.BLOCK
    forbid: frozenset[BypassKind] = frozenset()
    vars: Mapping[str, object] = {}
    run_vars: frozenset[str] = frozenset()
    accept_arguments: frozenset[str] = frozenset()
    unverified_place: Leniency = Leniency.PASS
    record_within: timedelta = timedelta(hours=1)
    keep_history: int = 10
    candidate: Candidate = Candidate.NEWEST_SOAKED
    on_drift: OnDrift = OnDrift.TELL
    marks: bool = True
    verify: bool = False
    rollback_on_failure: bool = False
    keep_checkpoints: int = 3
    approval: ApprovalPolicy | None = None
    windows: Windows = Windows()
    rules: tuple[Rule, ...] = ()

    @property
    def asks_people(self) -> bool:
        """Whether people are asked about some models at least, by its own policy or by a rule."""
        return self.approval is not None or any(rule.approvals for rule in self.rules)

    def vars_with(self, given: Mapping[str, object]) -> Mapping[str, object]:
        """Return its vars with those of one run that may have any value here."""
        return {**self.vars, **{var: value for var, value in given.items() if var in self.run_vars}}

    def __post_init__(self) -> None:
        """Hold the invariants: a usable name, a target, counts in range."""
        environment_name(self.name)
        where = f"environments.{self.name}"
        if not self.target.strip():
            raise ConfigError(f"{where}.target", "a dbt target cannot be empty")
        if self.soak < timedelta(0):
            raise ConfigError(f"{where}.min_days_in_staging", "a soak cannot be negative")
        if self.record_within < timedelta(0):
            raise ConfigError(f"{where}.record_within", "cannot be negative")
        if not 0 <= self.min_successful_runs <= MOST_RUNS:
            raise ConfigError(f"{where}.min_successful_runs", f"must be a whole number from 0 to {MOST_RUNS}")
        if not 1 <= self.keep_history <= MOST_HISTORY:
            raise ConfigError(f"{where}.keep_history", f"must be a whole number from 1 to {MOST_HISTORY}")
        if not 0 <= self.keep_checkpoints <= MOST_CHECKPOINTS:
            raise ConfigError(f"{where}.keep_checkpoints", f"must be a whole number from 0 to {MOST_CHECKPOINTS}")


class PromotionPath(Struct, frozen=True):
    """All environments of a project, in the order in which they were written; each names where it promotes from."""

    environments: tuple[Environment, ...]

    def __post_init__(self) -> None:
        """Hold the invariants: at least one environment, unique names, known sources, no ring."""
        names = [environment.name for environment in self.environments]
        if not names:
            raise ConfigError("environments", "there must be at least one")
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"environments.{name}", "is there twice")
        for environment in self.environments:
            if environment.promotes_from is not None and environment.promotes_from not in names:
                raise UnknownEnvironmentError(environment.promotes_from, names)
        for name in names:
            self._check_ring(name)

    def _check_ring(self, start: EnvironmentName) -> None:
        """Raise CyclicPathError if following `promotes_from` comes back to an environment."""
        seen = [start]
        following = self.get(start).promotes_from
        while following is not None:
            if following in seen:
                raise CyclicPathError([*seen[seen.index(following) :], following])
            seen.append(following)
            following = self.get(following).promotes_from

    def get(self, name: str) -> Environment:
        """Return the environment of that name, else the only one with that target; raise UnknownEnvironmentError."""
        named = [environment for environment in self.environments if environment.name == name]
        found = named or [environment for environment in self.environments if environment.target == name]
        if len(found) != 1:
            raise UnknownEnvironmentError(name, [environment.name for environment in self.environments])
        return found[0]

    def with_run_vars(self, name: str, given: Mapping[str, object]) -> PromotionPath:
        """Return the path with vars of one run: of the environment with this name, and of others that name them, too.

        Raises UnknownEnvironmentError, ConfigError for a var that is not among the `run_vars` of the environment.
        """
        meant = self.get(name)
        for var in sorted(given.keys() - meant.run_vars):
            raise ConfigError(
                f"vars: {var}",
                f"a version must not depend on who builds it, so that only vars that differ from run to run can be "
                f"given; add `run_vars: [{var}]` to environments.{meant.name} in promotion.yml, or declare its value "
                f"there under `vars`",
            )
        return PromotionPath(tuple(replace(one, vars=one.vars_with(given)) for one in self.environments))

    def source_of(self, target: Environment, asked: str | None = None) -> Environment:
        """Return the environment that a target promotes from.

        Raises SkippedEnvironmentError where `asked` names another one, or where the target is the first of its path.
        """
        expected = target.promotes_from
        if expected is None or (asked is not None and self.get(asked).name != expected):
            raise SkippedEnvironmentError(asked or "nowhere", target.name, expected)
        return self.get(expected)

    def last(self) -> Environment:
        """Return the last environment of the path: one from which nothing is promoted on (the last written, of
        several).
        """
        sources = {environment.promotes_from for environment in self.environments}
        ends = [environment for environment in self.environments if environment.name not in sources]
        return ends[-1]
