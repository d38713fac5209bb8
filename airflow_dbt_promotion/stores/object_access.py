"""How a bucket is reached: the options of an address and an Airflow connection, as obstore takes them.

What an address says comes before what a connection says, and that before the environment. Without a connection each
service's own chain is asked: environment variables, then for S3 what boto3 finds where it is installed (profiles, SSO,
roles of machines), and for the others what obstore finds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.stores.connection import Connected
from airflow_dbt_promotion.stores.object_address import Address, Service, checked_endpoint

_OPEN = frozenset({"region", "endpoint", "base_url", "account_name", "client_id", "tenant_id", "service_account"})
"""What may be told of a configuration."""

_TYPES = {Service.S3: "aws", Service.GS: "google_cloud_platform", Service.AZ: "wasb"}

_ELSEWHERE = {
    Service.S3: (
        "role_arn",
        "assume_role_method",
        "assume_role_kwargs",
        "aws_iam_role",
        "external_id",
        "session_kwargs",
        "s3_config_file",
    ),
    Service.GS: ("impersonation_chain", "key_secret_name", "credential_config_file", "is_anonymous"),
    Service.AZ: ("managed_identity_client_id", "workload_identity_tenant_id", "client_secret_auth_config"),
}
"""What changes who we are or whom we trust, and is not done here: to leave it out would be to do something else."""


class Access(Struct, frozen=True, kw_only=True):
    """A configuration of obstore, and what it asks for credentials where it holds none."""

    config: Mapping[str, str]
    provider: Callable[[], Any] | None = None

    def __repr__(self) -> str:
        """Return the access without its secrets, for logs and tracebacks."""
        return f"Access({', '.join(sorted(self.config))})"

    def without_secrets(self, text: str) -> str:
        """Return a text of others without what must not be told."""
        for name, value in self.config.items():
            if name not in _OPEN:
                text = text.replace(value, "***")
        return text


def access_of(address: Address) -> Access:
    """Return how an address is reached; asks Airflow and boto3. Raises ConfigError, LookupError without credentials."""
    connected = None
    if address.conn_id is not None:
        connected = import_module("airflow_dbt_promotion.stores.connection").named(address.conn_id)
        _check(connected, address.service)
    config = _said(address, connected)
    profile = config.pop("profile", None)
    if endpoint := config.get("endpoint"):
        config["endpoint"] = checked_endpoint(endpoint, address.of(""), allow_http=address.allow_http)
    if address.service is Service.S3 and "access_key_id" not in config:
        return _of_boto(config, profile, address)
    return Access(config=config)


def _said(address: Address, connected: Connected | None) -> dict[str, str]:
    """Return what the connection says, and over it what the address says."""
    match address.service:
        case Service.S3:
            found = {} if connected is None else _aws(connected)
            return found | _given(region=address.region, endpoint=address.endpoint)
        case Service.GS:
            found = {} if connected is None else _google(connected)
            return found | _given(base_url=address.endpoint)
        case Service.AZ:
            found = {} if connected is None else _azure(connected)
            return found | _given(account_name=address.account, endpoint=address.endpoint)


def _check(connected: Connected, service: Service) -> None:
    """Raise where a connection is of another service, or asks for what is not done here."""
    expected = _TYPES[service]
    if connected.conn_type.replace("-", "_") not in {expected, "generic", ""}:
        problem = f"is of type {connected.conn_type!r}; {service.value}:// takes {expected}"
        raise ConfigError("state", f"the connection {connected.conn_id!r} {problem}")
    if connected.extra.get("verify", True) is not True:
        raise ConfigError(
            "state", f"the connection {connected.conn_id!r} sets verify, which is not done here; take it out"
        )
    for name in _ELSEWHERE[service]:
        if _extra(connected, name) is not None:
            raise ConfigError(
                "state",
                f"the connection {connected.conn_id!r} sets {name}, which is not done here; leave conn_id out, and let "
                f"the environment of Airflow's processes say who they are (a profile, a role of the machine)",
            )


def _aws(connected: Connected) -> dict[str, str]:
    """Return what an AWS connection says."""
    key = connected.login or _extra(connected, "aws_access_key_id")
    secret = connected.password or _extra(connected, "aws_secret_access_key")
    if bool(key) != bool(secret):
        raise ConfigError("state", f"the connection {connected.conn_id!r} has half of a key; give login and password")
    services = connected.extra.get("service_config")
    own = services.get("s3") if isinstance(services, Mapping) else None
    endpoint = own.get("endpoint_url") if isinstance(own, Mapping) else None
    return _given(
        access_key_id=key,
        secret_access_key=secret,
        session_token=_extra(connected, "aws_session_token"),
        region=_extra(connected, "region_name"),
        endpoint=endpoint or _extra(connected, "endpoint_url"),
        profile=_extra(connected, "profile_name"),
    )


def _google(connected: Connected) -> dict[str, str]:
    """Return what a Google connection says: the key itself, or the file that it is in."""
    key = _extra(connected, "keyfile_dict")
    return _given(service_account_key=key, service_account=None if key else _extra(connected, "key_path"))


def _azure(connected: Connected) -> dict[str, str]:
    """Return what a connection to Azure Blob Storage says, in the order in which Airflow's own hook reads it."""
    if whole := _extra(connected, "connection_string"):
        named = dict(part.split("=", 1) for part in whole.split(";") if "=" in part)
        return _given(
            account_name=named.get("AccountName"),
            account_key=named.get("AccountKey"),
            sas_key=named.get("SharedAccessSignature"),
            endpoint=named.get("BlobEndpoint"),
        )
    host = connected.host or ""
    named_host = urlsplit(host if "://" in host else f"https://{host}").hostname or ""
    account = named_host.partition(".")[0]
    endpoint = host if "://" in host else None
    if tenant := _extra(connected, "tenant_id"):
        return _given(
            account_name=account,
            endpoint=endpoint,
            tenant_id=tenant,
            client_id=connected.login,
            client_secret=connected.password,
        )
    sas = _extra(connected, "sas_token")
    return _given(
        account_name=connected.login or account,
        endpoint=endpoint,
        sas_key=sas.lstrip("?") if sas else None,
        account_key=None if sas else _extra(connected, "shared_access_key") or connected.password,
    )


def _of_boto(config: dict[str, str], profile: str | None, address: Address) -> Access:
    """Return an access whose credentials boto3 finds, which knows profiles and SSO, where it is installed."""
    if os.environ.get("AWS_SKIP_SIGNATURE"):
        return Access(config=config)
    try:
        boto3, auth = import_module("boto3"), import_module("obstore.auth.boto3")
    except ImportError:
        if profile is not None:
            raise ConfigError("state", f"{address.of('')}: a profile needs boto3: pip install boto3") from None
        return Access(config=config)
    try:
        session = boto3.Session(profile_name=profile)
        found = auth.Boto3CredentialProvider(session)
    except ValueError:
        raise LookupError("no credentials are found") from None
    except Exception as error:
        raise ConfigError("state", f"{address.of('')}: boto3 finds no credentials: {error}") from error
    region = session.region_name
    return Access(config={**({"region": region} if region else {}), **config}, provider=found.__call__)


def _extra(connected: Connected, name: str) -> str | None:
    """Return a field of a connection's extra as text, by its name or by the long one of old connections."""
    for key in (name, f"extra__{connected.conn_type.replace('-', '_')}__{name}"):
        value = connected.extra.get(key)
        if value not in (None, "", False):
            return value if isinstance(value, str) else json.dumps(value)
    return None


def _given(**config: str | None) -> dict[str, str]:
    """Return what was said."""
    return {name: value for name, value in config.items() if value}
