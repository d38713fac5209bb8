"""Errors: one family, stable codes, sentences for people."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_dbt_promotion.core import errors
from airflow_dbt_promotion.core.errors import (
    ArtifactError,
    DbtError,
    DbtProjectError,
    ExecutedElseError,
    ForbiddenBypassError,
    ForeignProjectError,
    InputError,
    InvocationMismatchError,
    LockHeldError,
    MachineError,
    OverriddenVarsError,
    ParentNotBuiltError,
    PlaceMismatchError,
    PromotionError,
    ReasonRequiredError,
    RunRefusedError,
    StateConflictError,
    TargetMismatchError,
    UnknownArgumentError,
    UnknownModelError,
    UnsupportedDbtError,
    UnverifiedPlaceError,
)


def family(root: type[PromotionError]) -> Iterator[type[PromotionError]]:
    """Yield a class and all below it that are the package's own."""
    yield root
    for child in root.__subclasses__():
        yield from family(child)


LEAVES = [
    found
    for found in family(PromotionError)
    if found.__module__.startswith(errors.__name__) and found not in {PromotionError, InputError, MachineError}
]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_every_error_is_of_input_or_of_the_machine_and_says_so(leaf: type[PromotionError]) -> None:
    assert issubclass(leaf, InputError) != issubclass(leaf, MachineError)
    assert leaf.__name__.endswith("Error")
    assert leaf.__doc__


def test_codes_are_unique() -> None:
    codes = [leaf.code for leaf in LEAVES]
    assert len(set(codes)) == len(codes)


def test_a_long_list_is_cut_and_counted() -> None:
    assert "a, b, c, d, e, f, g, h and 2 more" in str(UnknownModelError("x", "abcdefghij"))


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        (1, 2, "serial 2 is there, serial 1 was read"),
        (None, 1, "serial 1 is there, nothing was read"),
        (3, 3, "deleted and made anew"),
    ],
)
def test_a_conflict_says_what_was_read_and_what_is_there(expected: int | None, found: int | None, said: str) -> None:
    assert said in str(StateConflictError("state.json", expected, found))


def test_a_missing_parent_build_says_what_the_environment_holds() -> None:
    told = [str(ParentNotBuiltError("model.shop.b", "model.shop.a", "staging", held)) for held in (None, "v1")]
    assert "no record of it" in told[0]
    assert "another version of it" in told[1]
    assert "--select +b" in told[0]


def test_dbts_own_words_are_passed_on() -> None:
    assert str(DbtError("dbt failed")) == "dbt failed"
    assert "one | two" in str(DbtError("dbt failed", ["one", "two"]))
    assert "gave no reason" in str(DbtProjectError("shop", []))


def test_what_ran_instead_is_named() -> None:
    error = ExecutedElseError([], ["model.shop.a"])
    assert "missing nothing; unplanned model.shop.a" in str(error)
    assert (error.missing, error.extra) == ((), ("model.shop.a",))


@pytest.mark.parametrize(
    ("error", "facts", "remedy"),
    [
        (ReasonRequiredError("skip_tests"), ["skip_tests"], "--reason TEXT"),
        (ArtifactError("target/manifest.json", "is cut off"), ["target/manifest.json", "is cut off"], ""),
        (ForeignProjectError("state.json", "blog", "shop"), ["state.json", "blog", "shop"], "a state root of its own"),
        (RunRefusedError("run_results.json", "it ran with --empty"), ["run_results.json", "--empty"], ""),
        (
            InvocationMismatchError("target", "one", "two"),
            ["target", "one", "two"],
            "take evidence right after the run",
        ),
        (TargetMismatchError("target", "dev", "stg", "staging"), ["target", "dev", "stg", "staging"], ""),
        (
            OverriddenVarsError("target", "staging", [("cutoff", "1", None)]),
            ["target", "cutoff was 1"],
            "environments.staging.vars in promotion.yml",
        ),
        (
            UnknownArgumentError("run_results.json", "staging", [("odd", 1)]),
            ["run_results.json", "odd=1"],
            "accept_arguments: [odd]",
        ),
        (
            PlaceMismatchError("run_results.json", "model.shop.a", "x.a", "staging", "y.a"),
            ["run_results.json", "model.shop.a", "x.a", "y.a"],
            "the environment's profile, target and vars",
        ),
        (UnverifiedPlaceError("run_results.json", "staging", "no profile"), ["no profile"], "where the profile"),
        (ForbiddenBypassError("old_evidence", "production"), ["old_evidence", "production"], "without a reason"),
        (UnsupportedDbtError("bin/dbt", "2.0.0"), ["bin/dbt", "2.0.0"], "--dbt-executable-path"),
        (LockHeldError("production", "ada"), ["production", "ada"], "raise the lock timeout"),
        (LockHeldError("production", ""), ["production", "owner unknown"], "wait for it"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, PromotionError) else None,
)
def test_an_error_names_its_facts_and_what_to_do(error: PromotionError, facts: list[str], remedy: str) -> None:
    for fact in (*facts, remedy):
        assert fact in str(error)
