"""State and kept sources in Azure Blob Storage, as azurite plays it, pass the contracts."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import StateError, StateUnwritableError
from airflow_dbt_promotion.core.ports import ReleaseStore, StateStore
from airflow_dbt_promotion.stores import open_releases, open_store
from tests.stores.azurite import ACCOUNT, CONTAINER, Azurite
from tests.stores.contract import STAGING, SharedStoreContract, fresh
from tests.stores.release_contract import ReleaseStoreContract


@pytest.fixture
def address(azure_service: Azurite, ambient: pytest.MonkeyPatch) -> str:
    ambient.setenv("AZURE_STORAGE_ACCOUNT_KEY", azure_service.key)
    options = f"account={ACCOUNT}&endpoint={azure_service.endpoint}&allow_http=true"
    return f"az://{CONTAINER}/teams/{uuid.uuid4().hex}?{options}"


class TestAzureStore(SharedStoreContract):
    promotions = 15

    @pytest.fixture
    def store(self, address: str) -> StateStore:
        return open_store(address, Path("/project"))


class TestReleasesInAzure(ReleaseStoreContract):
    @pytest.fixture
    def store(self, address: str) -> ReleaseStore:
        return open_releases(address, Path("/project"))


def test_a_container_that_is_not_there_is_no_empty_store(address: str) -> None:
    store = open_store(address.replace(f"//{CONTAINER}/", "//elsewhere/"), Path("/project"))
    for act in (lambda: store.read(STAGING), store.environments, lambda: store.write(fresh(), None)):
        with pytest.raises(StateError, match=r"ContainerNotFound.*create it, or correct `state`"):
            act()


def test_a_key_that_is_refused_is_an_error_that_does_not_tell_it(address: str, ambient: pytest.MonkeyPatch) -> None:
    store = open_store(address, Path("/project"))
    written = store.write(fresh(), None)
    wrong = "c2VjcmV0" * 10 + "c2VjcmV0"
    ambient.setenv("AZURE_STORAGE_ACCOUNT_KEY", wrong)
    stranger = open_store(address, Path("/project"))
    with pytest.raises(StateError, match=r"cannot be read: the service says 403 .*check the credentials") as caught:
        stranger.read(STAGING)
    assert wrong not in str(caught.value)
    with pytest.raises(StateError, match=r"403 .*check the credentials"):
        stranger.write(written, written.serial)
    assert store.read(STAGING) == written


def test_a_signature_that_may_not_write_reads(
    address: str, ambient: pytest.MonkeyPatch, azure_service: Azurite
) -> None:
    written = open_store(address, Path("/project")).write(fresh(), None)
    ambient.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    ambient.setenv("AZURE_STORAGE_SAS_TOKEN", azure_service.signature("rl"))
    store = open_store(address, Path("/project"))
    assert store.read(STAGING) == written
    assert store.environments() == (STAGING,)
    with pytest.raises(StateUnwritableError, match=r"cannot be written: the service says 403") as caught:
        store.write(written, written.serial)
    assert "sig=" not in str(caught.value)
    assert store.read(STAGING) == written
