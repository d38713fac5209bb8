"""A form for people who trigger a promotion: what can go, at which version and after which soak.

What the form offers is read from the state whenever Airflow parses the DAG file. Airflow's server refuses what is not
offered; what the state says by the time the task runs is the promotion's to judge, which asks every gate again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from airflow_dbt_promotion.core.names import ALL_VALIDATED

if TYPE_CHECKING:
    from airflow.sdk import Param

    from airflow_dbt_promotion.core.environment import Environment
    from airflow_dbt_promotion.engine import Engine
    from airflow_dbt_promotion.hooks.settings import ProjectOptions

log = logging.getLogger(__name__)

CACHED_FOR = 30.0
"""Seconds for which the forms of one process share what was read."""

MOST_MODELS = 500
"""How many models a form offers; beyond, it is a field for names."""

_NAME = r"^[\w.\- ]+$"
_BYPASS = "Bypass"
_read: dict[str, tuple[float, Offer | None]] = {}


class Offer(NamedTuple):
    """What a form offers: the environments that are promoted to, each model with its label, what policy lets be.

    `open` says that some environment promotes from one where people work, so that any model of the project may go.
    """

    targets: tuple[str, ...]
    models: Mapping[str, str]
    open: bool
    skips_tests: bool
    least_soak: float


def promotion_params(
    target_environment: str | None = None,
    *,
    dry_run: bool = True,
    also: Sequence[str] = (),
    **project: Unpack[ProjectOptions],
) -> dict[str, Param]:
    """Return the params of a DAG that people trigger to promote: `params=promotion_params(...)`.

    `target_environment` fixes where to; None offers every environment that is promoted to. `dry_run` is what the form
    has chosen at first, `also` are names that it offers besides those that the state knows. The project is named as for
    any operator. Where the state cannot be read, or any model of the project may go, models are a field for names
    unless `also` names them. A bypass that policy forbids is not offered.
    """
    from airflow.sdk import Param  # noqa: PLC0415 - imports of Airflow wait until they are needed

    offer = _offer(target_environment, project)
    targets = _targets(offer, target_environment)
    params = {
        "target_environment": Param(targets[0], type="string", title="Promote into", **targets[1]),
        "models": _models(offer, also),
        "include_upstream": Param(default=False, type="boolean", title="Add the parents that have to come along"),
        "min_days_in_staging": Param(
            default=None,
            type=["null", "number"],
            minimum=0 if offer is None else offer.least_soak,
            title="Days of soak, in place of what policy asks for",
            description="Fewer than policy asks for are a bypass, which needs a reason",
            section=_BYPASS,
        ),
        "dry_run": Param(default=dry_run, type="boolean", title="Dry run", description="Plan, and change nothing"),
        "reason": Param(default=None, type=["null", "string"], minLength=1, title="Reason", section=_BYPASS),
    }
    if offer is None or offer.skips_tests:
        params["skip_tests"] = Param(
            default=False,
            type="boolean",
            title="Skip the tests gate",
            description="A bypass that is recorded for good, with your name and the reason",
            section=_BYPASS,
        )
    return params


def promotion_arguments() -> dict[str, str]:
    """Return the arguments by which a PromoteOperator takes what people chose: `**promotion_arguments()`."""
    return {
        "target_environment": "{{ params.target_environment }}",
        "models": f"{{{{ (params.models | reject('equalto', '{ALL_VALIDATED}') | list or params.models) | tojson }}}}",
        "include_upstream": "{{ params.include_upstream }}",
        "min_days_in_staging": "{{ params.min_days_in_staging if params.min_days_in_staging is not none else '' }}",
        "dry_run": "{{ params.dry_run }}",
        "require_tests": "{{ not params.get('skip_tests', False) }}",
        "reason": "{{ params.reason or '' }}",
    }


def _targets(offer: Offer | None, asked: str | None) -> tuple[str, dict[str, Any]]:
    """Return the environment that is chosen at first, and the schema that says which there are."""
    if asked is not None:
        return asked, {"enum": [asked]}
    return ("production", {}) if offer is None else (offer.targets[-1], {"enum": list(offer.targets)})


def _models(offer: Offer | None, also: Sequence[str]) -> Param:
    """Return the field for models: a choice of those that can go, or names."""
    from airflow.sdk import Param  # noqa: PLC0415 - as late

    labels = dict(sorted({**{name: name for name in also}, **(offer.models if offer is not None else {})}.items()))
    if len(labels) > MOST_MODELS or (not also and (offer is None or offer.open)):
        items = {"type": "string", "pattern": _NAME}
        return Param(
            [ALL_VALIDATED], type="array", items=items, minItems=1, title="Models", description="One name a line"
        )
    names = [ALL_VALIDATED, *labels]
    return Param(
        [ALL_VALIDATED],
        type="array",
        items={"type": "string", "enum": names},
        examples=names,
        values_display={ALL_VALIDATED: "everything that may go", **labels},
        minItems=1,
        title="Models",
        description="Models that are chosen stand in place of everything. With what is tested and soaked since this "
        "DAG was parsed, ask for everything that may go",
    )


def _offer(target: str | None, project: ProjectOptions) -> Offer | None:
    """Return what there is to offer, read once in a while; None where it cannot be read: a DAG parses then, too."""
    key = repr((target, sorted(project.items(), key=lambda one: one[0])))
    at, found = _read.get(key, (-CACHED_FOR, None))
    if time.monotonic() - at < CACHED_FOR:
        return found
    try:
        offer: Offer | None = _ask(target, project)
    except Exception as error:  # noqa: BLE001 - whatever it is, people can still type names
        log.warning("the form offers no models, since the state cannot be read here: %s", error)
        offer = None
    _read[key] = (time.monotonic(), offer)
    return offer


def _ask(target: str | None, project: ProjectOptions) -> Offer:
    """Ask the engine what is pending and can go. Runs no dbt, and writes nothing."""
    from airflow_dbt_promotion.core.environment import BypassKind  # noqa: PLC0415 - only where a form is made
    from airflow_dbt_promotion.hooks.promotion import PromotionHook  # noqa: PLC0415 - as late

    with PromotionHook(**project).engine() as engine:
        path = engine.path
        chosen = [one for one in path.environments if one.promotes_from is not None]
        if target is not None:
            chosen = [path.get(target)]
        models = {name: label for one in chosen for name, label in _pending(engine, one)}
    return Offer(
        targets=tuple(one.name for one in chosen),
        models=models,
        open=any(path.source_of(one).working for one in chosen),
        skips_tests=any(BypassKind.SKIP_TESTS not in one.forbid for one in chosen),
        least_soak=min(_least(one, BypassKind.SHORT_SOAK in one.forbid) for one in chosen),
    )


def _pending(engine: Engine, target: Environment) -> Sequence[tuple[str, str]]:
    """Return each model that can go into an environment, with its label: name, version, since when it is there.

    An instant and no age: where a DAG says something else at each parse, Airflow counts a new version of it.
    """
    from airflow_dbt_promotion.core.identity import short  # noqa: PLC0415 - as late

    source = engine.path.source_of(target)
    if engine.observer.state(source.name) is None:
        return ()
    found = engine.validated(None, source.name, pending=True)
    called = engine.observer.called(found)
    return [
        (name, f"{name} {short(one.version)}, in {source.name} since {one.since:%Y-%m-%d %H:%M}")
        for one in found
        for name in (called[one.model],)
    ]


def _least(target: Environment, forbidden: bool) -> float:  # noqa: FBT001 - a fact of policy
    """Return the fewest days of soak that a person may ask for."""
    return target.soak / timedelta(days=1) if forbidden else 0.0
