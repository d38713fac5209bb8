"""Addresses in object storage: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, with options.

An address holds no secret: whoever may read `promotion.yml` or a log reads it. Credentials come from a connection of
Airflow (`conn_id`) or from where each service's own tools look for them.
"""

from __future__ import annotations

import re
from enum import Enum
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from airflow_dbt_promotion.core.errors import ConfigError

_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]+")
_FOLDER = re.compile(r"[A-Za-z0-9._=@+:-]+")
"""What every service takes in a name and leaves as it is."""


class Service(Enum):
    """A kind of object storage."""

    S3 = "s3"
    GS = "gs"
    AZ = "az"


_OPTIONS = {
    Service.S3: ("conn_id", "endpoint", "region", "allow_http"),
    Service.GS: ("conn_id", "endpoint", "allow_http"),
    Service.AZ: ("conn_id", "endpoint", "account", "allow_http"),
}


class Address(Struct, frozen=True, kw_only=True):
    """A prefix of a bucket, and how to reach it; `account` is Azure's storage account."""

    service: Service
    bucket: str
    prefix: str = ""
    conn_id: str | None = None
    endpoint: str | None = None
    region: str | None = None
    account: str | None = None
    allow_http: bool = False

    def of(self, key: str) -> str:
        """Return the address of one object below the prefix, without options."""
        return "/".join(part for part in (f"{self.service.value}://{self.bucket}", self.prefix, key) if part)


def address_of(root: str) -> Address:
    """Return the address that a root is. Raises ConfigError, which repeats nothing that may be a secret."""
    try:
        parts = urlsplit(root)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        service = Service(parts.scheme.lower())
    except ValueError as error:
        raise ConfigError("state", f"the address in object storage cannot be read: {error}") from None
    example = f"{service.value}://{'container' if service is Service.AZ else 'bucket'}/prefix"
    if "@" in parts.netloc:
        raise ConfigError(
            "state",
            f"an address in object storage holds no user and no password; write {example}, and name an Airflow "
            f"connection with ?conn_id=, or leave the credentials to the environment",
        )
    if not _BUCKET.fullmatch(parts.netloc) or parts.fragment:
        raise ConfigError("state", f"that is no address in object storage; write {example}")
    prefix = unquote(parts.path).strip("/")
    wrong = [part for part in prefix.split("/") if prefix and (not _FOLDER.fullmatch(part) or part in {".", ".."})]
    if wrong:
        raise ConfigError(
            "state",
            f"{example}: the prefix has a part {wrong[0]!r}; use letters, digits and . _ - = @ + : between slashes",
        )
    return _with_options(Address(service=service, bucket=parts.netloc, prefix=prefix), options)


def checked_endpoint(endpoint: str, where: str, *, allow_http: bool) -> str:
    """Return the address of a service other than the provider's own, if it is one that may be used."""
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
        usable = usable and not parts.query and not parts.fragment and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("state", f"{where}: the endpoint is no address of a service; write https://host or host:port")
    if endpoint.startswith("http:") and not allow_http:
        raise ConfigError(
            "state",
            f"{where}: the endpoint is not encrypted; use https, or say that you mean it with allow_http=true",
        )
    return endpoint.rstrip("/")


def _with_options(address: Address, options: list[tuple[str, str]]) -> Address:
    """Return an address with the options of its query."""
    where, known = address.of(""), _OPTIONS[address.service]
    given = dict(options)
    if len(given) < len(options):
        raise ConfigError("state", f"{where}: an option is given twice")
    if unknown := sorted(given.keys() - set(known)):
        raise ConfigError(
            "state",
            f"{where}: there is no option {unknown[0]!r}; known: {', '.join(known)}. Keys and tokens never belong into "
            f"an address; name an Airflow connection with conn_id, or leave them to the environment",
        )
    if empty := sorted(name for name, value in given.items() if not value.strip()):
        raise ConfigError("state", f"{where}: the option {empty[0]} is empty")
    allow = given.pop("allow_http", "false")
    if allow not in {"true", "false"}:
        raise ConfigError("state", f"{where}: allow_http is true or false")
    endpoint = given.pop("endpoint", None)
    return Address(
        service=address.service,
        bucket=address.bucket,
        prefix=address.prefix,
        endpoint=endpoint and checked_endpoint(endpoint, where, allow_http=allow == "true"),
        allow_http=allow == "true",
        **given,
    )
