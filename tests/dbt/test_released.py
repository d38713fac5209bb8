"""Kept releases, parsed by a real dbt for one target or another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.definition import Origin
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtProjectError, MissingReleaseError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import ReleaseId, environment_name
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.dbt.invocation import DbtInvocation, DbtOutcome, DbtProject, DbtRunner
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.dbt.sources import seed_digest
from tests.dbt.shops import FILES, PRODUCTION, STAGING, Shop, files_below

SMALL = {
    "dbt_project.yml": "name: shop\nversion: '1.0'\nprofile: shop\n"
    "models: {shop: {+tags: \"{{ env_var('TAG', 'none') }}\"}}\n",
    "models/orders.sql": 'select 1 as id, \'{{ env_var("COLOUR", "red") }}\' as colour',
    "profiles.yml": "shop: {target: staging, outputs: {staging: {type: duckdb, path: warehouse.duckdb, schema: stg}, "
    "prod: {type: duckdb, path: warehouse.duckdb, schema: \"{{ env_var('SCHEMA', 'main') }}\"}}}\n",
}


class Counting:
    """A real dbt that counts its invocations."""

    def __init__(self) -> None:
        self.real: DbtRunner = InProcessRunner()
        self.invocations = 0

    def invoke(self, project: DbtProject, invocation: DbtInvocation, on_event: object = None) -> DbtOutcome:
        self.invocations += 1
        return self.real.invoke(project, invocation, on_event)  # type: ignore[arg-type]

    def versions(self) -> str | None:
        return self.real.versions()


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def small(tmp_path: Path, counting: Counting) -> Shop:
    return Shop(tmp_path / "shop", counting, SMALL)


def versions(release: Release) -> dict[str, str]:
    return {id_: model.version for id_, model in release.models.items()}


def test_a_release_means_the_same_for_every_target_and_goes_elsewhere(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    at_hand = shop.workshop.at_hand(STAGING, dry=True)
    shop.workshop.keep(at_hand.release)
    shutil.rmtree(shop.folder / "models")

    staging, production = (shop.released(at_hand.release, one) for one in (STAGING, PRODUCTION))

    assert production.origin is staging.origin is at_hand.definition.origin is Origin.PARSE
    assert versions(release_of(production)) == versions(release_of(staging)) == versions(release_of(at_hand.definition))
    assert staging.nodes["model.shop.orders"].relation_name == '"warehouse"."stg"."orders"'
    assert production.nodes["model.shop.orders"].relation_name == '"warehouse"."main"."orders"'
    assert production.nodes["model.shop.orders"].config.materialized == "table"
    assert "for target prod" in production.where


def test_parsing_writes_neither_into_the_checkout_nor_into_the_warehouse(small: Shop) -> None:
    release = small.keep()
    before = files_below(small.folder)
    small.released(release)
    assert files_below(small.folder) == before


def test_a_parse_is_made_once_for_one_target(small: Shop, counting: Counting) -> None:
    release = small.keep()
    counting.invocations = 0
    first = small.released(release)
    assert small.released(release) is first
    assert small.another_workshop().released(release, PRODUCTION, dry=True) == first
    assert counting.invocations == 1
    small.released(release, STAGING)
    assert counting.invocations == 2


def test_dry_leaves_nothing_anywhere(small: Shop) -> None:
    release = small.keep()
    before = files_below(small.folder)
    small.workshop.released(release, PRODUCTION, dry=True)
    assert small.store.parses == {}
    assert files_below(small.folder) == before


@pytest.mark.parametrize("name", ["COLOUR", "TAG", "SCHEMA"])
def test_another_value_of_a_variable_that_was_read_makes_another_parse(
    small: Shop, counting: Counting, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    release = small.keep()
    small.released(release)
    counting.invocations = 0
    monkeypatch.setenv("OTHER", "of no interest")
    small.another_workshop().released(release, PRODUCTION, dry=False)
    assert counting.invocations == 0
    small.another_workshop(env={name: "blue"}).released(release, PRODUCTION, dry=False)
    assert counting.invocations == 1
    monkeypatch.setenv(name, "green")
    small.workshop.released(release, PRODUCTION, dry=False)
    assert counting.invocations == 2


def test_another_profile_makes_another_parse(small: Shop, counting: Counting) -> None:
    release = small.keep()
    assert small.released(release).nodes["model.shop.orders"].relation_name == '"warehouse"."main"."orders"'
    counting.invocations = 0
    small.edit({"profiles.yml": SMALL["profiles.yml"].replace("'main'", "'live'")})
    assert small.released(release).nodes["model.shop.orders"].relation_name == '"warehouse"."live"."orders"'
    assert counting.invocations == 1


def test_a_variable_whose_name_is_made_up_while_parsing_keeps_the_parse_out_of_the_cache(small: Shop) -> None:
    small.edit({"profiles.yml": SMALL["profiles.yml"].replace("env_var('SCHEMA',", "env_var('SCH' ~ 'EMA',")})
    release = small.keep()
    first = small.released(release)
    assert small.store.parses == {}
    assert small.released(release) is first


def test_other_vars_make_another_parse(small: Shop, counting: Counting) -> None:
    release = small.keep()
    small.released(release)
    counting.invocations = 0
    small.released(release, Environment(name=environment_name("production"), target="prod", vars={"a": 1}))
    assert counting.invocations == 1


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("partial_parse.msgpack", b"\xc1"),
        ("partial_parse.msgpack", b""),
        ("manifest.json", b"{}"),
        ("manifest.json", b"not JSON"),
        ("more.txt", b""),
    ],
)
def test_a_cached_parse_that_was_tampered_with_is_not_used(
    small: Shop, counting: Counting, name: str, data: bytes
) -> None:
    release = small.keep()
    first = small.released(release)
    (at,) = small.store.parses
    small.store.parses[at] = {**small.store.parses[at], name: data}
    counting.invocations = 0
    again = small.another_workshop().released(release, PRODUCTION, dry=False)
    assert (again.nodes, counting.invocations) == (first.nodes, 1)
    assert small.store.parses[at][name if name != "more.txt" else "manifest.json"] != data


def test_a_parse_of_another_dbt_is_not_used(small: Shop, counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    release = small.keep()
    small.released(release)
    counting.invocations = 0
    monkeypatch.setattr(Counting, "versions", lambda _: "dbt-core==9.9.9")
    small.another_workshop().released(release, PRODUCTION, dry=False)
    assert counting.invocations == 1


def test_a_big_seed_has_its_content_from_the_cache_too(small: Shop) -> None:
    small.edit({"seeds/big.csv": "id\n" + "1234567\n" * 140_000})
    release = small.keep()
    first = small.released(release)
    again = small.another_workshop().released(release, PRODUCTION, dry=True)
    assert again.nodes["seed.shop.big"].checksum == first.nodes["seed.shop.big"].checksum
    content = small.store.read(small.store.tree(release).files["seeds/big.csv"], "seeds/big.csv")
    assert again.nodes["seed.shop.big"].checksum.checksum == seed_digest(content)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"dbt_project.yml": "name: shop\nprofile: shop\nrequire-dbt-version: '>=9.0.0'\n"}, "version"),
        ({"models/orders.sql": "select '{{ env_var(\"NOT_THERE\") }}' as colour"}, "NOT_THERE"),
        ({"models/orders.sql": "select * from {{ ref('nothing') }}"}, "nothing"),
    ],
)
def test_sources_that_dbt_refuses_are_told_by_release_and_target(
    small: Shop, changes: dict[str, str], word: str
) -> None:
    small.edit(changes)
    release = small.store.keep(small.workshop._keeper.sources(), small.provenance())
    with pytest.raises(DbtProjectError, match=word) as caught:
        small.released(release)
    assert caught.value.where == f"release {release[:8]} (kept with dbt 1.8.0 postgres) for target prod"
    assert "dbt-promote-" not in str(caught.value)


def test_a_profile_without_the_target_is_told(small: Shop) -> None:
    release = small.keep()
    elsewhere = Environment(name=environment_name("production"), target="nowhere")
    with pytest.raises(DbtProjectError, match="nowhere") as caught:
        small.released(release, elsewhere)
    assert "for target nowhere" in caught.value.where


def test_a_release_that_is_not_kept_is_told(small: Shop) -> None:
    with pytest.raises(MissingReleaseError):
        small.released(ReleaseId("0" * 32))


def test_hooks_do_not_stand_in_the_way_of_reading_what_was_written(tmp_path: Path) -> None:
    assert "on-run-start" in FILES["dbt_project.yml"]
    shop = Shop(tmp_path / "shop")
    assert shop.workshop.at_hand(STAGING, dry=True).definition.origin is Origin.PARSE
