"""What `promotion.yml` asks of people: what may be written there, and the policy that it stands for."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from airflow_dbt_promotion.config.typed import duration_at, kind_of, text_keyed, typed_fields
from airflow_dbt_promotion.config.yaml_file import YamlFile
from airflow_dbt_promotion.core.approval_policy import MOST_APPROVALS, ApprovalPolicy
from airflow_dbt_promotion.core.errors import ConfigError

Approvals = Annotated[int, Meta(ge=1, le=MOST_APPROVALS)]


class ApprovalEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of people as written. Every key may be left out.

    `min_approvals`: how many have to say yes (default: 1). `four_eyes`: neither who asks nor who promotes counts.
    `expires_after`: how long a yes counts, in days or ISO 8601 (default: 7). `trust_claimed`: names count that are only
    claimed, as at the command line. `approvers`: the names whose yes counts (default: anybody's).
    """

    min_approvals: Approvals = 1
    four_eyes: bool = False
    expires_after: int | float | str | UnsetType = UNSET
    trust_claimed: bool = False
    approvers: tuple[str, ...] = ()


def approval_of(document: YamlFile, value: object, keys: tuple[object, ...]) -> ApprovalPolicy | None:
    """Return the policy that `approval` stands for: true for one yes, false or null for none.

    Raises ConfigError with file, line and key.
    """
    if value is None or value is False:
        return None
    if value is True:
        return ApprovalPolicy()
    if not isinstance(value, dict):
        raise ConfigError(document.place(*keys), f"must be true, false or a mapping, not {kind_of(value)}")
    fields = typed_fields(document, text_keyed(document, value, keys), keys, ApprovalEntry)
    if "expires_after" in fields:
        fields["expires_after"] = duration_at(document, fields["expires_after"], (*keys, "expires_after"))
    try:
        return ApprovalPolicy(**fields)  # type: ignore[arg-type]  # each was converted to its type
    except ConfigError as error:
        key = error.where.rpartition(".")[2]
        raise ConfigError(document.place(*keys, key), error.problem) from None
