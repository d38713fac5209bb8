"""Large documents are packed: still JSON, with a head that can be read, and nothing is lost."""

from __future__ import annotations

import base64
import json

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.errors import CorruptStateError, FutureSchemaError
from airflow_dbt_promotion.core.identity import Digest, EnvironmentName, ModelId, Version
from airflow_dbt_promotion.core.packing import LARGE, MOST_BYTES, Packed, pack, unpack
from airflow_dbt_promotion.core.state import SCHEMA_VERSION, Entry, EntryOrigin, EnvironmentState
from tests.scenarios import NOON, empty_state

STAGING = EnvironmentName("staging")
HEAD = Packed(environment="staging", lineage="one", packed="", schema_version=SCHEMA_VERSION, serial=7)


def large(models: int = 5000) -> EnvironmentState:
    entries = {
        ModelId(f"model.shop.m{number}"): Entry(
            version=Version(f"{number:032x}"),
            code=Digest("c" * 32),
            tests=Digest("t" * 32),
            meta=Digest("m" * 32),
            parents={},
            since=NOON,
            origin=EntryOrigin.RUN,
            by="a run",
        )
        for number in range(models)
    }
    return replace(empty_state("staging"), current=entries, serial=3)


def changed(data: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(data), **fields}).encode()


def test_a_large_document_is_small_and_comes_back() -> None:
    state = large()
    data = codec.encode(state)
    document = json.loads(data)
    assert sorted(document) == ["environment", "lineage", "packed", "schema_version", "serial"]
    assert len(data) < LARGE / 4
    assert data.endswith(b"\n}\n")
    assert codec.decode(data, "staging.json", STAGING) == state
    found = codec.head(data, "staging.json", STAGING)
    assert (found.serial, found.lineage, found.schema_version) == (3, state.lineage, SCHEMA_VERSION)


def test_people_unpack_it_with_common_tools() -> None:
    compressed = base64.b64decode(json.loads(codec.encode(large()))["packed"])
    document = json.loads(zstandard.ZstdDecompressor().decompress(compressed))
    assert len(document["current"]) == 5000


def test_small_documents_are_plain() -> None:
    assert "current" in json.loads(codec.encode(large(10)))


@given(st.binary(max_size=200))
def test_whatever_is_packed_is_unpacked(document: bytes) -> None:
    data = pack(HEAD, document)
    head, found = unpack(data) or (None, None)
    assert found == document
    assert head == replace(HEAD, packed=json.loads(data)["packed"])


@pytest.mark.parametrize(
    "packed",
    [
        "no base64!",
        base64.b64encode(b"no zstandard").decode(),
        base64.b64encode(zstandard.ZstdCompressor(write_checksum=True).compress(b"x" * 99)[:-3]).decode(),
        base64.b64encode(zstandard.ZstdCompressor(write_content_size=False).compress(b"{}")).decode(),
        base64.b64encode(zstandard.ZstdCompressor().compress(b"[]")).decode(),
        base64.b64encode(zstandard.ZstdCompressor().compress(b"{")).decode(),
    ],
)
def test_what_is_damaged_is_an_error_that_names_the_place(packed: str) -> None:
    data = changed(codec.encode(large()), packed=packed)
    with pytest.raises(CorruptStateError, match=r"staging\.json.*left as it is"):
        codec.decode(data, "staging.json", STAGING)


def test_one_that_claims_to_be_huge_asks_for_no_memory() -> None:
    bomb = zstandard.ZstdCompressor().compress(b"\0" * (MOST_BYTES + 1))
    with pytest.raises(ValueError, match="claims to hold"):
        unpack(changed(pack(HEAD, b"{}"), packed=base64.b64encode(bomb).decode()))


@pytest.mark.parametrize("fields", [{"serial": 4}, {"lineage": "another"}, {"schema_version": 2}])
def test_a_head_of_another_document_is_an_error(fields: dict[str, object]) -> None:
    with pytest.raises(CorruptStateError, match="head"):
        codec.decode(changed(codec.encode(large()), **fields), "staging.json", STAGING)


def test_a_packed_document_of_another_environment_or_of_the_future_says_so() -> None:
    data = codec.encode(large())
    with pytest.raises(CorruptStateError, match="not of 'production'"):
        codec.decode(data, "production.json", EnvironmentName("production"))
    later = json.dumps({**json.loads(json.dumps(json.loads(data))), "schema_version": SCHEMA_VERSION + 1}).encode()
    with pytest.raises((CorruptStateError, FutureSchemaError)):
        codec.decode(later, "staging.json", STAGING)


def test_what_only_looks_packed_is_checked_as_any_document() -> None:
    assert unpack(b'{"packed": 1}') is None
    with pytest.raises(CorruptStateError):
        codec.decode(b'{"packed": "x", "more": 1}', "staging.json", STAGING)
