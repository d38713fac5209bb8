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
            f"{where}: the run set {listed(self.names)} with --vars to something else than the project declares, so it "
            f"proves "
            f"another version; declare them under environments.{environment}.vars in promotion.yml if they belong to "
            f"the environment"
        )
