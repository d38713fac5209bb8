"""Addresses in object storage: what they say, and what they must not hold."""

from __future__ import annotations

import re

import pytest

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.stores.object_address import Address, Service, address_of


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("s3://bucket", Address(service=Service.S3, bucket="bucket")),
        ("s3://bucket/", Address(service=Service.S3, bucket="bucket")),
        ("S3://bucket/a/b/", Address(service=Service.S3, bucket="bucket", prefix="a/b")),
        ("gs://my.bucket_1/team=a", Address(service=Service.GS, bucket="my.bucket_1", prefix="team=a")),
        ("s3://bucket/a%40b", Address(service=Service.S3, bucket="bucket", prefix="a@b")),
        (
            "s3://bucket/x?region=eu-central-1&conn_id=aws_states",
            Address(service=Service.S3, bucket="bucket", prefix="x", region="eu-central-1", conn_id="aws_states"),
        ),
        (
            "az://box/x?account=acme&endpoint=http://127.0.0.1:10000/acme/&allow_http=true",
            Address(
                service=Service.AZ,
                bucket="box",
                prefix="x",
                account="acme",
                endpoint="http://127.0.0.1:10000/acme",
                allow_http=True,
            ),
        ),
    ],
)
def test_what_an_address_says(root: str, expected: Address) -> None:
    assert address_of(root) == expected


def test_an_object_is_named_without_options() -> None:
    address = address_of("s3://bucket/a/b?region=eu-central-1")
    assert address.of("staging.json") == "s3://bucket/a/b/staging.json"
    assert address_of("s3://bucket").of("staging.json") == "s3://bucket/staging.json"


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("s3:", "write s3://bucket/prefix"),
        ("s3:bucket/x", "write s3://bucket/prefix"),
        ("s3:///x", "write s3://bucket/prefix"),
        ("az://", "write az://container/prefix"),
        ("s3://bucket:443/x", "write s3://bucket/prefix"),
        ("s3://bucket/x#y", "write s3://bucket/prefix"),
        ("s3://[bucket/x", "cannot be read"),
        ("s3://bucket/../x", "has a part '..'"),
        ("s3://bucket/a//b", "has a part ''"),
        ("s3://bucket/a b", "has a part 'a b'"),
        ("s3://bucket/%00", "has a part"),
        ("s3://bucket/a%2Fb/%2E%2E", "has a part '..'"),
        ("s3://bucket/ä", "has a part 'ä'"),
        ("s3://bucket/x?region", "cannot be read"),
        ("s3://bucket/x?region=", "the option region is empty"),
        ("s3://bucket/x?region=a&region=b", "given twice"),
        ("s3://bucket/x?account=acme", "no option 'account'; known: conn_id, endpoint, region, allow_http"),
        ("gs://bucket/x?region=a", "no option 'region'"),
        ("s3://bucket/x?allow_http=yes", "allow_http is true or false"),
        ("s3://bucket/x?endpoint=minio", "no address of a service"),
        ("s3://bucket/x?endpoint=ftp://minio", "no address of a service"),
        ("s3://bucket/x?endpoint=https://minio:port", "no address of a service"),
        ("s3://bucket/x?endpoint=http://minio:9000", "say that you mean it with allow_http=true"),
    ],
)
def test_what_is_no_address_is_an_error_that_says_what_to_write(root: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        address_of(root)


@pytest.mark.parametrize(
    "root",
    [
        "s3://AKIA:hush-hush@bucket/x",
        "s3://AKIA:hush-hush/x@bucket/x",
        "az://box/x?sas_token=hush-hush",
        "az://box/x?account_key=hush-hush",
        "s3://bucket/x?endpoint=https://me:hush-hush@minio",
        "s3://bucket/x?endpoint=https://minio/?key=hush-hush",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(root: str) -> None:
    with pytest.raises(ConfigError) as caught:
        address_of(root)
    assert "hush-hush" not in str(caught.value)
    assert "AKIA" not in str(caught.value)
