"""State in S3 passes the contract, and what services say when they do not do what was asked ends well."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.ports import StateStore
from airflow_dbt_promotion.stores import open_store
from tests.stores.contract import SharedStoreContract
from tests.stores.s3 import BUCKET, Served

pytestmark = pytest.mark.usefixtures("ambient")


def address_in(served: Served) -> str:
    return f"s3://{BUCKET}/teams/{uuid.uuid4().hex}?endpoint={served.endpoint}&allow_http=true"


class TestS3Store(SharedStoreContract):
    promotions = 15

    @pytest.fixture
    def address(self, s3_service: Served) -> str:
        s3_service.gate.clear()
        return address_in(s3_service)

    @pytest.fixture
    def store(self, address: str) -> StateStore:
        return open_store(address, Path("/project"))
