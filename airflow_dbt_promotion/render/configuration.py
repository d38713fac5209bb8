"""Configuration, as people and machines read it: what holds, and where each value comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import Enum

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.environment import Environment, Rule
from airflow_dbt_promotion.core.identity import ModelId, bare_name
from airflow_dbt_promotion.core.instants import readable
from airflow_dbt_promotion.core.policy import Asked, Policy
from airflow_dbt_promotion.core.windows import Windows
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, builtins
from airflow_dbt_promotion.render.table import Column, Page, Tone, table

Origin = Callable[..., str]
"""Says where the value at some keys of promotion.yml comes from."""

_NAMED: Mapping[str, str] = {"soak": "min_days_in_staging"}
"""Fields that have another name in promotion.yml."""

_POLICY: Mapping[Asked, str] = {
    Asked.SOAK: "soak",
    Asked.RUNS: "runs",
    Asked.SCOPE: "scope",
    Asked.ZERO_TESTS: "zero_tests",
    Asked.WARNINGS: "warnings",
    Asked.ROWS: "on_incremental_change",
    Asked.APPROVAL: "approvals",
}


class ValueDocument(Struct, frozen=True, kw_only=True):
    """One value in words; `origin` is a line, `inferred`, `default`, or the rules that say it."""

    key: str
    value: str
    origin: str


class RuleDocument(Struct, frozen=True, kw_only=True):
    """One rule: what it is called, and which models it means."""

    name: str
    select: str
    exclude: str | None
    origin: str


class EnvironmentConfigurationDocument(Struct, frozen=True, kw_only=True):
    """What holds for one environment."""

    environment: str
    values: tuple[ValueDocument, ...]
    rules: tuple[RuleDocument, ...]


class ModelPolicyDocument(Struct, frozen=True, kw_only=True):
    """What an environment asks of one model. `known` says whether it was known which rules mean it."""

    model: str
    name: str
    environment: str
    known: bool
    rules: tuple[str, ...]
    values: tuple[ValueDocument, ...]


class ConfigurationDocument(Struct, frozen=True, kw_only=True):
    """What holds, and where it comes from. `origin` says where the path comes from."""

    schema_version: int
    origin: str
    environments: tuple[EnvironmentConfigurationDocument, ...]
    models: tuple[ModelPolicyDocument, ...]


class Shown(Struct, frozen=True, kw_only=True):
    """What is shown: environments, or what one of them asks of some models."""

    origin: str
    environments: Sequence[Environment]
    policies: Mapping[ModelId, Policy]
    of: Origin


def made(shown: Shown) -> ConfigurationDocument:
    """Return it as typed values."""
    one = shown.environments[0]
    return ConfigurationDocument(
        schema_version=SCHEMA_VERSION,
        origin=shown.origin,
        environments=() if shown.policies else tuple(_environment(place, shown.of) for place in shown.environments),
        models=tuple(_model(one, model, policy, shown.of) for model, policy in shown.policies.items()),
    )


def document(shown: Shown) -> dict[str, object]:
    """Return it as JSON-able values."""
    return builtins(made(shown))


def text(shown: Shown, page: Page) -> str:
    """Return it as text."""
    lines: list[str] = []
    for heading, values, notes in _parts(made(shown)):
        lines += [*([""] if lines else []), page.paint(heading, Tone.BOLD)]
        columns = (Column(title="key"), Column(title="value", least=16), Column(title="from"))
        lines += table(page, columns, [(one.key, one.value, one.origin) for one in values])
        lines += [line for note in notes for line in page.paragraph(note, "  ", "    ")]
    return "\n".join(lines) + "\n"


def as_markdown(shown: Shown) -> str:
    """Return it as markdown."""
    parts = []
    for heading, values, notes in _parts(made(shown)):
        rows = [(markdown.code(one.key), markdown.escaped(one.value), markdown.escaped(one.origin)) for one in values]
        told = "".join(f"\n- {markdown.escaped(note)}" for note in notes)
        grid = markdown.grid(("key", "value", "from"), rows)
        parts.append(f"## {markdown.escaped(heading)}\n\n{grid}\n" + (f"{told}\n" if told else ""))
    return "\n".join(parts)


def _parts(found: ConfigurationDocument) -> list[tuple[str, tuple[ValueDocument, ...], list[str]]]:
    """Return heading, values and notes of each part."""
    parts = [(place.environment, place.values, [_rule(rule) for rule in place.rules]) for place in found.environments]
    for one in found.models:
        means = f"rules that mean it: {', '.join(one.rules)}" if one.rules else "no rule means it"
        if not one.known:
            means = "no parse of it could be had: the strictest of the environment and of all rules holds"
        parts.append((f"{one.name} in {one.environment}", one.values, [means]))
    return parts


def _rule(rule: RuleDocument) -> str:
    """Return a rule in a sentence."""
    but = f", without {rule.exclude}" if rule.exclude is not None else ""
    return f"rule {rule.name!r} ({rule.origin}): {rule.select}{but}"


def _environment(place: Environment, of: Origin) -> EnvironmentConfigurationDocument:
    """Return what holds for one environment."""
    fields = [name for name in place.__struct_fields__ if name not in {"name", "rules"}]
    values = [(_NAMED.get(name, name), getattr(place, name)) for name in fields]
    at = ("environments", place.name)
    return EnvironmentConfigurationDocument(
        environment=place.name,
        values=tuple(ValueDocument(key=key, value=_told(value), origin=of(*at, key)) for key, value in values),
        rules=tuple(_ruled(rule, of(*at, "rules", index)) for index, rule in enumerate(place.rules)),
    )


def _ruled(rule: Rule, origin: str) -> RuleDocument:
    """Return one rule."""
    exclude = rule.exclude.text if rule.exclude is not None else None
    return RuleDocument(name=rule.called, select=rule.select.text, exclude=exclude, origin=origin)


def _model(place: Environment, model: ModelId, policy: Policy, of: Origin) -> ModelPolicyDocument:
    """Return what an environment asks of one model."""

    def origin(asked: Asked) -> str:
        names = policy.given_by.get(asked, ())
        return f"rule {' and '.join(map(repr, names))}" if names else of("environments", place.name, asked.value)

    return ModelPolicyDocument(
        model=model,
        name=bare_name(model),
        environment=place.name,
        known=policy.known,
        rules=policy.rules if policy.known else (),
        values=tuple(
            ValueDocument(key=asked.value, value=_told(getattr(policy, field)), origin=origin(asked))
            for asked, field in _POLICY.items()
        ),
    )


def _told(value: object) -> str:
    """Return a value in words."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case Enum():
            return str(value.value)
        case timedelta():
            return readable(value) if value else "0"
        case ApprovalPolicy():
            return _approval(value)
        case Windows():
            told = (("allow", value.allow), ("deny", value.deny))
            named = [f"{what} {', '.join(window.name for window in some)}" for what, some in told if some]
            return "; ".join(named) or "none"
        case frozenset() | tuple():
            return ", ".join(sorted(_told(one) for one in value)) or "none"
        case Mapping():
            return msgspec.json.encode(value).decode() if value else "none"
        case _:
            return str(value)


def _approval(policy: ApprovalPolicy) -> str:
    """Return what is asked of people."""
    several = "1 approval" if policy.min_approvals == 1 else f"{policy.min_approvals} approvals"
    told = [several, f"for {readable(policy.expires_after)}"]
    told += ["four eyes"] if policy.four_eyes else []
    told += ["claimed names count"] if policy.trust_claimed else []
    return ", ".join(told) + (f" by {' or '.join(policy.approvers)}" if policy.approvers else "")
