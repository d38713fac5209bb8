"""Promotes dbt models from development to staging to production, safely: on Apache Airflow, from Python, and from a
shell.

The public names below resolve when they are first used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_dbt_promotion.answers import PromotionResult, RollbackResult, RunResult
    from airflow_dbt_promotion.functions import (
        PromotionStateStore,
        copy_state,
        get_promotion_status,
        get_staging_validated_models,
        promote_to_environment,
        rollback_environment,
        run_environment,
    )
    from airflow_dbt_promotion.get_provider_info import get_provider_info
    from airflow_dbt_promotion.hooks.assets import environment_asset, model_asset, models_asset
    from airflow_dbt_promotion.hooks.cosmos_assets import cosmos_asset_uri
    from airflow_dbt_promotion.hooks.params import promotion_arguments, promotion_params
    from airflow_dbt_promotion.notifications.promotion import PromotionNotifier, promotion_message

__all__ = [
    "PromotionNotifier",
    "PromotionResult",
    "PromotionStateStore",
    "RollbackResult",
    "RunResult",
    "__version__",
    "copy_state",
    "cosmos_asset_uri",
    "environment_asset",
    "get_promotion_status",
    "get_provider_info",
    "get_staging_validated_models",
    "model_asset",
    "models_asset",
    "promote_to_environment",
    "promotion_arguments",
    "promotion_message",
    "promotion_params",
    "rollback_environment",
    "run_environment",
]

__version__ = "0.1.0"

_HOMES = {
    "PromotionNotifier": "notifications.promotion",
    "PromotionResult": "answers",
    "PromotionStateStore": "functions",
    "RollbackResult": "answers",
    "RunResult": "answers",
    "copy_state": "functions",
    "cosmos_asset_uri": "hooks.cosmos_assets",
    "environment_asset": "hooks.assets",
    "get_promotion_status": "functions",
    "get_provider_info": "get_provider_info",
    "get_staging_validated_models": "functions",
    "model_asset": "hooks.assets",
    "models_asset": "hooks.assets",
    "promote_to_environment": "functions",
    "promotion_arguments": "hooks.params",
    "promotion_message": "notifications.promotion",
    "promotion_params": "hooks.params",
    "rollback_environment": "functions",
    "run_environment": "functions",
}


def __getattr__(name: str) -> object:
    """Import a public name from where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
