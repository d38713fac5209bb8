"""Statements of PostgreSQL that take their locks without ever being in the way for long."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_dbt_promotion.dbt.publish.dialect import LOST, literal

PATIENCE_SECONDS = 60
"""How long it is tried to get all locks at once."""

AGAIN = "create or replace view"
_TAG = "$promotion_{}$"


def patiently(statements: Iterable[str]) -> str:
    """Return one statement that carries out all of these, or, as long as readers are in the way, none of them."""
    listed = ",\n      ".join(_in_dollars(statement) for statement in statements)
    body = f"""
declare
  statement text;
  began timestamptz := clock_timestamp();
  tried timestamptz;
  patience int := (select setting::int / 2 from pg_settings where name = 'deadlock_timeout');
begin
  loop
    tried := clock_timestamp();
    begin
      foreach statement in array array[
      {listed}
      ]::text[] loop
        perform set_config('lock_timeout', greatest(
          patience - (extract(epoch from clock_timestamp() - tried) * 1000)::int, 20)::text || 'ms', true);
        execute statement;
      end loop;
      exit;
    exception when lock_not_available or deadlock_detected then
      if clock_timestamp() - began > interval '{PATIENCE_SECONDS} seconds' then
        raise exception 'readers held what was to be swapped for {PATIENCE_SECONDS} seconds: %', sqlerrm;
      end if;
      perform pg_sleep(0.05 + random() / 5);
    when others then
      if statement like '{AGAIN}%' then
        raise exception '{LOST}: %', sqlerrm;
      end if;
      raise;
    end;
  end loop;
  perform set_config('lock_timeout', '0', true);
end
"""
    tag = _tag(body)
    return f"do {tag}{body}{tag}"


def stopping_unless(query: str, expected: str, problem: str) -> str:
    """Return the statement that raises a problem where the one text of a query is not what is expected."""
    body = f"""
begin
  if ({query}) is distinct from {literal(expected)} then
    raise exception using message = {literal(problem)};
  end if;
end
"""
    return f"do {_in_dollars(body)}"


def locking(word: str, relation: str) -> str:
    """Return the statement that locks a view, or a materialized one, as a rename does, and nothing that it reads.

    `lock table` would lock what a view reads, too, and takes no materialized view. To give it the owner that it has
    changes nothing.
    """
    owner = f"select quote_ident(pg_get_userbyid(relowner)) from pg_class where oid = {literal(relation)}::regclass"
    body = f"""
begin
  execute {literal(f"alter {word} {relation} owner to ")} || ({owner});
end
"""
    return f"do {_in_dollars(body)}"


def _in_dollars(text: str) -> str:
    """Return a text between signs that are not in it."""
    tag = _tag(text)
    return f"{tag}{text}{tag}"


def _tag(text: str) -> str:
    """Return a sign that is not in a text."""
    number = 0
    while _TAG.format(number) in text:
        number += 1
    return _TAG.format(number)
