"""What somebody typed as a selector of dbt's, and what a command of dbt's executes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.errors import ConfigError, DbtError, EmptySelectionError, InvalidNameError
from airflow_dbt_promotion.core.orders import RunCommand, RunRequest
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation

_BY_STATE = re.compile(r"(?:^|,)(?:\d*\+|@)?(state|result|source_status)(?:\.[^:,]*)?:")
"""Methods that compare with the artifacts of another run: there is none."""

_REFUSED = "Runtime Error"

_TESTS = frozenset({"test", "unit_test"})
_KINDS = {
    RunCommand.BUILD: frozenset({"model", "seed", "snapshot", "function"}) | _TESTS,
    RunCommand.RUN: frozenset({"model"}),
    RunCommand.TEST: _TESTS,
    RunCommand.SEED: frozenset({"seed"}),
    RunCommand.SNAPSHOT: frozenset({"snapshot"}),
}
_REFRESHABLE = frozenset({RunCommand.BUILD, RunCommand.RUN, RunCommand.SEED})


class NothingSelectedError(EmptySelectionError):
    """A selector that names nothing that the command would execute."""

    def __init__(self, request: RunRequest) -> None:
        """Take the request."""
        super().__init__("select")
        less = f" less {request.exclude!r}" if request.exclude is not None else ""
        chosen = repr(request.select) if request.select is not None else "all that there is"
        place = request.environment.name
        words = f"{chosen}{less} names nothing that `dbt {request.command.value}` would run in {place}"
        self.args = (f"{words}; `dbt-promote status` lists what is promoted there",)


def parts_of(what: str, typed: str) -> tuple[str, ...]:
    """Return the parts of a selector, as a shell would hand them to dbt.

    Raises InvalidNameError for an empty one, an option, and a method that compares with another run.
    """
    parts = tuple(typed.split())
    if not parts or any(part.startswith("-") for part in parts):
        raise InvalidNameError(what, typed, "give a dbt selector such as tag:nightly or +orders")
    compared = next((found[1] for part in parts if (found := _BY_STATE.search(part))), None)
    if compared is not None:
        raise InvalidNameError(what, typed, f"`{compared}:` compares with another run, and there is none here")
    return parts


def invocation_of(request: RunRequest, target: str) -> DbtInvocation:
    """Return what dbt is asked to run. Raises InvalidNameError, or ConfigError for what the command does not know."""
    if request.full_refresh and request.command not in _REFRESHABLE:
        raise ConfigError("full_refresh", f"`dbt {request.command.value}` knows no full refresh; leave it out")
    return DbtInvocation(
        command=DbtCommand(request.command.value),
        target=target,
        select=parts_of("select", request.select) if request.select is not None else None,
        exclude=parts_of("exclude", request.exclude) if request.exclude is not None else (),
        full_refresh=request.full_refresh,
        vars=request.environment.vars,
    )


def executed_of(listed: Iterable[str], request: RunRequest) -> tuple[str, ...]:
    """Return what a run executes of what dbt lists for its selectors, sorted. Raises NothingSelectedError.

    An ephemeral model is never executed, and `build` runs a unit test only beside its model.
    """
    composition: Composition = request.composition
    nodes, units = composition.definition.nodes, composition.definition.unit_tests
    every = set(listed)
    kinds = _KINDS[request.command]
    found = {id_ for id_ in every if id_.partition(".")[0] in kinds}
    found -= {id_ for id_ in found if id_ in nodes and nodes[id_].is_ephemeral}
    if request.command is RunCommand.BUILD:
        found -= {id_ for id_ in found if id_ in units and every.isdisjoint(units[id_].depends_on.nodes)}
    if not found:
        raise NothingSelectedError(request)
    return tuple(sorted(found))


@contextmanager
def refusing(what: str, typed: str) -> Iterator[None]:
    """Turn what dbt says of a selector into InvalidNameError.

    The project was read, and no warehouse is asked: what dbt itself refuses then is the selector.
    """
    try:
        yield
    except DbtError as error:
        if not any(_REFUSED in word for word in error.words):
            raise
        raise InvalidNameError(what, typed, f"dbt says: {' | '.join(error.words)}") from error
