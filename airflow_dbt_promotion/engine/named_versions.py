"""Versions that are asked for by name: which model's, and which one is meant."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_dbt_promotion.core.candidates import find_option
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.identity import ModelId, Version
from airflow_dbt_promotion.core.names import Names
from airflow_dbt_promotion.core.plan import Situation
from airflow_dbt_promotion.core.version_order import is_older
from airflow_dbt_promotion.engine.request import PromotionRequest


def names_of(request: PromotionRequest) -> tuple[str, ...] | None:
    """Return the names of the models that are asked for: those of `--version` where no others are named."""
    if request.version is None or request.models is not None:
        return request.models
    if request.select is not None:
        raise ConfigError("select, version", "a version is of a model that is named; leave the selector out")
    names = tuple(name for name, _ in _pairs(request.version) if name)
    if not names:
        raise ConfigError("version", "it is not said of which model; name the model, or write MODEL=VERSION")
    return names


def versions_of(
    request: PromotionRequest, situation: Situation, models: tuple[ModelId, ...] | None
) -> Mapping[ModelId, Version]:
    """Return the versions that are asked for by name, each with its model.

    Raises ConfigError for a version of a model that is not asked for, UnknownVersionError.
    """
    source = situation.source_state
    if request.version is None or source is None:
        return {}
    asked = tuple(models or ())
    found: dict[ModelId, Version] = {}
    for name, version in _pairs(request.version):
        if not name and len(asked) != 1:
            raise ConfigError("version", "write MODEL=VERSION where more than one model is named")
        model = Names(asked).resolve(name) if name else asked[0]
        found[model] = find_option(source, model, version).version
    return found


def older(situation: Situation, named: Mapping[ModelId, Version]) -> bool:
    """Say whether a version that is asked for by name is older than what the target holds or held."""
    source, target = situation.source_state, situation.target_state
    return source is not None and any(
        is_older(source, target, model, find_option(source, model, version)) for model, version in named.items()
    )


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return models and versions from text such as `1a2b3c4d`, or `orders=1a2b3c4d,revenue=9f8e7d6c`."""
    parts = [part.strip() for part in text.split(",")]
    pairs = [(name.strip(), version.strip()) for name, _, version in (part.rpartition("=") for part in parts)]
    if not all(version for _, version in pairs):
        raise ConfigError("version", f"{text!r} is no version, and no list of MODEL=VERSION")
    return pairs
