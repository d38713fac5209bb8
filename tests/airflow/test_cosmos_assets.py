"""The mapping to Cosmos' own assets, held against the functions by which Cosmos names them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cosmos import ProfileConfig
from cosmos.dataset import compute_model_outlet_uris, get_dataset_namespace

import airflow_dbt_promotion

PROFILES = """
shop:
  target: production
  outputs:
    production: {type: postgres, host: db.example.com, port: 5433, user: u, password: p, dbname: shop, schema: main}
    staging: {type: duckdb, path: /srv/shop.duckdb}
    nowhere: {type: sqlite}
"""
NODES = {
    "model.shop.orders": {"resource_type": "model", "database": "shop", "schema": "main", "name": "orders"},
    "model.shop.a.v2": {"resource_type": "model", "database": "shop", "schema": "x", "name": "a", "alias": "a b_v2"},
    "seed.shop.raw": {"resource_type": "seed", "database": "SHOP", "schema": "main", "name": "raw"},
}


def profile(folder: Path, target: str) -> ProfileConfig:
    (folder / "profiles.yml").write_text(PROFILES, encoding="utf-8")
    return ProfileConfig(profile_name="shop", target_name=target, profiles_yml_filepath=folder / "profiles.yml")


@pytest.mark.parametrize("target", ["production", "staging"])
def test_it_says_what_cosmos_says(tmp_path: Path, target: str) -> None:
    found = profile(tmp_path, target)
    (tmp_path / "manifest.json").write_text(json.dumps({"nodes": NODES}), encoding="utf-8")
    namespace = get_dataset_namespace(found)
    assert namespace is not None
    theirs = compute_model_outlet_uris(tmp_path / "manifest.json", namespace)
    relations = {
        "model.shop.orders": '"shop"."main"."orders"',
        "model.shop.a.v2": "shop.x.a b_v2",
        "seed.shop.raw": "`SHOP`.`main`.`raw`",
    }
    assert {id_: [airflow_dbt_promotion.cosmos_asset_uri(found, said)] for id_, said in relations.items()} == theirs


def test_where_cosmos_emits_nothing_there_is_no_address(tmp_path: Path) -> None:
    for target, relation in (("nowhere", "a.b.c"), ("production", "main.orders"), ("production", "shop..orders")):
        with pytest.raises(ValueError, match="Cosmos emits no asset"):
            airflow_dbt_promotion.cosmos_asset_uri(profile(tmp_path, target), relation)
