"""The manifest that is kept of a swap says where readers see each relation."""

from __future__ import annotations

import json

import msgspec
import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.beside import Arrangement, Fill, beside_names
from airflow_dbt_promotion.core.errors import DbtError
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.altering import in_place
from airflow_dbt_promotion.dbt.publish.relocation import TAG, chosen
from tests.dbt.publish.arrangements import TOKEN, beside

NAMES = ("orders", "my_orders", 'in "quotes"', "größe", "a_name_that_is_too_long_for_a_warehouse" * 4)
EARLIER = beside_names("kept", "0a0b0c0d", 127)[1]


def test_a_manifest_names_what_readers_see_whatever_the_names_are() -> None:
    places = [Place(database=None, schema="prod", identifier=name) for name in (*NAMES, "kept")]
    *built, back = (beside(place) for place in places)
    back = replace(back, next=back.place.named(EARLIER), fill=Fill.KEPT)
    arrangement = Arrangement(token=TOKEN, besides=(*built, back))
    found = json.dumps([*(one.next.identifier for one in arrangement.besides), "kept"]).encode()
    assert json.loads(in_place(found, arrangement)) == [*(place.identifier for place in places), "kept"]


def test_without_a_swap_it_says_so_already() -> None:
    assert in_place(b"as it is", None) == b"as it is"


def test_a_manifest_knows_no_tag_of_ours() -> None:
    found = json.dumps([{"tags": [TAG, "nightly"]}, {"tags": [TAG]}, {"tags": ["nightly"]}]).encode()
    arrangement = Arrangement(token=TOKEN, besides=())
    assert json.loads(in_place(found, arrangement)) == [{"tags": ["nightly"]}, {"tags": []}, {"tags": ["nightly"]}]


def test_what_is_chosen_has_our_tag_before_its_own() -> None:
    nodes = {"model.a": {"tags": ["nightly"], "name": "a"}, "test.b": {"tags": []}, "model.c": {"tags": ["nightly"]}}
    made = msgspec.msgpack.decode(chosen(msgspec.msgpack.encode({"nodes": nodes, "macros": {}}), ["model.a", "test.b"]))
    assert made["nodes"] == {
        "model.a": {"tags": [TAG, "nightly"], "name": "a"},
        "test.b": {"tags": [TAG]},
        "model.c": {"tags": ["nightly"]},
    }
    with pytest.raises(DbtError, match="cannot be read"):
        chosen(msgspec.msgpack.encode({"nodes": nodes}), ["model.gone"])
