"""The rules of an environment in `promotion.yml`: what may be written there, and what it stands for."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from airflow_dbt_promotion.config.approval_file import ApprovalEntry, approval_of
from airflow_dbt_promotion.config.typed import duration_at, kind_of, text_keyed, typed_fields
from airflow_dbt_promotion.config.yaml_file import YamlFile
from airflow_dbt_promotion.core.environment import MOST_RUNS, IncrementalChange, Leniency, Rule, SoakScope
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.selector import Selector, selector

Runs = Annotated[int, Meta(ge=0, le=MOST_RUNS)]

_TELLING = frozenset({"select", "exclude", "name"})


class RuleEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of some models, as written.

    `select`: which models, in dbt's words: tag:, path:, file:, package:, resource_type:, group:, fqn:,
    config.materialized:, config.meta.<key>: and names; spaces join, commas intersect, without graph operators.
    `exclude`: which of them are not meant, the same way. `name`: what people are told that the rule is called (default:
    what it selects). Every other key stands in place of the environment's own; where several rules mean a model, the
    strictest holds, and each approval has to be given.
    """

    select: str
    exclude: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    min_days_in_staging: int | float | str | UnsetType = UNSET
    min_successful_runs: Runs | UnsetType = UNSET
    soak_scope: SoakScope | UnsetType = UNSET
    zero_tests: Leniency | UnsetType = UNSET
    warnings: Leniency | UnsetType = UNSET
    on_incremental_change: IncrementalChange | UnsetType = UNSET
    approval: ApprovalEntry | bool | UnsetType | None = UNSET


def rules_of(document: YamlFile, value: object, keys: tuple[object, ...]) -> tuple[Rule, ...]:
    """Return the rules of an environment; raise ConfigError with file, line and key."""
    if not isinstance(value, list):
        raise ConfigError(document.place(*keys), f"must be a list of rules, not {kind_of(value)}")
    if not value:
        raise ConfigError(document.place(*keys), "is empty; leave it out where nothing else is asked of any model")
    rules = [_rule(document, entry, (*keys, index)) for index, entry in enumerate(value)]
    called = [rule.called for rule in rules]
    for index, name in enumerate(called):
        if name in called[:index]:
            problem = f"there are two rules that are called {name!r}; give one of them another name"
            raise ConfigError(document.place(*keys, index), problem)
    return tuple(rules)


def _rule(document: YamlFile, entry: object, keys: tuple[object, ...]) -> Rule:
    """Return one rule."""
    written = text_keyed(document, entry, keys)
    fields = typed_fields(document, written, keys, RuleEntry, skip=("approval",))
    if "select" not in fields:
        raise ConfigError(document.place(*keys), "says not which models are meant; write select: tag:critical")
    if "name" in fields and not str(fields["name"]).strip():
        raise ConfigError(document.place(*keys, "name"), "is empty; leave it out to be called by what it selects")
    for key in ("select", "exclude"):
        if key in fields:
            fields[key] = _selector(document.place(*keys, key), str(fields[key]))
    if "min_days_in_staging" in fields:
        soak = fields.pop("min_days_in_staging")
        fields["soak"] = duration_at(document, soak, (*keys, "min_days_in_staging"))
    if "approval" in written:
        asked = approval_of(document, written["approval"], (*keys, "approval"))
        fields["approvals"] = () if asked is None else (asked,)
    if not written.keys() - _TELLING:
        raise ConfigError(document.place(*keys), "asks for nothing; write what holds for these models, or leave it out")
    return Rule(**fields)  # type: ignore[arg-type]  # each was converted to its type


def _selector(place: str, text: str) -> Selector:
    """Return what a selector means."""
    try:
        return selector(text)
    except ConfigError as error:
        raise ConfigError(place, error.problem) from None
