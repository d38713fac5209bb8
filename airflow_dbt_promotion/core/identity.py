"""Names and digests: how models, environments, versions and plans are called."""

from __future__ import annotations

import hashlib
import re
from typing import NewType

import msgspec

from airflow_dbt_promotion.core.errors import InvalidNameError

ModelId = NewType("ModelId", str)
"""dbt's `unique_id`, such as `model.shop.orders` or `model.shop.orders.v2`."""

TestId = NewType("TestId", str)
"""dbt's `unique_id` of a data or unit test."""

EnvironmentName = NewType("EnvironmentName", str)

Digest = NewType("Digest", str)
"""The first 128 bits of a SHA-256, as 32 lower-case hexadecimal digits."""

Version = NewType("Version", str)
"""The fingerprint of what a model is: a digest, with the prefix `m:` where it was made from a manifest alone."""

PlanId = NewType("PlanId", str)

ReleaseId = NewType("ReleaseId", str)
"""The digest of the kept sources of a release: every file that dbt read, by path."""

MANIFEST_ONLY = "m:"

EARLIER_FORMAT = "1:"
"""Marks a version of format 1 that nothing was compared with yet."""

NOT_FOUND = "0:"
"""Marks a version of format 1 that is not in the kept sources that were named for it."""

_DIGEST_CHARACTERS = 32
_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_NAME = re.compile(r"[\w.\- ]{1,512}")


def digest(data: bytes) -> Digest:
    """Return the digest of some bytes."""
    return Digest(hashlib.sha256(data).hexdigest()[:_DIGEST_CHARACTERS])


def digest_of(value: object) -> Digest:
    """Return the digest of a value's canonical JSON: sorted keys, no spaces, UTF-8."""
    return digest(msgspec.json.encode(value, order="sorted"))


def short(value: str | None) -> str:
    """Return a version or plan id as people see it: the first eight digits, `-` where there is none."""
    if not value:
        return "-"
    value = bare_version(Version(value))
    head, body = (MANIFEST_ONLY, value[2:]) if value.startswith(MANIFEST_ONLY) else ("", value)
    return head + body[:8]


def bare_version(version: Version) -> Version:
    """Return a version without the mark of an earlier format."""
    return Version(version[len(EARLIER_FORMAT) :]) if is_earlier(version) else version


def is_earlier(version: str) -> bool:
    """Say whether a version was made by an earlier format and is not recognised: it equals no present one."""
    return version.startswith((EARLIER_FORMAT, NOT_FOUND))


def environment_name(name: str) -> EnvironmentName:
    """Return the name if it can name an environment, and a file, everywhere.

    Raises InvalidNameError for anything but 1 to 63 letters, digits, `_` and `-` that begin with a letter or digit.
    """
    if not _ENVIRONMENT.fullmatch(name):
        raise InvalidNameError(
            "environment", name, "use 1 to 63 letters, digits, _ and -, beginning with a letter or digit"
        )
    return EnvironmentName(name)


def is_environment_name(name: str) -> bool:
    """Say whether a name can name an environment."""
    return _ENVIRONMENT.fullmatch(name) is not None


def model_name(name: str) -> str:
    """Return the name if dbt could have written it.

    Raises InvalidNameError for path parts, control characters, and whatever a shell, Jinja or a dbt selector would read
    as more than a name.
    """
    if not _NAME.fullmatch(name) or ".." in name or name != name.strip() or name.startswith("-"):
        raise InvalidNameError(
            "model", name, "a model name has letters, digits, `_`, `-` and single dots only; selectors go to `--select`"
        )
    return name


def person_of(name: str) -> str:
    """Return a person's name as it is compared: `Ann ` and `ann` are one person."""
    return name.strip().casefold()


def bare_name(model: str) -> str:
    """Return the name in a unique id, version included: `orders`, `orders.v2`."""
    parts = model.split(".", 2)
    return parts[2] if len(parts) == 3 else model  # noqa: PLR2004 - resource type, package, name
