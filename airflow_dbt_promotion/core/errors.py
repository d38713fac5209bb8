"""What can be wrong, as one family of exceptions.

Expected answers of the gates are values (`Verdict`), not exceptions. An exception here means that somebody handed in
something unusable (`InputError`), or that the machine, dbt or the stored state let us down (`MachineError`). Every leaf
carries its facts as attributes and says what is wrong, where, and what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


_SHOWN = 80
"""How many characters of a bad name an error repeats."""


class PromotionError(Exception):
    """The root of every error that this package raises on purpose.

    `code` is stable and meant for machines; the message is meant for people.
    """

    code: ClassVar[str] = "error"


class InputError(PromotionError):
    """Something that was handed in cannot be used; trying again without a change is pointless."""

    code = "bad_input"


class MachineError(PromotionError):
    """The surroundings failed: a file, a lock, dbt itself, stored state; trying again may help."""

    code = "errored"


# --- names and configuration ------------------------------------------------------------------------------------------


def _list(names: Iterable[str], limit: int = 8) -> str:
    """Join names for a sentence, and say how many were left out."""
    shown = list(names)
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more


class UnknownModelError(InputError):
    """A model name that neither the project nor the environments know."""

    code = "unknown_model"

    def __init__(self, name: str, near: Iterable[str] = ()) -> None:
        """Take the name as it was given and the names that look like it."""
        self.name, self.near = name, tuple(near)
        hint = (
            f"; did you mean {_list(self.near)}?"
            if self.near
            else "; `dbt-promote status` lists the models that are known"
        )
        super().__init__(f"no model is called {name!r}{hint}")


class AmbiguousModelError(InputError):
    """A bare name that several models share."""

    code = "ambiguous_model"

    def __init__(self, name: str, candidates: Iterable[str]) -> None:
        """Take the name as it was given and the unique ids that it could mean."""
        self.name, self.candidates = name, tuple(candidates)
        super().__init__(
            f"{name!r} could be any of {_list(self.candidates)}; name the package (`package.name`), the version "
            f"(`name.v2`) or the unique id"
        )


class InvalidNameError(InputError):
    """A name with characters that no dbt name has."""

    code = "invalid_name"

    def __init__(self, what: str, name: str, why: str) -> None:
        """Take what was being named (`model`, `environment`), the name and the complaint."""
        self.what, self.name = what, name
        shown = name if len(name) <= _SHOWN else name[: _SHOWN - 3] + "..."
        super().__init__(f"{shown!r} is not a usable {what} name: {why}")


class EmptySelectionError(InputError):
    """A list of models that is there but empty."""

    code = "empty_selection"

    def __init__(self, what: str = "models") -> None:
        """Take the argument's name."""
        super().__init__(
            f"{what} is an empty list, which would promote nothing; leave it out (or say `all-validated`) to promote "
            f"all that may go"
        )


class TooManyNamesError(InputError):
    """More names than a person can have meant."""

    code = "too_many_names"

    def __init__(self, count: int, limit: int) -> None:
        """Take how many were given and how many are taken."""
        self.count, self.limit = count, limit
        super().__init__(
            f"{count} model names were given, at most {limit} are taken; use `--select` or `all-validated`"
        )


class UnknownEnvironmentError(InputError):
    """An environment that the promotion path does not have."""

    code = "unknown_environment"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        """Take the name and the environments of the path."""
        self.name, self.known = name, tuple(known)
        super().__init__(
            f"there is no environment {name!r}; known: {_list(self.known) or 'none'}. Environments come from "
            f"promotion.yml, "
            f"or from the dbt targets development/dev, staging/stage, production/prod"
        )


class SkippedEnvironmentError(InputError):
    """A promotion that would jump over an environment of the path."""

    code = "environment_skipped"

    def __init__(self, source: str, target: str, expected: str | None) -> None:
        """Take both ends as asked for, and where the target really promotes from."""
        self.source, self.target, self.expected = source, target, expected
        rule = (
            f"{target} promotes from {expected}"
            if expected
            else f"{target} is the first of its path and takes no promotion"
        )
        super().__init__(
            f"cannot promote from {source} to {target}: {rule}. Promote step by step, or change promotes_from in "
            f"promotion.yml"
        )


class CyclicPathError(InputError):
    """Environments that promote from each other in a ring."""

    code = "cyclic_path"

    def __init__(self, ring: Iterable[str]) -> None:
        """Take the environments of the ring, in order."""
        self.ring = tuple(ring)
        super().__init__(
            f"the promotion path goes round in a circle: {' <- '.join(self.ring)}; correct promotes_from in "
            f"promotion.yml"
        )


class ConfigError(InputError):
    """A configuration file or option that cannot be used."""

    code = "bad_configuration"

    def __init__(self, where: str, problem: str) -> None:
        """Take the place (`promotion.yml: environments.staging.target`) and the complaint."""
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


class ReasonRequiredError(InputError):
    """A bypass for which nobody gave a reason."""

    code = "reason_required"

    def __init__(self, bypass: str) -> None:
        """Take the bypass, such as `skip_tests`."""
        self.bypass = bypass
        super().__init__(
            f"{bypass} is a bypass that is recorded for good; say why with a reason (`--reason TEXT`, reason=...)"
        )


class InvalidDurationError(InputError):
    """A number of days or an ISO 8601 duration that is none."""

    code = "bad_duration"

    def __init__(self, value: object, why: str) -> None:
        """Take the value as given and the complaint."""
        self.value = value
        super().__init__(
            f"{value!r} is not a usable duration: {why}. Give days as a number of 0 or more (1, 0.5), or ISO 8601 "
            f"(P1D, PT12H)"
        )


# --- artifacts of dbt -------------------------------------------------------------------------------------------------


class ArtifactError(InputError):
    """A file written by dbt that cannot be used."""

    code = "bad_artifact"

    def __init__(self, path: str, problem: str) -> None:
        """Take the file and the complaint."""
        self.path, self.problem = path, problem
        super().__init__(f"{path}: {problem}")


class MissingArtifactError(ArtifactError):
    """A file of dbt's that is not there."""

    code = "missing_artifact"


class UnsupportedSchemaError(ArtifactError):
    """An artifact of a schema that this package does not read."""

    code = "unsupported_schema"


class MissingParentError(InputError):
    """A node that depends on something that the manifest does not hold."""

    code = "missing_parent"

    def __init__(self, node: str, parent: str) -> None:
        """Take both unique ids."""
        self.node, self.parent = node, parent
        super().__init__(
            f"{node} depends on {parent}, which the manifest does not hold; parse the whole project again with `dbt "
            f"parse`"
        )


class CyclicGraphError(InputError):
    """Models that depend on each other in a ring."""

    code = "cyclic_graph"

    def __init__(self, nodes: Iterable[str]) -> None:
        """Take unique ids that are part of a ring."""
        self.nodes = tuple(nodes)
        super().__init__(
            f"these nodes depend on each other in a ring: {_list(self.nodes)}; no dbt wrote such a manifest"
        )


class ForeignProjectError(InputError):
    """An artifact or a state of another dbt project."""

    code = "foreign_project"

    def __init__(self, where: str, found: str, expected: str) -> None:
        """Take the place, the project that was found there and the one that is at hand."""
        self.where, self.found, self.expected = where, found, expected
        super().__init__(
            f"{where} belongs to the dbt project {found!r}, not to {expected!r}; point at the right folder, or give "
            f"this project a state root of its own"
        )


class RunRefusedError(InputError):
    """A dbt invocation that proves nothing (`--empty`, `--sample`, `--defer`, or a command that builds and tests
    nothing).
    """

    code = "run_refused"

    def __init__(self, where: str, why: str) -> None:
        """Take the run_results file and the complaint."""
        self.where = where
        super().__init__(f"{where} is no evidence: {why}")


class InvocationMismatchError(InputError):
    """A run_results.json and a manifest.json of two different invocations."""

    code = "invocation_mismatch"

    def __init__(self, where: str, run: str, manifest: str) -> None:
        """Take the folder and both invocation ids."""
        self.where, self.run, self.manifest = where, run, manifest
        super().__init__(
            f"{where}: run_results.json is of invocation {run}, manifest.json of {manifest}; take evidence right "
            f"after the run, "
            f"before another dbt command writes into the same target folder"
        )


class TargetMismatchError(InputError):
    """A run that was made for another dbt target than the environment's."""

    code = "target_mismatch"

    def __init__(self, where: str, found: str, expected: str, environment: str) -> None:
        """Take the place, the target of the run, the environment's target and the environment."""
        self.found, self.expected, self.environment = found, expected, environment
        super().__init__(f"{where} was made for dbt target {found!r}; environment {environment} is target {expected!r}")


class ParentNotBuiltError(InputError):
    """A model that was built on a parent version that the environment does not hold."""

    code = "parent_not_built"

    def __init__(self, model: str, parent: str, environment: str, held: str | None) -> None:
        """Take the child, its parent, the environment and the parent version that is there, if any."""
        self.model, self.parent, self.environment, self.held = model, parent, environment, held
        state = "another version of it" if held else "no record of it"
        super().__init__(
            f"{model} was built in {environment} on {parent}, but {environment} holds {state}: the run did not build "
            f"it. Build both "
            f"(`dbt build --select +{model.rsplit('.', 1)[-1]}`), or adopt what is there with `dbt-promote record "
            f"--baseline`"
        )


class OverriddenVarsError(InputError):
    """A run with `--vars` that change what the project declares."""

    code = "vars_overridden"

    def __init__(self, where: str, names: Iterable[str], environment: str) -> None:
        """Take the run, the vars and the environment."""
        self.names = tuple(names)
        super().__init__(
            f"{where}: the run set {_list(self.names)} with --vars to something else than the project declares, so it "
            f"proves "
            f"another version; declare them under environments.{environment}.vars in promotion.yml if they belong to "
            f"the environment"
        )


# --- state, clock, locks ----------------------------------------------------------------------------------------------


class StateError(MachineError):
    """The stored state cannot be used; it is left as it is."""

    code = "state_error"

    def __init__(self, where: str, problem: str) -> None:
        """Take the file or address, and the complaint."""
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


class CorruptStateError(StateError):
    """State that is truncated, has a wrong type, or breaks an invariant."""

    code = "corrupt_state"


class FutureSchemaError(StateError):
    """State that a newer release of this package wrote."""

    code = "future_schema"


class StateConflictError(StateError):
    """Somebody else wrote the state between our read and our write."""

    code = "state_conflict"

    def __init__(self, where: str, expected: int | None, found: int | None) -> None:
        """Take the address, the serial that was read, and the serial that is there now; None is no document at all."""
        self.expected, self.found = expected, found
        now, before = ("nothing" if serial is None else f"serial {serial}" for serial in (found, expected))
        told = "deleted and made anew" if found == expected else f"changed: {now} is there, {before} was read"
        super().__init__(where, f"somebody else wrote it meanwhile ({told}); try again")


class StateUnwritableError(StateError):
    """A state root that cannot be written."""

    code = "state_unwritable"


class LockHeldError(MachineError):
    """Another promotion of the same environment is going on."""

    code = "locked"

    def __init__(self, environment: str, owner: str) -> None:
        """Take the environment and what is known of the owner."""
        self.environment, self.owner = environment, owner
        super().__init__(
            f"another promotion to {environment} is going on ({owner or 'owner unknown'}); wait for it, or raise the "
            f"lock timeout"
        )


class ClockError(MachineError):
    """An instant on record that lies in the future."""

    code = "clock"

    def __init__(self, what: str, recorded: datetime, now: datetime) -> None:
        """Take what the instant stands for, the instant, and the clock's time (both UTC)."""
        self.recorded, self.now = recorded, now
        super().__init__(
            f"{what} is recorded at {recorded.isoformat()}, but the clock says {now.isoformat()}; set the clock right "
            f"and try again"
        )


# --- dbt --------------------------------------------------------------------------------------------------------------


class DbtError(MachineError):
    """dbt could not be started, or ended without saying what it did."""

    code = "dbt_error"

    def __init__(self, problem: str, words: Iterable[str] = ()) -> None:
        """Take the complaint and dbt's own words."""
        self.problem, self.words = problem, tuple(words)
        told = "; dbt says: " + " | ".join(self.words) if self.words else ""
        super().__init__(problem + told)


class DbtProjectError(InputError):
    """dbt refuses the project or the profile."""

    code = "dbt_project"

    def __init__(self, where: str, words: Iterable[str]) -> None:
        """Take the project folder and dbt's own words."""
        self.where, self.words = where, tuple(words)
        super().__init__(f"{where}: dbt cannot use this project: {' | '.join(self.words) or 'it gave no reason'}")


class ExecutedElseError(MachineError):
    """dbt executed something else than what was planned."""

    code = "executed_else"

    def __init__(self, missing: Iterable[str], extra: Iterable[str]) -> None:
        """Take the planned ids that did not run, and the ids that ran unplanned."""
        self.missing, self.extra = tuple(missing), tuple(extra)
        super().__init__(
            "dbt did not execute what was planned: "
            f"missing {_list(self.missing) or 'nothing'}; unplanned {_list(self.extra) or 'nothing'}"
        )
