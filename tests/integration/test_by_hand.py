"""What was done by hand on PostgreSQL is there after a swap, of copies and of what was built; else it stops one."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_dbt_promotion.core.environment import IncrementalChange
from airflow_dbt_promotion.core.state import PromotionOutcome
from tests.integration.warehouse import a_postgres
from tests.integration.yard import Yard

pytestmark = [pytest.mark.dbt, pytest.mark.slow, pytest.mark.postgres]

MODEL = "select {} as id, 'a'::text as note"
FILES = {
    "models/copied.sql": "{{ config(materialized='incremental', unique_key='id') }} " + MODEL.format(1),
    "models/built.sql": MODEL.format(1),
    "models/seen.sql": "{{ config(materialized='view') }} " + MODEL.format(1),
    "models/granted.sql": "{{ config(grants={'select': ['clerk']}) }} " + MODEL.format(1),
    "models/hooked.sql": "{{ config(post_hook='create policy own on {{ this }} using (id > 1)') }} " + MODEL.format(1),
}
FIRST = (
    "create role analyst",
    "create role team",
    "create role clerk",
    "create role auditor",
    "create schema production",
    "alter default privileges in schema production grant select on tables to analyst",
)
BOTH = (
    "revoke select on production.{0} from analyst",
    "grant select, insert on production.{0} to auditor with grant option",
    "grant update (note) on production.{0} to clerk",
    "create publication feed_{0} for table production.{0} (id) where (id > 0)",
    "alter table production.{0} replica identity full",
    "alter table production.{0} enable row level security",
    "create policy mine on production.{0} as restrictive for select to clerk, auditor using (id > 0 and note <> 'b')",
    "alter table production.{0} alter id set statistics 1000, alter id set (n_distinct = 5)",
    "alter table production.{0} set (fillfactor = 70)",
    "create statistics production.both_{0} (ndistinct) on id, note from production.{0}",
    "alter table production.{0} owner to team",
)
BUILT = (
    "create function production.touch() returns trigger language plpgsql as 'begin return new; end'",
    "create trigger touches before update of note on production.built for each row execute function production.touch()",
    "alter table production.built disable trigger touches",
    "create rule keep as on delete to production.built where old.id = 1 do instead nothing",
)
SEEN = (
    "revoke select on production.seen from analyst",
    "grant select on production.seen to auditor",
    "alter view production.seen set (security_barrier = true)",
    "alter view production.seen owner to team",
)
LOOKS = (
    """select array(select g::text from aclexplode(relacl) g where grantee <> relowner order by 1),
        relowner::regrole::text, relreplident, relrowsecurity, reloptions
    from pg_class where oid = 'production.{0}'::regclass""",
    """select pubname, attnames::text, rowfilter from pg_publication_tables
    where schemaname = 'production' and pubname = 'feed_{0}'""",
    "select tablename, policyname, permissive, cmd, roles::text, qual from pg_policies where tablename = '{0}'",
    """select attname, attstattarget, attoptions::text, attacl::text from pg_attribute
    where attrelid = 'production.{0}'::regclass and attnum > 0 order by attnum""",
    "select stxkeys::text, stxkind::text from pg_statistic_ext where stxrelid = 'production.{0}'::regclass",
    "select tgname, tgenabled from pg_trigger where tgrelid = 'production.{0}'::regclass",
    "select rulename, definition from pg_rules where tablename = '{0}'",
)
FORWARD = {"on_incremental_change": IncrementalChange.FORWARD_ONLY}


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "project").mkdir()
    with a_postgres(folder / "pg") as postgres:
        postgres.execute("; ".join(FIRST))
        yard = Yard(folder / "project", postgres, FILES)
        promoted = yard.promote()
        assert promoted.outcome is PromotionOutcome.PROMOTED, promoted.words
        yield yard


def looks(yard: Yard, *tables: str) -> list[tuple[str, list[tuple[object, ...]]]]:
    return [(table, yard.warehouse.rows(query.format(table))) for table in tables for query in LOOKS]


def changed(yard: Yard, *models: str, edition: int) -> None:
    """Let models be others than they were."""
    for model in models:
        yard.write(f"models/{model}.sql", FILES[f"models/{model}.sql"].replace("select 1 ", f"select {edition} "))


def who_may_read(yard: Yard, table: str) -> list[object]:
    return yard.column(
        f"select rolname from pg_roles where rolname in ('analyst', 'auditor', 'clerk') "
        f"and has_table_privilege(rolname, 'production.{table}', 'select') order by 1"
    )


def test_what_was_done_by_hand_is_there_afterwards(yard: Yard) -> None:
    yard.execute(*(one.format(table) for table in ("copied", "built") for one in BOTH), *BUILT, *SEEN)
    before = looks(yard, "copied", "built", "seen")
    names = ("copied", "built", "seen")
    changed(yard, *names, edition=2)
    promoted = yard.promote(*names, **FORWARD)  # type: ignore[arg-type] - any field
    assert promoted.outcome is PromotionOutcome.PROMOTED, (promoted.message, promoted.words)
    assert looks(yard, *names) == before
    assert yard.column("select id from production.copied order by 1") == [1, 2]
    assert yard.column("select id from production.built") == [2]
    assert who_may_read(yard, "copied") == ["auditor"]
    assert yard.column("select tablename from pg_publication_tables order by 1") == ["built", "copied"]


def test_config_decides_for_the_privileges_that_it_names_or_named(yard: Yard) -> None:
    yard.execute(
        "grant select on production.granted to auditor",
        "grant insert on production.granted to auditor",
        "create policy by_hand on production.hooked using (id > 2)",
    )
    changed(yard, "granted", edition=3)
    assert yard.promote("granted").outcome is PromotionOutcome.PROMOTED
    assert who_may_read(yard, "granted") == ["analyst", "clerk"]
    assert yard.value("select has_table_privilege('auditor', 'production.granted', 'insert')")
    yard.write("models/granted.sql", MODEL.format(4))
    changed(yard, "hooked", edition=3)
    assert yard.promote("granted", "hooked").outcome is PromotionOutcome.PROMOTED
    assert who_may_read(yard, "granted") == ["analyst"]
    assert yard.column("select policyname from pg_policies where tablename = 'hooked'") == ["own"]


@pytest.mark.parametrize(
    ("by_hand", "undo", "told"),
    [
        (
            "create rule drops as on delete to production.copied do instead nothing",
            "drop rule drops on production.copied",
            "rule drops",
        ),
        (
            """create unique index one_id on production.built (id);
            alter table production.built alter id set not null, replica identity using index one_id""",
            "drop index production.one_id",
            "replica identity",
        ),
        (
            "create table production.above (id int, note text); alter table production.built inherit production.above",
            "drop table production.above cascade",
            "parent production.above",
        ),
    ],
)
def test_what_cannot_be_carried_over_stops_a_promotion(yard: Yard, by_hand: str, undo: str, told: str) -> None:
    yard.execute(by_hand)
    changed(yard, "copied", "built", edition=9)
    refused = yard.promote("copied", "built", **FORWARD)  # type: ignore[arg-type] - any field
    yard.execute(undo)
    assert refused.outcome is PromotionOutcome.REFUSED, refused.words
    (verdict,) = [verdict for _, verdict in refused.plan.refusals]
    assert verdict.code in {"not_carried", "not_copied"}
    assert told in verdict.reason
