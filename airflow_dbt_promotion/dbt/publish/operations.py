"""What is asked of a warehouse, and done there, in a macro of its own: dbt connects, with the user's profile.

What a macro has to do is written into it, as a text that no template engine looks into: it can be long, and dbt's
command line has an end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.orders import Mark
from airflow_dbt_promotion.dbt.installing import macros_alone
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtOutcome, Operation
from airflow_dbt_promotion.dbt.marks import MACROS as MARKS
from airflow_dbt_promotion.dbt.marks import plain
from airflow_dbt_promotion.dbt.publish.catalog_digest import DIGESTS, digest_of_rows
from airflow_dbt_promotion.dbt.publish.dialect import Answers, Step, literal

_SCRIPT = "dbt_promotion_script"

_MACROS = {
    "dbt_promotion_ask": """{% macro dbt_promotion_ask() -%}
  {{ print(tojson({'asked': 'target', 'rows': [tojson([target.database, target.schema])]})) }}
  {%- for name, query in dbt_promotion_script().items() -%}
    {%- set found, within = [], name.split('|') -%}
    {%- if within | length == 1 or adapter.check_schema_exists(within[1], within[2]) -%}
      {%- for row in run_query(query).rows -%}{%- do found.append(row[0]) -%}{%- endfor -%}
    {%- endif -%}
    {{ print(tojson({'asked': within[0], 'rows': found})) }}
  {%- endfor -%}
{%- endmacro %}""",
    "dbt_promotion_do": """{% macro dbt_promotion_do() -%}
  {%- set script = dbt_promotion_script() -%}
  {%- for step in script.steps -%}
    {{ dbt_promotion_transaction() }}
    {%- if script.lineage -%}
      {%- if target.type == 'postgres' -%}
        {%- call statement('share', auto_begin=True) -%}{{ dbt_promotion_share(script.lineage) }}{%- endcall -%}
      {%- endif -%}
      {%- do dbt_promotion_fence(script.lineage, script.epoch) -%}
    {%- endif -%}
    {%- set marking -%}
      insert into {{ dbt_promotion_marks() }} (environment, lineage, epoch, plan_id, node, invocation_id, marked_at)
      values {{ step.marks }}
    {%- endset -%}
    {%- set marking = [marking] if step.marks else [] -%}
    {#- On PostgreSQL readers wait for a swap until it is committed, so whatever can be done before it is. -#}
    {%- set statements = marking + step.statements if target.type == 'postgres' else step.statements + marking -%}
    {%- set answer = '' -%}
    {%- if script.whole -%}
      {%- call statement('step', auto_begin=False) -%}
        {{ (['begin'] + statements + ['commit']) | join(';\n') }}
      {%- endcall -%}
    {%- else -%}
      {%- for sql in statements -%}
        {%- call statement('step', auto_begin=True) -%}{{ sql }}{%- endcall -%}
      {%- endfor -%}
      {%- if step.question -%}{%- set answer = run_query(step.question).columns[0].values()[0] -%}{%- endif -%}
      {%- do adapter.commit() -%}
    {%- endif -%}
    {%- set now = modules.datetime.datetime.now(modules.pytz.utc).isoformat() -%}
    {{ print(tojson({'done': step.models, 'answer': answer, 'at': now})) }}
  {%- endfor -%}
{%- endmacro %}""",
}


class _Asked(Struct, frozen=True):
    """What one question came to."""

    asked: str
    rows: list[str]


class Done(Struct, frozen=True):
    """A step that was taken: the models that it is about, since when, and the answer to the question of the step."""

    done: list[ModelId]
    at: datetime
    answer: str = ""


class Told(Struct, frozen=True, kw_only=True):
    """What is told of the models that a step publishes: by which invocation they were built, and when it is told."""

    environment: Environment
    mark: Mark
    invocation_id: str
    at: datetime


def asking(parse: bytes, project: str, questions: Mapping[str, str]) -> bytes:
    """Return the parse with which `ask` asks these questions."""
    return macros_alone(parse, project, {**MARKS, **_MACROS, _SCRIPT: _script(dict(questions))})


def doing(parse: bytes, project: str, steps: Iterable[Step], told: Told | None, *, whole: bool = False) -> bytes:
    """Return the parse with which `do` takes these steps, each in a transaction of its own where there are any.

    `told` shuts older holders of the lock out, and leaves a mark of each model in the step that publishes it. A step
    that is sent as a `whole` begins and commits itself. Where dbt's adapter knows no transactions (Snowflake, BigQuery,
    Databricks), what it begins and commits is nothing.
    """
    said: list[dict[str, object]] = [
        {
            "models": step.models,
            "statements": step.statements,
            "question": step.question,
            "marks": _marks(step.models, told) if told is not None else "",
        }
        for step in steps
    ]
    fence = {"lineage": plain(told.mark.lineage), "epoch": told.mark.epoch} if told is not None else {}
    script = {"lineage": "", "epoch": 0, **fence, "whole": whole, "steps": said}
    return macros_alone(parse, project, {**MARKS, **_MACROS, _SCRIPT: _script(script)})


def ask(environment: Environment, target: str) -> DbtInvocation:
    """Return the invocation that asks."""
    return _invocation("dbt_promotion_ask", environment, target)


def do(environment: Environment, target: str) -> DbtInvocation:
    """Return the invocation that acts."""
    return _invocation("dbt_promotion_do", environment, target)


def answered(outcome: DbtOutcome, environment: Environment) -> Answers:
    """Return the answers, by question. Raises DbtError where the catalog does not tell."""
    if not outcome.success:
        raise DbtError(f"the warehouse of {environment.name} does not tell what is in it", outcome.messages)
    answers: dict[str, list[Sequence[str | None]]] = {}
    for line in outcome.printed:
        try:
            found = msgspec.json.decode(line, type=_Asked)
        except msgspec.MsgspecError:
            continue  # a macro of the project printed something
        try:
            rows = [msgspec.json.decode(row, type=list[str | None]) for row in found.rows]
        except msgspec.MsgspecError as error:
            told = f"the warehouse of {environment.name} says something of its {found.asked} that cannot be read"
            raise DbtError(told, [str(error)]) from error
        answers.setdefault(found.asked, []).extend(rows)
        answers.setdefault(DIGESTS, []).append([found.asked, digest_of_rows(found.rows)])
    return answers


def done(outcome: DbtOutcome) -> Iterator[Done]:
    """Yield the steps that were taken."""
    for line in outcome.printed:
        try:
            yield msgspec.json.decode(line, type=Done)
        except msgspec.MsgspecError:
            continue


def _invocation(macro: str, environment: Environment, target: str) -> DbtInvocation:
    """Return the invocation of a macro of ours."""
    operation = Operation(name=macro, arguments={})
    return DbtInvocation(command=DbtCommand.RUN_OPERATION, target=target, vars=environment.vars, operation=operation)


def _marks(models: Iterable[ModelId], told: Told) -> str:
    """Return the rows of the marks that say of models that they are published."""
    mark = told.mark
    plan, lineage, at = literal(mark.plan_id or ""), literal(plain(mark.lineage)), literal(told.at.isoformat())
    head = f"{literal(told.environment.name)}, {lineage}, {mark.epoch}, {plan}"
    return ", ".join(f"({head}, {literal(model)}, {literal(told.invocation_id)}, {at})" for model in models)


def _script(value: object) -> str:
    """Return a macro that returns a value; nothing in it is taken for a template."""
    text = json.dumps(value, ensure_ascii=True).replace("\\", "\\\\").replace('"', '\\"')
    return f'{{% macro {_SCRIPT}() -%}}{{{{ return(fromjson("{text}")) }}}}{{%- endmacro %}}'
