"""What a request asks: policy with the caller's arguments applied, and the bypasses that they are."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.eligibility import Requirement
from airflow_dbt_promotion.core.environment import BypassKind, Environment, Strategy
from airflow_dbt_promotion.core.errors import ReasonRequiredError
from airflow_dbt_promotion.core.policy import Policy
from airflow_dbt_promotion.engine.request import PromotionRequest


def requirement_of(request: PromotionRequest, source: Environment, target: Environment) -> Requirement:
    """Return what is asked of a source version by the target's own values: more where the request asks for more, less
    as a bypass.
    """
    soak = target.soak if request.soak is None else request.soak
    return Requirement(
        soak=max(soak, target.soak) if request.at_least else soak,
        runs=target.min_successful_runs
        if request.min_successful_runs is None
        else max(request.min_successful_runs, target.min_successful_runs),
        scope=target.soak_scope,
        zero_tests=target.zero_tests,
        warnings=target.warnings,
        skip_tests=not request.require_tests,
        on_the_spot=source.working,
    )


def policy_of(target: Environment, soak: timedelta | None = None) -> Requirement:
    """Return what a target asks of its source, with at least `soak` where given."""
    request = PromotionRequest(target=target.name, soak=None if soak is None else max(soak, target.soak))
    return requirement_of(request, target, target)


def strategy_of(request: PromotionRequest, target: Environment) -> Strategy:
    """Return how models get into the target, as far as somebody chose."""
    return request.strategy or target.strategy or Strategy.BLUE_GREEN


def choices_of(
    request: PromotionRequest,
    target: Environment,
    policies: Collection[Policy] | None = None,
    *,
    older: bool = False,
) -> Choices:
    """Return the choices of a request over what policy asks of the models that it is about (None: of all the same).

    A soak that is shorter than one of them asks is a bypass, and so is a version that is `older`. Raises
    ReasonRequiredError for one without a reason.
    """
    soaks = [target.soak] if policies is None else [policy.soak for policy in policies]
    short = request.soak is not None and not request.at_least and any(request.soak < soak for soak in soaks)
    bypasses = {
        *((BypassKind.SKIP_TESTS,) if not request.require_tests else ()),
        *((BypassKind.SHORT_SOAK,) if short else ()),
        *((BypassKind.OLDER_VERSION,) if older else ()),
        *((BypassKind.OVERRULE_REJECTION,) if request.overrule_rejection else ()),
    }
    reason = (request.reason or "").strip()
    if bypasses and not reason:
        raise ReasonRequiredError(" and ".join(sorted(kind.value for kind in bypasses)))
    return Choices(
        include_upstream=request.include_upstream,
        include_downstream=request.include_downstream,
        include_macro_users=request.include_macro_users,
        allow_stale_downstream=request.allow_stale_downstream,
        allow_removals=request.allow_removals,
        force=request.force,
        strategy=strategy_of(request, target),
        on_incremental_change=request.on_incremental_change or target.on_incremental_change,
        bypasses=frozenset(bypasses),
        reason=reason or None,
    )
