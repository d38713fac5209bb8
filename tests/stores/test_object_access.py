"""How a bucket is reached: what an address, an Airflow connection and the environment say of credentials."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_dbt_promotion.core.errors import ConfigError, StateError
from airflow_dbt_promotion.stores import open_store
from airflow_dbt_promotion.stores.object_access import Access, access_of
from airflow_dbt_promotion.stores.object_address import address_of
from tests.stores.azurite import ACCOUNT, CONTAINER, Azurite
from tests.stores.contract import STAGING, fresh
from tests.stores.s3 import BUCKET, Served

SECRET = b64encode(b"hush, little baby").decode()
"""Base64, as Azure wants a key."""


@pytest.fixture
def connect(ambient: pytest.MonkeyPatch) -> Any:
    """Define the connection `states`, as people do: in the environment of Airflow."""

    def define(conn_type: str, extra: Mapping[str, Any] | None = None, **parts: str) -> None:
        said = {"conn_type": conn_type, **parts, "extra": dict(extra or {})}
        ambient.setenv("AIRFLOW_CONN_STATES", json.dumps(said))

    return define


def reached(root: str) -> Access:
    return access_of(address_of(root))


@pytest.mark.parametrize(
    ("root", "connection", "expected"),
    [
        (
            "s3://bucket?conn_id=states",
            {"conn_type": "aws", "login": "id", "password": SECRET, "extra": {"region_name": "eu-west-1"}},
            {"access_key_id": "id", "secret_access_key": SECRET, "region": "eu-west-1"},
        ),
        (
            "s3://bucket?conn_id=states&region=us-east-1",
            {
                "conn_type": "aws",
                "extra": {
                    "aws_access_key_id": "id",
                    "aws_secret_access_key": SECRET,
                    "aws_session_token": "token",
                    "region_name": "eu-west-1",
                    "endpoint_url": "https://minio/",
                    "verify": True,
                },
            },
            {
                "access_key_id": "id",
                "secret_access_key": SECRET,
                "session_token": "token",
                "region": "us-east-1",
                "endpoint": "https://minio",
            },
        ),
        (
            "s3://bucket?conn_id=states",
            {
                "conn_type": "aws",
                "login": "id",
                "password": SECRET,
                "extra": {
                    "endpoint_url": "https://sts",
                    "service_config": {"s3": {"endpoint_url": "https://buckets:9000"}},
                },
            },
            {"access_key_id": "id", "secret_access_key": SECRET, "endpoint": "https://buckets:9000"},
        ),
        (
            "gs://bucket?conn_id=states",
            {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": '{"type": "service_account"}'}},
            {"service_account_key": '{"type": "service_account"}'},
        ),
        (
            "gs://bucket?conn_id=states",
            {
                "conn_type": "google-cloud-platform",
                "extra": {"extra__google_cloud_platform__keyfile_dict": {"type": "service_account"}},
            },
            {"service_account_key": '{"type": "service_account"}'},
        ),
        (
            "gs://bucket?conn_id=states&endpoint=https://storage",
            {"conn_type": "google_cloud_platform", "extra": {"key_path": "/keys/states.json", "is_anonymous": False}},
            {"service_account": "/keys/states.json", "base_url": "https://storage"},
        ),
        (
            "az://box?conn_id=states",
            {"conn_type": "wasb", "login": "acme", "password": SECRET},
            {"account_name": "acme", "account_key": SECRET},
        ),
        (
            "az://box?conn_id=states",
            {"conn_type": "wasb", "host": "acme.blob.core.windows.net", "extra": {"sas_token": "?sv=1&sig=s"}},
            {"account_name": "acme", "sas_key": "sv=1&sig=s"},
        ),
        (
            "az://box?conn_id=states",
            {
                "conn_type": "wasb",
                "host": "https://acme.blob.core.windows.net/",
                "login": "client",
                "password": SECRET,
                "extra": {"tenant_id": "tenant"},
            },
            {
                "account_name": "acme",
                "endpoint": "https://acme.blob.core.windows.net",
                "tenant_id": "tenant",
                "client_id": "client",
                "client_secret": SECRET,
            },
        ),
        (
            "az://box?conn_id=states",
            {
                "conn_type": "wasb",
                "extra": {
                    "connection_string": f"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={SECRET};"
                    f"EndpointSuffix=core.windows.net"
                },
            },
            {"account_name": "acme", "account_key": SECRET},
        ),
    ],
)
def test_what_a_connection_says(connect: Any, root: str, connection: dict[str, Any], expected: dict[str, str]) -> None:
    connect(**connection)
    access = reached(root)
    assert access.config == expected
    assert access.provider is None
    assert SECRET not in repr(access)
    for name in {
        "secret_access_key",
        "session_token",
        "service_account_key",
        "account_key",
        "sas_key",
    } & expected.keys():
        assert access.without_secrets(f"wrong: {expected[name]}!") == "wrong: ***!"


@pytest.mark.parametrize(
    ("root", "connection", "said"),
    [
        ("s3://bucket?conn_id=states", {"conn_type": "wasb"}, "is of type 'wasb'; s3:// takes aws"),
        ("s3://bucket?conn_id=states", {"conn_type": "aws", "login": "id"}, "half of a key"),
        ("s3://bucket?conn_id=states", {"conn_type": "aws", "extra": {"role_arn": "arn:x"}}, "sets role_arn"),
        ("s3://bucket?conn_id=states", {"conn_type": "aws", "extra": {"verify": False}}, "sets verify"),
        (
            "s3://bucket?conn_id=states",
            {"conn_type": "aws", "login": "a", "password": SECRET, "extra": {"endpoint_url": "http://minio"}},
            "allow_http=true",
        ),
        ("s3://bucket?conn_id=states", {"conn_type": "aws", "extra": {"profile_name": "nobody"}}, "nobody"),
        (
            "gs://bucket?conn_id=states",
            {"conn_type": "google_cloud_platform", "extra": {"impersonation_chain": "x"}},
            "sets impersonation_chain",
        ),
        (
            "az://box?conn_id=states",
            {"conn_type": "wasb", "extra": {"managed_identity_client_id": "x"}},
            "sets managed_identity_client_id",
        ),
        ("s3://bucket?conn_id=nobody", {"conn_type": "aws"}, "no connection 'nobody'"),
    ],
)
def test_what_is_not_done_is_an_error(connect: Any, root: str, connection: dict[str, Any], said: str) -> None:
    connect(**connection)
    with pytest.raises(ConfigError, match=said) as caught:
        reached(root)
    assert SECRET not in str(caught.value)


def test_a_profile_of_the_aws_tools_is_found(ambient: pytest.MonkeyPatch, s3_service: Served, tmp_path: Path) -> None:
    ambient.delenv("AWS_ACCESS_KEY_ID")
    ambient.delenv("AWS_SECRET_ACCESS_KEY")
    ambient.delenv("AWS_DEFAULT_REGION")
    (tmp_path / "credentials").write_text("[states]\naws_access_key_id = of-a-profile\naws_secret_access_key = x\n")
    (tmp_path / "config").write_text("[profile states]\nregion = eu-west-3\n")
    ambient.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    ambient.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    ambient.setenv("AWS_PROFILE", "states")
    access = reached("s3://bucket")
    assert access.config == {"region": "eu-west-3"}
    assert access.provider is not None
    assert access.provider()["access_key_id"] == "of-a-profile"
    s3_service.gate.clear()
    store = open_store(f"s3://{BUCKET}/profiled?endpoint={s3_service.endpoint}&allow_http=true", Path("/project"))
    assert store.write(fresh(), None) == store.read(STAGING)
    assert all("of-a-profile/" in signed and "/eu-west-3/" in signed for signed in s3_service.gate.signed)


def test_a_connection_to_s3_is_used(connect: Any, s3_service: Served) -> None:
    extra = {"endpoint_url": s3_service.endpoint, "region_name": "eu-north-1"}
    connect("aws", extra, login="of-a-connection", password=SECRET)
    s3_service.gate.clear()
    store = open_store(f"s3://{BUCKET}/connected?conn_id=states&allow_http=true", Path("/project"))
    assert store.write(fresh(), None) == store.read(STAGING)
    assert all("of-a-connection/" in signed and "/eu-north-1/" in signed for signed in s3_service.gate.signed)


def test_a_connection_to_azure_is_used(connect: Any, azure_service: Azurite) -> None:
    connect("wasb", {}, login=ACCOUNT, password=azure_service.key, host=azure_service.endpoint)
    store = open_store(f"az://{CONTAINER}/connected?conn_id=states&allow_http=true", Path("/project"))
    assert store.write(fresh(), None) == store.read(STAGING)


def test_a_key_that_is_none_is_not_repeated(connect: Any) -> None:
    connect("google_cloud_platform", {"keyfile_dict": "hush hush!"})
    store = open_store("gs://bucket?conn_id=states", Path("/project"))
    with pytest.raises((ConfigError, StateError), match="service account") as caught:
        store.read(STAGING)
    assert "hush" not in str(caught.value)
