"""Files of dbt, and runs, that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_dbt_promotion.core.errors.family import InputError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable


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


class ImportedStateError(InputError):
    """A file of another tool that cannot be imported."""

    code = "bad_import"

    def __init__(self, where: str, place: str, problem: str) -> None:
        """Take the file, the JSON path in it and the complaint."""
        self.where, self.place, self.problem = where, place, problem
        super().__init__(f"{where}: {problem} - at `{place}`; nothing was imported")


class UnsupportedSchemaError(ArtifactError):
    """An artifact of a schema that this package does not read."""

    code = "unsupported_schema"


class UnsupportedDbtError(InputError):
    """A dbt that this package cannot run."""

    code = "unsupported_dbt"

    def __init__(self, where: str, version: str) -> None:
        """Take the executable or environment, and the version of its dbt."""
        self.where, self.version = where, version
        super().__init__(
            f"{where} is dbt {version}, and this package runs dbt-core 1.10, 1.11 and 1.12. dbt 2 has no parse that "
            f"can be kept and handed back, so it can neither plan, promote nor run released code; evidence of its runs "
            f"is not taken either, since they do not say with which target and vars they ran. Name a dbt 1.x, or the "
            f"Python that has one, as dbt_executable_path (--dbt-executable-path)"
        )


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
            f"these nodes depend on each other in a ring: {listed(self.nodes)}; no dbt wrote such a manifest"
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
            f"(`dbt build --select +{model.rsplit('.', 1)[-1]}`), and record that run"
        )


class PlaceMismatchError(InputError):
    """A run that built or read a relation elsewhere than the environment has it."""

    code = "place_mismatch"

    def __init__(self, where: str, node: str, found: str, environment: str, expected: str) -> None:
        """Take the run, the node, the run's relation, the environment and its relation."""
        self.where, self.node, self.found, self.expected = where, node, found, expected
        super().__init__(
            f"{where}: the run has {node} at {found}, and {environment} has it at {expected}, so it is no evidence of "
            f"{environment}; run dbt with the environment's profile, target and vars"
        )


class ForbiddenBypassError(InputError):
    """A bypass that the policy of an environment forbids."""

    code = "bypass_forbidden"

    def __init__(self, kind: str, environment: str) -> None:
        """Take the kind of bypass, and the environment whose policy forbids it."""
        self.kind, self.environment = kind, environment
        super().__init__(
            f"environments.{environment}.forbid in promotion.yml forbids {kind}; record the run without a reason, then "
            f"it counts from now on"
        )


class UnverifiedPlaceError(InputError):
    """A run of which it cannot be told which warehouse it went to, where policy wants to know."""

    code = "unverified_place"

    def __init__(self, where: str, environment: str, why: str) -> None:
        """Take the run, the environment, and what was in the way, if that is known."""
        self.where, self.environment, self.why = where, environment, why
        more = f" ({why})" if why else ""
        super().__init__(
            f"{where}: it cannot be told whether the run went to the warehouse of {environment}{more}, and "
            f"environments.{environment}.unverified_place is block; record it where the profile of the run can be read"
        )


class UnknownArgumentError(InputError):
    """A run with arguments of which it is not known whether they change what is built."""

    code = "unknown_argument"

    def __init__(self, where: str, environment: str, arguments: Iterable[tuple[str, object]]) -> None:
        """Take the run, the environment, and the arguments with their values."""
        self.where, self.arguments = where, tuple(arguments)
        told = listed([f"{name}={value!r}" for name, value in self.arguments])
        names = ", ".join(name for name, _ in self.arguments)
        super().__init__(
            f"{where} is no evidence: dbt ran with {told}, and it is not known whether that changes what is built; run "
            f"dbt without, or, where it changes nothing, add `accept_arguments: [{names}]` to "
            f"environments.{environment} in promotion.yml"
        )


class OverriddenVarsError(InputError):
    """A run whose vars are not the environment's."""

    code = "vars_overridden"

    def __init__(self, where: str, environment: str, different: Iterable[tuple[str, str | None, str | None]]) -> None:
        """Take the run, the environment, and the vars, each with its value in the run and in the environment; None is
        the project's own.
        """
        self.different = tuple(different)
        self.names = tuple(name for name, _, _ in self.different)
        own = "the project's own value"
        told = listed(
            [f"{name} was {run or own}, {environment} has {here or own}" for name, run, here in self.different]
        )
        super().__init__(
            f"{where}: the run had other vars than {environment}, so it proves another version ({told}). Run dbt with "
            f"the vars of environments.{environment}.vars in promotion.yml, or change them there; where a var differs "
            f"from run to run, add `run_vars: [{', '.join(self.names)}]` to environments.{environment}"
        )
