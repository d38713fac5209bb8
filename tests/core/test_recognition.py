"""Versions of format 1: what is recognised, what stays marked, and what is not looked for again."""

from __future__ import annotations

from msgspec.structs import replace

from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.definition import AsWritten
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.format_one import release_of_format_one
from airflow_dbt_promotion.core.identity import Digest, EnvironmentName, ModelId, ReleaseId, Version, short
from airflow_dbt_promotion.core.recognised_plans import as_today, id_of_format_one
from airflow_dbt_promotion.core.recognition import BothFormats, Recognition, holds_earlier, releases_to_read
from airflow_dbt_promotion.core.state import Drift, Formerly
from airflow_dbt_promotion.core.stops import Block
from tests.core.definitions import definition, node
from tests.core.test_codec import entry, state, stay
from tests.scenarios import NOON

A = ModelId("model.shop.a")
KEPT = ReleaseId("kept")
SHOP = definition([node("a")])
BOTH = BothFormats(before=release_of_format_one(SHOP), now=release_of(SHOP))
BEFORE, NOW = BOTH.before.models[A].version, BOTH.now.models[A].version
OLD = Version(f"1:{BEFORE}")
STRANGE = Version("1:" + "f" * 32)
NOTHING = replace(state(), current={}, stays={}, evidence={}, drift={})


def test_what_others_built_is_recognised_too() -> None:
    found = Recognition([BOTH]).recognised(replace(NOTHING, drift={A: Drift(version=OLD, seen_at=NOON, by="run")}))
    assert found.drift[A].version == NOW


def test_a_version_that_its_own_release_does_not_have_is_not_looked_for_again() -> None:
    written = replace(NOTHING, current={A: entry(version=STRANGE, release=KEPT)})
    assert releases_to_read([written]) == {KEPT}
    found = Recognition([BOTH], {KEPT}).recognised(written)
    assert found.current[A].version == "0:" + "f" * 32
    assert (releases_to_read([found]), holds_earlier(found)) == (set(), True)
    assert short(found.current[A].version) == "f" * 8


def test_the_sources_of_what_is_blocked_are_read_but_not_those_of_whatever_left() -> None:
    left = {A: (stay(version=STRANGE, release=KEPT), stay(version=OLD, release=ReleaseId("other")))}
    block = Block(version=STRANGE, at=NOON, actor="ann", reason="doubles rows")
    assert releases_to_read([replace(NOTHING, stays=left)]) == set()
    assert releases_to_read([replace(NOTHING, stays=left, blocks={A: (block,)})]) == {KEPT}


def test_two_blocks_of_one_version_become_one() -> None:
    blocks = tuple(Block(version=Version(f"1:{one}"), at=NOON, actor="ann", reason="no") for one in (BEFORE, NOW))
    found = Recognition([BOTH]).recognised(replace(NOTHING, blocks={A: blocks}))
    assert found.blocks[A] == (replace(blocks[0], version=NOW, formerly=BEFORE),)
    assert Recognition([BOTH]).recognised(found) == found


def test_a_plan_that_takes_something_away_had_an_id_too() -> None:
    names = EnvironmentName("staging"), EnvironmentName("production")
    today = entry(version=NOW, parents={}, formerly=_formerly())
    gone = Change(model=A, kind=ChangeKind.REMOVED, before=today, after=None)
    target = replace(NOTHING, current={A: today})
    then = replace(NOTHING, current={A: entry(version=OLD, parents={}, tests=_formerly().tests)})
    found = id_of_format_one(*names, [gone], (NOTHING, target), {A})
    assert found is not None
    assert found == id_of_format_one(*names, [replace(gone, before=then.current[A])], (NOTHING, then), {A})
    assert id_of_format_one(*names, [gone], (NOTHING, NOTHING), {A}) is None


def test_tests_that_changed_since_are_those_of_today() -> None:
    moved = entry(version=NOW, parents={}, formerly=replace(_formerly(), tests_now=_other("x"), meta_now=_other("x")))
    names = EnvironmentName("staging"), EnvironmentName("production")
    same = entry(version=NOW, parents={}, formerly=_formerly())
    ids = {id_of_format_one(*names, [], (NOTHING, replace(NOTHING, current={A: one})), {A}) for one in (moved, same)}
    assert len(ids) == len({"moved", "same"})


def test_what_a_plan_of_then_rests_on_is_found_where_the_source_holds_it_still() -> None:
    source = replace(NOTHING, current={A: entry(version=NOW, parents={}, formerly=_formerly())})
    other = ModelId("model.shop.b")
    assert as_today({A: BEFORE, other: BEFORE}, source) == {A: NOW, other: BEFORE}
    assert as_today({A: Version("moved")}, source) == {A: "moved"}
    assert as_today({A: BEFORE}, None) == {A: BEFORE}


def test_columns_with_jinja_had_no_quotes() -> None:
    def columns(*told: object) -> str:
        written = {A: AsWritten(columns=list(told))}
        return release_of_format_one(replace(SHOP, written=written)).models[A].version

    quoted = {"name": "id", "data_type": "{{ var('t') }}", "quote": True}
    plain = {key: value for key, value in quoted.items() if key != "quote"}
    assert columns(quoted) == columns(plain) != columns("odd")


def _formerly() -> Formerly:
    one = entry()
    return Formerly(version=BEFORE, tests=_other(one.tests), meta=one.meta, tests_now=one.tests, meta_now=one.meta)


def _other(digest: str) -> Digest:
    return Digest(digest[::-1] + "0")
