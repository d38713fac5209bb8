"""A service that cannot compare and set is refused before anything is written to it."""

from __future__ import annotations

import json
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import StateConflictError, StateError, StateUnwritableError
from airflow_dbt_promotion.stores import open_store
from airflow_dbt_promotion.stores.bucket import Bucket
from airflow_dbt_promotion.stores.object_address import address_of
from airflow_dbt_promotion.stores.object_probe import PROBE
from tests.stores.bare_bucket import BareBucket
from tests.stores.contract import STAGING, fresh
from tests.stores.s3 import BUSY, CONCURRENT, DENIED, NOT_DONE, Served, serving
from tests.stores.test_object_faults import QUICK, ObjectStore
from tests.stores.test_object_store import address_in
from tests.stores.test_releases import run_python

pytestmark = pytest.mark.usefixtures("ambient")


@pytest.fixture(params=["s3", "gs"])
def service(request: pytest.FixtureRequest, ambient: pytest.MonkeyPatch) -> str:
    nobody = {"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    ambient.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(nobody))
    kind: str = request.param
    return kind


@pytest.fixture
def deaf() -> Iterator[tuple[BareBucket, Served]]:
    application = BareBucket(conditions=False)
    with serving(application) as served:
        yield application, served


def at(service: str, served: Served) -> str:
    return f"{service}://bucket/{uuid.uuid4().hex}?endpoint={served.endpoint}&allow_http=true"


def test_a_service_that_ignores_conditions_is_refused(service: str, deaf: tuple[BareBucket, Served]) -> None:
    application, served = deaf
    store = open_store(at(service, served), Path("/project"))
    for _ in range(2):
        with pytest.raises(StateUnwritableError, match=r"ignores If-None-Match.*nothing was written.*in a database"):
            store.write(fresh(), None)
    assert [name.rpartition("/")[2] for name in application.kept] == [PROBE]
    assert store.read(STAGING) is None


def test_a_service_that_only_refuses_to_create_is_refused(service: str) -> None:
    class Half(BareBucket):
        """Refuses to create what is there, and no more."""

        def _holds(self, there: object, headers: dict[str, str]) -> bool:  # type: ignore[override] # an instance's here
            create = "*" in headers.get("if_none_match", "") or headers.get("x_goog_if_generation_match") == "0"
            return not (create and there is not None)

    with serving(Half()) as served, pytest.raises(StateUnwritableError, match="ignores If-Match"):
        open_store(at(service, served), Path("/project")).write(fresh(), None)


def test_a_service_that_forgets_who_wrote_is_refused(service: str) -> None:
    with serving(BareBucket(metadata=False)) as served, pytest.raises(StateUnwritableError, match="metadata"):
        open_store(at(service, served), Path("/project")).write(fresh(), None)


def test_a_service_that_does_it_is_written_to(service: str) -> None:
    """Google's own is not reached from here: this shows what is sent, to a service that we wrote ourselves."""
    application = BareBucket()
    with serving(application) as served:
        store = open_store(at(service, served), Path("/project"))
        first = store.write(fresh(), None)
        second = store.write(first, first.serial)
        assert store.read(STAGING) == second == replace(first, serial=2)
        assert store.environments() == (STAGING,)
        with pytest.raises(StateConflictError):
            store.write(first, first.serial)
    create, update = application.heard[-2:]
    if service == "gs":
        assert create["x_goog_if_generation_match"] == "0"
        assert int(update["x_goog_if_generation_match"]) > 1_700_000_000_000_000
        assert "x_goog_meta_writers" in update
    else:
        assert create["if_none_match"] == "*"
        assert update["if_match"].startswith('"17')
        assert "x_amz_meta_writers" in update


def test_an_address_is_probed_once_and_by_writers_only(s3_service: Served) -> None:
    s3_service.gate.clear()
    address = address_in(s3_service)
    store = open_store(address, Path("/project"))
    assert store.read(STAGING) is None
    assert store.environments() == ()
    with pytest.raises(StateConflictError):
        store.write(fresh(serial=1), 1)
    assert s3_service.gate.count("PUT") == 0
    state = store.write(fresh(), None)
    assert s3_service.gate.count("PUT", PROBE) == 3
    open_store(address, Path("/project")).write(state, state.serial)
    assert s3_service.gate.count("PUT", PROBE) == 3
    assert store.environments() == (STAGING,)


def test_another_process_finds_the_probe_there(s3_service: Served, tmp_path: Path) -> None:
    s3_service.gate.clear()
    address = address_in(s3_service)
    open_store(address, Path("/project")).write(fresh(), None)
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from airflow_dbt_promotion.stores import open_store
        store = open_store({address!r}, Path.cwd())
        state = store.read("staging")
        print(store.write(state, state.serial).serial)
        """
    )
    assert run_python(code, tmp_path).strip() == "2"
    assert s3_service.gate.count("PUT", PROBE) == 5


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (DENIED, r"403 .*; check the credentials"),
        (NOT_DONE, r"501 .*; use another service"),
    ],
)
def test_a_probe_that_is_not_answered_proves_nothing(s3_service: Served, deed: object, said: str) -> None:
    s3_service.gate.clear()
    s3_service.gate.meet("PUT", PROBE, deed, always=True)  # type: ignore[arg-type] # a Deed, as parametrize hides
    store = ObjectStore(Bucket(address_of(address_in(s3_service)), QUICK))
    with pytest.raises(StateUnwritableError, match=rf"cannot be written: the service says {said}"):
        store.write(fresh(), None)
    s3_service.gate.clear()
    assert store.write(fresh(), None).serial == 1
    assert s3_service.gate.count("PUT", PROBE) == 3


def test_a_probe_waits_for_what_passes(s3_service: Served) -> None:
    s3_service.gate.clear()
    s3_service.gate.meet("PUT", PROBE, BUSY, BUSY, CONCURRENT)
    store = ObjectStore(Bucket(address_of(address_in(s3_service)), QUICK))
    assert store.write(fresh(), None).serial == 1


# --- what a process lacks --------------------------------------------------------------------------------------------


def test_without_obstore_the_extra_is_named(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        sys.modules["obstore"] = None
        from airflow_dbt_promotion.core.errors import ConfigError
        from airflow_dbt_promotion.stores import open_releases, open_store
        for act in (open_store, open_releases):
            try:
                act("s3://bucket/states", Path.cwd())
            except ConfigError as error:
                print(error)
        """
    )
    assert run_python(code, tmp_path).count("pip install 'airflow-dbt-promotion[object-store]'") == 2


def test_a_forked_process_is_told_so_and_does_not_hang(s3_service: Served, tmp_path: Path) -> None:
    s3_service.gate.clear()
    code = textwrap.dedent(
        f"""
        import os
        from pathlib import Path
        from airflow_dbt_promotion.core.errors import StateError
        from airflow_dbt_promotion.stores import open_store
        store = open_store({address_in(s3_service)!r}, Path.cwd())
        if os.fork() == 0:
            print("before:", store.read("staging"), flush=True)
            os._exit(0)
        os.wait()
        store.read("staging")
        if os.fork() == 0:
            for one in (store, open_store("s3://states/x", Path.cwd())):
                try:
                    one.read("staging")
                except StateError as error:
                    print(error, flush=True)
            os._exit(0)
        os.wait()
        """
    )
    told = run_python(code, tmp_path)
    assert "before: None" in told
    assert told.count("was forked from one that had used object storage") == 2


def test_errors_of_opening_come_with_the_first_question(ambient: pytest.MonkeyPatch) -> None:
    ambient.delenv("AWS_ACCESS_KEY_ID")
    ambient.delenv("AWS_SECRET_ACCESS_KEY")
    store = open_store("s3://bucket/states", Path("/project"))
    with pytest.raises(StateError, match=r"s3://bucket/states/staging.json: cannot be read: no credentials are found"):
        store.read(STAGING)
