"""What a selector means, and what of dbt's it refuses. Real dbt's own answers: tests/dbt/test_selector.py."""

from __future__ import annotations

import pytest
from msgspec import Raw
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import NodeConfig
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.labels import Labels, labels_of
from airflow_dbt_promotion.core.selector import selector
from tests.core.definitions import definition, node

ORDERS = Labels(
    unique_id=ModelId("model.shop.orders"),
    name="orders",
    package="shop",
    resource_type="model",
    path="models/marts/orders.sql",
    fqn=("shop", "marts", "orders"),
    tags=("critical", "nightly"),
    meta={"tier": 1, "pii": True, "owner": {"team": "sales"}, "areas": ["money", "tills"]},
    materialized="table",
    group="finance",
    patch_path="models/marts/_marts.yml",
)


@pytest.mark.parametrize(
    "text",
    [
        "tag:critical",
        "tag:crit*",
        "tag:nope tag:nightly",
        "tag:critical,tag:nightly",
        "path:models",
        "path:./models/marts/",
        "models/marts/orders.sql",
        "path:models/**",
        "path:**/marts",
        "path:models/*/o?ders.sql",
        "path:models/marts/_marts.yml",
        "file:orders",
        "orders.sql",
        "package:this",
        "package:sh*",
        "resource_type:model",
        "group:finance",
        "config.materialized:table",
        "config.meta.pii:true",
        "config.meta.owner.team:sales",
        "config.meta.areas:tills",
        "orders",
        "marts.orders",
        "shop.marts",
        "shop.*",
        "*",
        "o*s",
        "fqn:orders",
    ],
)
def test_it_means_the_model(text: str) -> None:
    assert selector(text).selects(ORDERS)


@pytest.mark.parametrize(
    "text",
    [
        "tag:critical,tag:nope",
        "tag:Critical",
        "path:models/mart",
        "path:models/marts/orders.sql/**",
        "path:marts",
        "file:order",
        "package:other",
        "resource_type:seed",
        "group:sales",
        "config.materialized:view",
        "config.meta.tier:1",  # a number is no text, and dbt does not make it one
        "config.meta.pii:false",
        "config.meta.owner:sales",
        "config.meta.owner.team.name:sales",
        "config.meta.areas:mon",
        "order",
        "shop.marts.orders.more",
        "shop.staging",
        "other.*",
        "p*",
    ],
)
def test_it_means_another(text: str) -> None:
    assert not selector(text).selects(ORDERS)


@pytest.mark.parametrize("text", ["many", "many.v2", "many_v2", "shop.many.v2", "m*y", "v2.*,many"])
def test_a_version_is_meant_by_its_name_too(text: str) -> None:
    second = replace(ORDERS, name="many", fqn=("shop", "many", "v2"), versioned=True)

    assert selector(text).selects(second) is ("v2.*" not in text)


def test_what_lacks_something_is_not_meant_by_it() -> None:
    bare = replace(ORDERS, group=None, patch_path=None, in_root=False)

    assert not selector("group:*").selects(bare)
    assert not selector("path:models/marts/_marts.yml").selects(bare)
    assert not selector("package:this").selects(bare)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("  ", "is empty"),
        ("tag:a,", "a comma stands beside nothing"),
        ("+orders", "follows the graph"),
        ("2+orders", "follows the graph"),
        ("tag:a+1", "follows the graph"),
        ("@orders", "follows the graph"),
        ("state:modified", "the method 'state' is not known here"),
        ("config.meta.my-key:a", "has no method that dbt knows"),
        ("tag:", "asks for nothing"),
        ("config:table", "materialized and meta.<key>"),
        ("config.meta:x", "materialized and meta.<key>"),
        ("config.meta..a:x", "materialized and meta.<key>"),
        ("tag.a:b", "takes no key"),
        ("resource_type:exposure", "only these are promoted: function, model, seed, snapshot"),
        ("/models", "as seen from the project"),
    ],
)
def test_what_it_does_not_know_is_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        selector(text)

    assert caught.value.where == "select"


def test_labels_are_read_from_a_parse() -> None:
    held = replace(
        node("orders"),
        tags=Raw(b'["critical", 7]'),
        config=NodeConfig(materialized="table", meta=Raw(b'{"tier": 1}')),
        patch_path="shop://models/_m.yml",
        version=2,
    )
    found = labels_of(definition([held]), ModelId(held.unique_id))

    assert found is not None
    assert (found.tags, found.meta, found.materialized) == (("critical", "7"), {"tier": 1}, "table")
    assert (found.patch_path, found.versioned, found.in_root) == ("models/_m.yml", True, True)


def test_nothing_said_is_no_label() -> None:
    held = replace(node("orders"), tags=Raw(b"null"), config=NodeConfig(meta=Raw(b"null")))
    found = labels_of(definition([held]), ModelId(held.unique_id))

    assert found is not None
    assert (found.tags, found.meta, found.patch_path, found.versioned) == ((), {}, None, False)
    assert labels_of(definition([held]), ModelId("model.shop.gone")) is None
