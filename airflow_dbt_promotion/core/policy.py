"""Policy: what an environment asks of one model, by its own values and the rules that mean the model.

Where several rules say something, the strictest of them holds, whatever their order. A rule stands in place of the
environment's own value, so it may ask for less. Where it is not known what a model is (no parse of it can be had),
the strictest of everything holds: not knowing opens no gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.environment import Environment, IncrementalChange, Leniency, Rule, SoakScope
from airflow_dbt_promotion.core.labels import Labels

T = TypeVar("T")


class Asked(Enum):
    """What can be asked of a model, by its key in `promotion.yml`."""

    SOAK = "min_days_in_staging"
    RUNS = "min_successful_runs"
    SCOPE = "soak_scope"
    ZERO_TESTS = "zero_tests"
    WARNINGS = "warnings"
    ROWS = "on_incremental_change"
    APPROVAL = "approval"


class Policy(Struct, frozen=True, kw_only=True):
    """What is asked of one model.

    `rules` are those that mean it, by what they are called; `given_by` are those of them from which a value comes,
    nothing for the environment's own. `known` says whether it was known what the model is.
    """

    soak: timedelta
    runs: int
    scope: SoakScope
    zero_tests: Leniency
    warnings: Leniency
    on_incremental_change: IncrementalChange
    approvals: tuple[ApprovalPolicy, ...]
    rules: tuple[str, ...] = ()
    given_by: Mapping[Asked, tuple[str, ...]] = {}
    known: bool = True


def policy_for(environment: Environment, labels: Labels | None) -> Policy:
    """Return what an environment asks of a model with these labels; None where they are not known."""
    known = labels is not None or not environment.rules
    rules = tuple(rule for rule in environment.rules if labels is None or rule.means(labels))
    choosing = _Choosing(rules, own_counts=not known)
    soak = choosing.strictest(Asked.SOAK, environment.soak, lambda rule: rule.soak, lambda soak: soak)
    runs = choosing.strictest(
        Asked.RUNS, environment.min_successful_runs, lambda rule: rule.min_successful_runs, lambda runs: runs
    )
    scope = choosing.strictest(Asked.SCOPE, environment.soak_scope, lambda rule: rule.soak_scope, _SCOPES.index)
    zero = choosing.strictest(Asked.ZERO_TESTS, environment.zero_tests, lambda rule: rule.zero_tests, _LENIENCY.index)
    warned = choosing.strictest(Asked.WARNINGS, environment.warnings, lambda rule: rule.warnings, _LENIENCY.index)
    rows = choosing.strictest(
        Asked.ROWS, environment.on_incremental_change, lambda rule: rule.on_incremental_change, _ROWS.index
    )
    approvals = choosing.approvals(environment.approval)
    return Policy(
        soak=soak,
        runs=runs,
        scope=scope,
        zero_tests=zero,
        warnings=warned,
        on_incremental_change=rows,
        approvals=approvals,
        rules=tuple(rule.called for rule in rules),
        given_by=choosing.given_by,
        known=known,
    )


def stricter(one: Policy, other: Policy) -> Policy:
    """Return what two policies of one model ask together: of each value the strictest, and every approval."""
    both = replace(
        one,
        soak=max(one.soak, other.soak),
        runs=max(one.runs, other.runs),
        scope=max(one.scope, other.scope, key=_SCOPES.index),
        zero_tests=max(one.zero_tests, other.zero_tests, key=_LENIENCY.index),
        warnings=max(one.warnings, other.warnings, key=_LENIENCY.index),
        on_incremental_change=max(one.on_incremental_change, other.on_incremental_change, key=_ROWS.index),
        approvals=tuple(dict.fromkeys((*one.approvals, *other.approvals))),
        rules=tuple(dict.fromkeys((*one.rules, *other.rules))),
        known=one.known and other.known,
    )
    given = {
        key: tuple(
            dict.fromkeys(
                name for policy in (one, other) if _gives(policy, both, field) for name in policy.given_by.get(key, ())
            )
        )
        for key, field in _FIELDS.items()
    }
    return replace(both, given_by={key: names for key, names in given.items() if names})


def _gives(policy: Policy, both: Policy, field: str) -> bool:
    """Say whether a value of two policies together comes from one of them."""
    value = getattr(policy, field)
    return bool(value) or not both.approvals if field == "approvals" else bool(value == getattr(both, field))


_FIELDS: Mapping[Asked, str] = {
    Asked.SOAK: "soak",
    Asked.RUNS: "runs",
    Asked.SCOPE: "scope",
    Asked.ZERO_TESTS: "zero_tests",
    Asked.WARNINGS: "warnings",
    Asked.ROWS: "on_incremental_change",
    Asked.APPROVAL: "approvals",
}

_SCOPES = (SoakScope.SELF, SoakScope.LINEAGE)
_LENIENCY = (Leniency.PASS, Leniency.BLOCK)
_ROWS = (IncrementalChange.FULL_REFRESH, IncrementalChange.FORWARD_ONLY, IncrementalChange.BLOCK)
"""From the least strict to the strictest; rows that stay as they are can be built anew later, not the other way round.
"""


class _Choosing:
    """One policy in the making: what each rule says, and which of them has its way."""

    def __init__(self, rules: Sequence[Rule], *, own_counts: bool) -> None:
        """Take the rules; `own_counts` lets the environment's own value compete with them."""
        self._rules, self._own_counts = rules, own_counts
        self.given_by: dict[Asked, tuple[str, ...]] = {}

    def strictest(
        self, key: Asked, own: T, said: Callable[[Rule], T | None], strictness: Callable[[T], int | timedelta]
    ) -> T:
        """Return the strictest value that some rule gives, else the environment's own."""
        values = [(rule.called, value) for rule in self._rules if (value := said(rule)) is not None]
        if not values:
            return own
        asked = [value for _, value in values] + ([own] if self._own_counts else [])
        found = max(asked, key=strictness)
        if not (self._own_counts and found == own):
            self.given_by[key] = tuple(name for name, value in values if value == found)
        return found

    def approvals(self, own: ApprovalPolicy | None) -> tuple[ApprovalPolicy, ...]:
        """Return every approval that some rule asks for, else the environment's own: each has to be given."""
        mine = () if own is None else (own,)
        said = [(rule.called, rule.approvals) for rule in self._rules if rule.approvals is not None]
        some = [(name, asked) for name, asked in said if asked]
        if not said or (self._own_counts and not some):
            return mine
        self.given_by[Asked.APPROVAL] = tuple(name for name, _ in some or said)
        every = (*(mine if self._own_counts else ()), *(policy for _, asked in some for policy in asked))
        return tuple(dict.fromkeys(every))
