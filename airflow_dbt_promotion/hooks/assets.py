"""Promotions as events of Airflow's assets, so that a DAG can be scheduled on a promoted model or environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetAlias, BaseOperator

    from airflow_dbt_promotion.engine import Engine, Promotion
    from airflow_dbt_promotion.render.announcing import Announcement

# Airflow leaves URIs whose scheme begins with x- as they are, and asks no provider about them.
_ROOT = "x-dbt-promotion://"

MOST_MODELS = 200
"""How many models of one promotion have events.

Airflow writes them all while the task waits to end, for five seconds by default: 500 took it 3.7 seconds on SQLite.
"""


def environment_asset(environment: str) -> Asset:
    """Return the asset of an environment: one event for each promotion, or rollback, that went well."""
    return _asset(quote(environment))


def model_asset(environment: str, model: str) -> Asset:
    """Return the asset of a model in an environment: one event each time that it advances there.

    The model is named as dbt names it (`orders`, `orders.v2`); a unique id will do.
    """
    return _asset(f"{quote(environment)}/models/{quote(_name(model))}")


def models_asset(environment: str) -> Asset:
    """Return the partitioned asset of an environment's models: the partition key is the model's name (Airflow 3.3).

    Its events have a key, so they start DAGs with a `PartitionedAssetTimetable`, and none with a plain schedule.
    """
    return _asset(f"{quote(environment)}/models")


def promoted_alias(environment: str) -> AssetAlias:
    """Return the alias by which tasks send the events of an environment, whichever models there will be."""
    from airflow.sdk import AssetAlias  # noqa: PLC0415 - imports of Airflow wait until they are needed

    return AssetAlias(f"dbt_promotion:{environment}:promoted")


def has_partitions() -> bool:
    """Say whether tasks of this Airflow can give events partition keys."""
    import airflow.sdk  # noqa: PLC0415 - as late

    return "PartitionedAtRuntime" in airflow.sdk.__all__  # it came together with them


def outlets(environment: object, given: object = None) -> list[Any]:
    """Return the outlets of a task that promotes: those it was given, and ours where the environment is known."""
    found = listed(given)
    return found if "{" in str(environment) else [*found, *_ours(str(environment))]


def emit(context: Mapping[str, Any], task: BaseOperator, engine: Engine, told: Promotion) -> None:
    """Add the events of a promotion that went well; of any other take the outlets away, so that none is sent.

    Airflow sends them when the task succeeds. A promotion that is only told again has its events unless the attempt
    that did it died before they were sent. Raises MachineError where state cannot be read.
    """
    if "outlet_events" not in context:
        return
    from airflow_dbt_promotion.core.state import PromotionOutcome  # noqa: PLC0415 - DAG files import this module
    from airflow_dbt_promotion.hooks import acting  # noqa: PLC0415 - as late
    from airflow_dbt_promotion.render import announcing  # noqa: PLC0415 - as late

    target, run = told.plan.target, acting.run(context)  # type: ignore[arg-type]
    rest = [one for one in task.outlets if one not in _ours(target)]
    done = told.outcome is PromotionOutcome.PROMOTED and not told.dry_run
    if not done or (told.retold and _was_sent(target, told.plan.plan_id, run)):
        task.outlets = rest
        return
    task.outlets = [*rest, *_ours(target)]
    source = None if told.plan.source == target else engine.observer.state(told.plan.source)
    said = announcing.announcement(told, run, source, engine.observer.state(target))
    _add(context["outlet_events"], said)
    if (left := len(said.models) - MOST_MODELS) > 0:
        task.log.warning("%d models advanced without an event: one promotion sends %d at most", left, MOST_MODELS)


def _add(events: Any, said: Announcement) -> None:  # noqa: ANN401 - Airflow's accessor
    """Add what is told of the environment, and of each model."""
    from airflow_dbt_promotion.render import announcing  # noqa: PLC0415 - as late

    through = events[promoted_alias(said.environment)]
    whole = announcing.of_environment(said)
    through.add(environment_asset(said.environment), extra=whole)
    names = []
    for name, extra in islice(announcing.of_models(said), MOST_MODELS):
        through.add(model_asset(said.environment, name), extra=extra)
        names.append(name)
    if has_partitions() and names:
        partitioned = events[models_asset(said.environment)]
        partitioned.extra = whole
        partitioned.add_partitions(names)


def _was_sent(environment: str, plan_id: str, run: str) -> bool:
    """Ask Airflow whether the events of a promotion by this run are there already."""
    from airflow.sdk.execution_time.context import InletEventsAccessors  # noqa: PLC0415 - only where one is told again

    asset = environment_asset(environment)
    sent = [event.extra or {} for event in InletEventsAccessors([asset])[asset]]
    return any((extra.get("plan_id"), extra.get("run")) == (plan_id, run) for extra in sent)


def _ours(environment: str) -> list[Any]:
    """Return the outlets by which a task sends its events: models are not known when a DAG is parsed, so an alias."""
    return [promoted_alias(environment), *([models_asset(environment)] if has_partitions() else [])]


def _asset(path: str) -> Asset:
    """Return an asset by its address, which is its name, too."""
    from airflow.sdk import Asset  # noqa: PLC0415 - imports of Airflow wait until they are needed

    return Asset(f"{_ROOT}{path}")


def _name(model: str) -> str:
    """Return the name in a unique id, and a name as it is."""
    kind, _, rest = model.partition(".")
    return rest.partition(".")[2] if kind in {"model", "seed", "snapshot"} and "." in rest else model


def listed(given: object) -> list[Any]:
    """Return outlets as a list: Airflow takes one, or several."""
    if given is None:
        return []
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
