"""Which steps a promotion takes in Airflow, as far as `promotion.yml` tells before anything runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from airflow_dbt_promotion.core.names import means_all
from airflow_dbt_promotion.hooks.settings import ProjectOptions, project_dir, settings

if TYPE_CHECKING:
    from airflow_dbt_promotion.core.environment import Environment

log = logging.getLogger(__name__)


TOLD = {
    "plan": "Computes what would go, and hands the plan on. Nothing is written, and nothing is run.",
    "plan_again": "Computes the plan once more, after the soak: the source may have moved. This is the plan that goes.",
    "soaked": "Waits, without a worker, until versions are tested and have soaked.",
    "approve": "Puts just this plan before people, and writes down what they say.",
    "window": "Waits, without a worker, until a window of the environment is open.",
    "window_for_routine": "Waits, without a worker, until a window of the environment is open.",
    "promote_routine": "Promotes what may go without anybody's approval; the rest is planned after it.",
    "promote": "Promotes just the plan that was handed on; it is verified, and taken back, as policy says.",
    "open": "Locks the environment for this run, writes down what is going to be done, and divides it.",
    "build_part": "Builds and tests models that depend on nothing else of the plan, beside what readers see.",
    "done": "Is reached unless something failed, so that what comes after goes on where there was nothing to promote.",
}
"""What each step does, for whoever looks at its task."""


class Steps(NamedTuple):
    """The steps that are drawn, besides planning and promoting.

    `approval`: people are asked. `window`: it waits until it may be promoted. `routine`: what needs nobody's approval
    goes before. Each of them ends at once where there is nothing to wait for.
    """

    approval: bool
    window: bool
    routine: bool


def steps_of(environment: Environment | None, *, named: bool) -> Steps:
    """Return the steps into an environment; all that there are where nobody knows it yet.

    Where people are asked about some models alone, those that need nobody's approval go before.
    """
    if environment is None:
        return Steps(approval=True, window=True, routine=not named)
    said = {bool(rule.approvals) for rule in environment.rules if rule.approvals is not None}
    differs = len({environment.approval is not None, *said}) > 1
    return Steps(
        approval=environment.asks_people,
        window=not environment.windows.always,
        routine=not named and differs,
    )


def is_named(models: str | Sequence[str] | None, select: str | None) -> bool:
    """Say whether models are named, or selected; what a template makes of it counts as named."""
    return select is not None or not means_all(models)


def environment_of(target: str, options: ProjectOptions) -> Environment | None:
    """Return what promotion.yml says of an environment, None where that cannot be read now.

    Neither dbt nor a connection is asked: DAG files are parsed again and again. Raises UnknownEnvironmentError where it
    says nothing of it: a DAG that would fail is better not there.
    """
    from airflow_dbt_promotion.config import load_config  # noqa: PLC0415 - only where a group is made
    from airflow_dbt_promotion.core.errors import PromotionError  # noqa: PLC0415 - as late

    elsewhere = options.get("dbt_project_dir") is None and options.get("project_config") is None
    if "{" in str(target) or (elsewhere and options.get("promotion_conn_id") is not None):
        return None
    try:
        found = settings(options, {})
        config = load_config(
            project_dir(found).expanduser().absolute(),
            environ={**os.environ, **_told(options)},
            profiles_dir=None if found.profiles_dir is None else Path(found.profiles_dir).expanduser(),
            profile=found.profile,
        )
    except (PromotionError, OSError) as error:
        log.warning("every step into %s is drawn, since promotion.yml cannot be read here: %s", target, error)
        return None
    return config.path.get(target)


def _told(options: ProjectOptions) -> Mapping[str, str]:
    """Return the environment variables that were named."""
    return options.get("env_vars") or {}
