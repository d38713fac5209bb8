"""Marks in the warehouse: who may publish there, and what was published already.

A small table beside the models, `dbt_promotion_marks`, holds one line for the newest holder of the lock and one for
each model of a promotion. A model's line is written by a post-hook, so in the model's own transaction: it is there if
and only if the model is. A pre-hook reads the newest epoch, and breaks the build of whoever is not it. On PostgreSQL a
new holder waits for those that are in the middle of a model, so that nothing of theirs comes after him.

All of it is put into the parse that dbt is handed, and not into the project.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtError, LockLostError
from airflow_dbt_promotion.core.identity import ModelId, digest_of
from airflow_dbt_promotion.core.orders import Mark, Published
from airflow_dbt_promotion.dbt.installing import with_macros
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtOutcome, Operation

TABLE = "dbt_promotion_marks"
SHUT_OUT = "a newer attempt has the lock of this environment; this one may not publish"

MACROS = {
    # Before a macro runs, dbt commits by a statement of its own. psycopg2, which was not told, takes a transaction for
    # open from then on, and begins none.
    "dbt_promotion_transaction": """{% macro dbt_promotion_transaction() -%}
  {%- if target.type == 'postgres' -%}
    {%- call statement('begin', auto_begin=True) -%}begin{%- endcall -%}
  {%- endif -%}
{%- endmacro %}""",
    "dbt_promotion_marks": """{% macro dbt_promotion_marks() -%}
  {{ return(api.Relation.create(
    database=target.database, schema=target.schema, identifier='dbt_promotion_marks', type='table'
  )) }}
{%- endmacro %}""",
    "dbt_promotion_share": """{% macro dbt_promotion_share(lineage) -%}
  {%- if target.type == 'postgres' -%}
    select pg_advisory_xact_lock_shared(hashtext('dbt_promotion_marks'), hashtext('{{ lineage }}'))
  {%- endif -%}
{%- endmacro %}""",
    "dbt_promotion_newest": """{% macro dbt_promotion_newest(lineage) -%}
  {%- set found = run_query(
    "select max(epoch) as epoch from " ~ dbt_promotion_marks() ~ " where node = '' and lineage = '" ~ lineage ~ "'"
  ) -%}
  {{ return(found.columns[0].values()[0] | default(0, true) | int) }}
{%- endmacro %}""",
    "dbt_promotion_fence": """{% macro dbt_promotion_fence(lineage, epoch) -%}
  {%- if execute and dbt_promotion_newest(lineage) > epoch -%}
    {{ exceptions.raise_compiler_error("SHUT_OUT") }}
  {%- endif -%}
{%- endmacro %}""".replace("SHUT_OUT", SHUT_OUT),
    "dbt_promotion_mark": """{% macro dbt_promotion_mark(environment, lineage, epoch, plan_id, node) -%}
  insert into {{ dbt_promotion_marks() }} (environment, lineage, epoch, plan_id, node, invocation_id, marked_at)
  values ('{{ environment }}', '{{ lineage }}', {{ epoch }}, '{{ plan_id }}', '{{ node }}', '{{ invocation_id }}',
    '{{ modules.datetime.datetime.now(modules.pytz.utc).isoformat() }}')
{%- endmacro %}""",
    "dbt_promotion_begin": """{% macro dbt_promotion_begin(environment, lineage, epoch, earlier) -%}
  {%- set others = (earlier or [-1]) | join(', ') -%}
  {%- set marks = dbt_promotion_marks() -%}
  {%- if not adapter.check_schema_exists(marks.database, marks.schema) -%}
    {%- do adapter.create_schema(api.Relation.create(database=marks.database, schema=marks.schema)) -%}
  {%- endif -%}
  {%- call statement('create', auto_begin=True) -%}
    create table if not exists {{ marks }} (
      environment {{ dbt.type_string() }}, lineage {{ dbt.type_string() }}, epoch {{ dbt.type_bigint() }},
      plan_id {{ dbt.type_string() }}, node {{ dbt.type_string() }}, invocation_id {{ dbt.type_string() }},
      marked_at {{ dbt.type_string() }}
    )
  {%- endcall -%}
  {%- do adapter.commit() -%}
  {{ dbt_promotion_transaction() }}
  {%- if target.type == 'postgres' -%}
    {%- call statement('wait', auto_begin=True) -%}
      select pg_advisory_xact_lock(hashtext('dbt_promotion_marks'), hashtext('{{ lineage }}'))
    {%- endcall -%}
  {%- endif -%}
  {%- set newest = dbt_promotion_newest(lineage) -%}
  {%- if newest > epoch -%}
    {%- if target.type == 'postgres' -%}{%- do adapter.commit() -%}{%- endif -%}
    {{ print(tojson({'newest': newest, 'published': []})) }}
  {%- else -%}
    {%- call statement('tidy', auto_begin=True) -%}
      delete from {{ marks }} where lineage = '{{ lineage }}' and epoch < {{ epoch }}
      and (node = '' or epoch not in ({{ others }}))
    {%- endcall -%}
    {%- call statement('fence', auto_begin=True) -%}
      {{ dbt_promotion_mark(environment, lineage, epoch, '', '') }}
    {%- endcall -%}
    {%- do adapter.commit() -%}
    {%- set found = [] -%}
    {%- for row in run_query(
      "select node, invocation_id, marked_at from " ~ marks ~ " where node <> '' and lineage = '" ~ lineage
      ~ "' and epoch in (" ~ others ~ ")"
    ).rows -%}
      {%- do found.append([row[0], row[1], row[2]]) -%}
    {%- endfor -%}
    {{ print(tojson({'newest': newest, 'published': found})) }}
  {%- endif -%}
{%- endmacro %}""",
}
"""Everything that is asked of a warehouse, in the SQL that all of them have."""

_PLAIN = re.compile(r"[0-9A-Za-z-]{1,64}")

_Sections = dict[str, Raw]
_entries = msgspec.msgpack.Decoder(_Sections)
_any = msgspec.msgpack.Decoder(dict[str, object])
_encode = msgspec.msgpack.Encoder().encode


class _Begun(Struct, frozen=True):
    """What `dbt_promotion_begin` prints."""

    newest: int
    published: list[tuple[str, str, datetime]]


def marked(parse: bytes, project: str, environment: Environment, mark: Mark, models: Collection[str]) -> bytes:
    """Return a kept parse in which these models check the mark before they are built, and leave it afterwards.

    `project` is the name of the root project. A node of a kind that has no hooks is left as it is. Raises DbtError for
    what is no parse.
    """
    try:
        whole: dict[str, object] = dict(_entries.decode(parse))
        nodes: dict[str, object] = dict(_entries.decode(whole["nodes"]))  # type: ignore[arg-type]
        for model in models:
            if model in nodes:
                nodes[model] = _hooked(nodes[model], environment, mark, model)
    except (KeyError, msgspec.MsgspecError) as error:
        raise DbtError("the parse of the project cannot be read", [f"{type(error).__name__}: {error}"]) from error
    return with_macros(_encode({**whole, "nodes": nodes}), project, MACROS)


def begin_invocation(environment: Environment, target: str, mark: Mark) -> DbtInvocation:
    """Return what shuts older epochs out, and prints what was published."""
    arguments = {
        "environment": environment.name,
        "lineage": plain(mark.lineage),
        "epoch": mark.epoch,
        "earlier": list(mark.earlier),
    }
    operation = Operation(name="dbt_promotion_begin", arguments=arguments)
    return DbtInvocation(command=DbtCommand.RUN_OPERATION, target=target, vars=environment.vars, operation=operation)


def read_begun(outcome: DbtOutcome, environment: Environment, mark: Mark) -> Mapping[ModelId, Published]:
    """Return what was published by earlier attempts. Raises DbtError, LockLostError."""
    if not outcome.success:
        raise DbtError(
            f"the warehouse of {environment.name} does not take the marks of a promotion (table {TABLE} in the "
            f"target's schema); let whoever builds there create and write it, or do without: `marks: false` for this "
            f"environment in promotion.yml",
            outcome.messages,
        )
    for line in reversed(outcome.printed):
        try:
            found = msgspec.json.decode(line, type=_Begun)
        except msgspec.MsgspecError:
            continue  # a macro of the project printed something
        if found.newest > mark.epoch:
            raise LockLostError(environment.name, f"a newer attempt (epoch {found.newest} after {mark.epoch})")
        ordered = sorted(found.published, key=lambda row: row[2])
        return {ModelId(node): Published(invocation_id=invocation, at=at) for node, invocation, at in ordered}
    raise DbtError(f"dbt did not say what was published in {environment.name} already", outcome.messages)


def _hooked(entry: object, environment: Environment, mark: Mark, model: str) -> object:
    """Return a node with our hooks around its own."""
    fields: dict[str, object] = dict(_entries.decode(entry))  # type: ignore[arg-type]
    config = _any.decode(fields["config"])  # type: ignore[arg-type]
    before, after = config.get("pre-hook"), config.get("post-hook")
    if not isinstance(before, list) or not isinstance(after, list):
        return entry
    lineage = plain(mark.lineage)
    share = f"{{{{ dbt_promotion_share('{lineage}') }}}}"
    fence = f"{{{{ dbt_promotion_fence('{lineage}', {mark.epoch}) }}}}"
    config["pre-hook"] = [_hook(share), _hook(fence), *before]
    if mark.plan_id is not None:
        told = f"'{environment.name}', '{lineage}', {mark.epoch}, '{mark.plan_id}', '{model}'"
        config["post-hook"] = [*after, _hook(f"{{{{ dbt_promotion_mark({told}) }}}}")]
    return {**fields, "config": config}


def plain(lineage: str) -> str:
    """Return a lineage as it may stand in SQL: a UUID does, anything else by its digest."""
    return lineage if _PLAIN.fullmatch(lineage) else digest_of(lineage)


def _hook(sql: str) -> dict[str, object]:
    return {"sql": sql, "transaction": True, "index": None}
