"""Names, configuration and options that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_dbt_promotion.core.errors.family import InputError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable


SHOWN = 80
"""How many characters of a bad name an error repeats."""


class UnknownModelError(InputError):
    """A model name that neither the project nor the environments know."""

    code = "unknown_model"

    def __init__(self, name: str, near: Iterable[str] = ()) -> None:
        """Take the name as it was given and the names that look like it."""
        self.name, self.near = name, tuple(near)
        hint = (
            f"; did you mean {listed(self.near)}?"
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
            f"{name!r} could be any of {listed(self.candidates)}; name the package (`package.name`), the version "
            f"(`name.v2`) or the unique id"
        )


class InvalidNameError(InputError):
    """A name with characters that no dbt name has."""

    code = "invalid_name"

    def __init__(self, what: str, name: str, why: str) -> None:
        """Take what was being named (`model`, `environment`), the name and the complaint."""
        self.what, self.name = what, name
        shown = name if len(name) <= SHOWN else name[: SHOWN - 3] + "..."
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
            f"there is no environment {name!r}; known: {listed(self.known) or 'none'}. Environments come from "
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
    """A bypass, or another deed that stays on record, for which nobody gave a reason."""

    code = "reason_required"

    def __init__(self, bypass: str) -> None:
        """Take what was asked for, such as `skip_tests`."""
        self.bypass = bypass
        super().__init__(f"{bypass} is recorded for good; say why with a reason (`--reason TEXT`, reason=...)")


class InvalidInstantError(InputError):
    """A text that names no instant to come."""

    code = "bad_instant"

    def __init__(self, value: str, why: str) -> None:
        """Take the text as given and the complaint."""
        self.value = value
        shown = value if len(value) <= SHOWN else value[: SHOWN - 3] + "..."
        super().__init__(
            f"{shown!r} is not a usable end: {why}. Give an instant with its zone (2026-12-24T18:00+01:00, "
            f"2026-12-24T17:00Z), or how long in ISO 8601 (PT4H, P2D)"
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
