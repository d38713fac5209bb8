"""PostgreSQL binds views by identity: what others have hung on a table comes along with the swap, or stops it."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from airflow_dbt_promotion.core.beside import token_of
from airflow_dbt_promotion.core.state import PromotionOutcome
from tests.integration.warehouse import a_postgres
from tests.integration.yard import Yard

pytestmark = [pytest.mark.dbt, pytest.mark.slow, pytest.mark.postgres]

FILES = {
    "models/orders.sql": "select 1 as id, 10 as amount, 1 as edition",
    "models/totals.sql": "select sum(amount) as total, max(edition) as edition from {{ ref('orders') }}",
    "models/known.sql": "{{ config(materialized='view') }} select * from {{ ref('orders') }}",
}

BY_HAND = (
    "create schema reports",
    "create role analyst",
    """create view reports."By Hand" with (security_barrier = true, check_option = local)
        as select id, edition from production.orders where amount > 5""",
    """comment on view reports."By Hand" is 'what they look at: {} %s $$'""",
    """comment on column reports."By Hand".id is 'the id'""",
    'grant select, insert on reports."By Hand" to analyst',
    'create view reports.on_top as select b.id, o.edition from reports."By Hand" b join production.orders o using (id)',
    "create materialized view production.unrelated as select 1 as one",
)

LOOKS = """
    select c.oid::text, c.relname, c.relacl::text, c.reloptions::text, obj_description(c.oid), col_description(c.oid, 1)
    from pg_class c where c.relnamespace in ('reports'::regnamespace, 'production'::regnamespace)
    and c.relname in ('By Hand', 'on_top', 'known') order by c.relname"""


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "project").mkdir()
    with a_postgres(folder / "pg") as postgres:
        yard = Yard(folder / "project", postgres, FILES)
        assert yard.promote().outcome is PromotionOutcome.PROMOTED
        yard.edit("models/known.sql", "select *", "select *, 0 as again")
        assert yard.promote("known").outcome is PromotionOutcome.PROMOTED
        yard.execute(*BY_HAND)
        yield yard


def relations(yard: Yard) -> list[tuple[object, ...]]:
    return yard.warehouse.rows(
        "select oid, relname from pg_class where relnamespace = 'production'::regnamespace order by 1"
    )


def test_views_outside_read_what_came_and_stay_what_they_are(yard: Yard) -> None:
    before = yard.warehouse.rows(LOOKS)
    yard.edit("models/orders.sql", "1 as edition", "2 as edition, 'new' as further")
    assert yard.promote("orders", "totals", allow_stale_downstream=True).outcome is PromotionOutcome.PROMOTED
    for view in ('reports."By Hand"', "reports.on_top", "production.known", "production.totals"):
        assert yard.column(f"select edition from {view}") == [2], view
    assert yard.warehouse.rows(LOOKS) == before
    (kept,) = yard.column("select relname from pg_class where relname like 'known__was_%' and relkind = 'v'")
    assert yard.column(f"select edition from production.{kept}") == [1], "what is kept reads what it read"


STRANGERS = {
    "materialized view strangers.heap": "create materialized view strangers.heap as select * from production.orders",
    "function strangers.counted()": """create function strangers.counted() returns bigint language sql
        begin atomic select count(*) from production.orders; end""",
    "function strangers.taken": """create function strangers.taken(production.orders) returns int language sql
        as 'select 1'""",
    "view strangers.rows": "create view strangers.rows as select o from production.orders o",
    "constraint of_order on table strangers.items": """create table strangers.items (
        id int, constraint of_order foreign key (id) references production.orders(id))""",
    "rule also on table strangers.log": """create table strangers.log (id int);
        create rule also as on insert to strangers.log do also insert into production.orders (id) values (new.id)""",
    "table strangers.child": "create table strangers.child () inherits (production.orders)",
}


def test_what_would_be_left_behind_is_told_before_anything_is_built(yard: Yard) -> None:
    """Strangers that hang on a table, names that are taken, and places that hold what is no table: all in one plan."""
    yard.write("models/parted.sql", "select 1 as id")
    yard.write("models/counted.sql", "select 1 as id")
    yard.edit("models/orders.sql", "2 as edition", "3 as edition")
    yard.execute(
        "create schema strangers",
        "create unique index on production.orders (id)",
        *STRANGERS.values(),
        "create table production.parted (id int) partition by range (id)",
        "create sequence production.counted",
    )
    names = ("orders", "totals", "parted", "counted")
    plan = yard.promote(*names, allow_stale_downstream=True, dry_run=True).plan
    state = yard.state()
    token = token_of(plan.plan_id, state.lineage, state.epoch + 1)
    yard.execute(
        f"create table production.orders__next_{token} (id int)",
        f"create view production.totals__was_{token} as select 1",
    )
    before = relations(yard)
    refused = yard.promote(*names, allow_stale_downstream=True)
    assert refused.outcome is PromotionOutcome.REFUSED, refused.message
    told = {(verdict.code, verdict.reason) for _, verdict in refused.plan.refusals}
    codes = Counter(code for code, _ in told)
    assert codes == {"depended_on": len(STRANGERS), "in_the_way": 2, "not_swappable": 2}, told
    for stranger in STRANGERS:
        assert any(f"orders: {stranger}" in reason for code, reason in told if code == "depended_on"), (stranger, told)
    for name in (f"production.orders__next_{token}", f"production.totals__was_{token}"):
        assert any(name in reason for code, reason in told if code == "in_the_way"), name
    assert {reason.split(":")[0] for code, reason in told if code == "not_swappable"} == {"parted", "counted"}
    assert relations(yard) == before
    yard.execute(
        "drop schema strangers cascade",
        "drop table production.parted",
        "drop sequence production.counted",
        f"drop table production.orders__next_{token}",
        f"drop view production.totals__was_{token}",
    )
    for name in ("parted", "counted"):
        (yard.folder / "models" / f"{name}.sql").unlink()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("10 as amount", "10 as amounts", "the view reports.By Hand reads amount of production.orders"),
        ("1 as id", "1::bigint as id", 'cannot change data type of view column "id"'),
    ],
)
def test_a_view_that_would_be_lost_stops_the_swap(yard: Yard, old: str, new: str, reason: str) -> None:
    yard.edit("models/orders.sql", old, new)
    looks, unfinalized = yard.warehouse.rows(LOOKS), yard.state().unfinalized
    before = relations(yard)
    failed = yard.promote("orders", allow_stale_downstream=True)
    yard.edit("models/orders.sql", new, old)
    assert failed.outcome is PromotionOutcome.FAILED
    assert any(reason in word for word in failed.words), failed.words
    assert set(before) <= set(relations(yard))
    assert yard.warehouse.rows(LOOKS) == looks
    assert yard.state().unfinalized == unfinalized


def test_what_others_own_is_told_before_anything_is_built(yard: Yard) -> None:
    yard.execute(
        "create role builder login",
        "grant usage, create on schema production to builder",
        "grant all on all tables in schema production to builder",
        "alter table production.orders owner to builder",
    )
    yard.edit("models/orders.sql", "10 as amount", "11 as amount")
    yard.connect_as("builder")
    before = relations(yard)
    refused = yard.promote("orders", "totals", allow_stale_downstream=True)
    yard.connect_as(None)
    assert refused.outcome is PromotionOutcome.REFUSED
    told = {verdict.code: verdict.reason for _, verdict in refused.plan.refusals}
    assert told.keys() == {"not_owned", "view_left_behind"}
    assert "production.totals is postgres's" in told["not_owned"]
    assert "is postgres's" in told["view_left_behind"]
    assert relations(yard) == before
