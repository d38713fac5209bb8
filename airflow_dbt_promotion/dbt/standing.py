"""What stands in a warehouse: which models of a parse have their relation there, and whether we published there before.

dbt's own adapter is asked, so that this works on every warehouse that dbt works on.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.orders import Standing
from airflow_dbt_promotion.core.release import ModelKind, Release
from airflow_dbt_promotion.dbt.desk import Desk
from airflow_dbt_promotion.dbt.installing import macros_alone
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtOutcome, Operation
from airflow_dbt_promotion.dbt.marks import MACROS as MARKS

_MACROS = {
    "dbt_promotion_standing": """{% macro dbt_promotion_standing(relations) -%}
  {%- set found = [] -%}
  {%- for model, database, schema, identifier in relations -%}
    {%- if adapter.get_relation(database=database, schema=schema, identifier=identifier) is not none -%}
      {%- do found.append(model) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- set marks = dbt_promotion_marks() -%}
  {%- set marked = adapter.get_relation(
    database=marks.database, schema=marks.schema, identifier=marks.identifier
  ) is not none -%}
  {{ print(tojson({'standing': found, 'marked': marked})) }}
{%- endmacro %}"""
}


class _Node(Struct, frozen=True):
    """Where a node lies."""

    schema: str
    alias: str = ""
    database: str | None = None

    @property
    def folder(self) -> tuple[str | None, str]:
        """Its database and schema."""
        return self.database, self.schema


class _Nodes(Struct, frozen=True):
    """The nodes of a parse, or of a manifest."""

    nodes: dict[str, _Node]
    functions: dict[str, _Node] = {}


_parses, _manifests = msgspec.msgpack.Decoder(_Nodes), msgspec.json.Decoder(_Nodes)
_Decoder = msgspec.msgpack.Decoder[_Nodes] | msgspec.json.Decoder[_Nodes]


class _Answer(Struct, frozen=True):
    """What `dbt_promotion_standing` prints."""

    standing: list[str]
    marked: bool


def standing(
    desk: Desk, project: str, environment: Environment, release: Release, manifest: bytes | None = None
) -> Standing:
    """Return which models of a release stand in an environment's warehouse.

    The desk has the environment's own parse; `manifest` is what the release is made of where that is another one. A
    model that both have has to lie in the same relation, one that only the manifest has in a schema of the
    environment's. Raises DbtError where the warehouse cannot be asked.
    """
    own = _nodes(_parses, desk.parse)
    there = own if manifest is None else _nodes(_manifests, manifest)
    asked = {model: there[model] for model in sorted(release.models) if model in there}
    if manifest is not None:
        schemas = {node.folder for model, node in own.items() if model in release.models}
        asked = {
            model: node
            for model, node in asked.items()
            if (own[model] == node if model in own else node.folder in schemas)
        }
    operation = Operation(
        name="dbt_promotion_standing",
        arguments={"relations": [[model, node.database, node.schema, node.alias] for model, node in asked.items()]},
    )
    parse = macros_alone(desk.parse, project, {**MARKS, **_MACROS})
    invocation = DbtInvocation(
        command=DbtCommand.RUN_OPERATION, target=desk.target, vars=environment.vars, operation=operation
    )
    answer = _read(desk.operate(parse, invocation), environment)
    functions = {model for model in asked if release.models[model].kind is ModelKind.FUNCTION}
    return Standing(models=frozenset(map(ModelId, answer.standing)) | functions, marked=answer.marked)


def _nodes(decoder: _Decoder, parse: bytes) -> Mapping[str, _Node]:
    """Return where the nodes of a parse lie. Raises DbtError."""
    try:
        found = decoder.decode(parse)
    except msgspec.MsgspecError as error:
        raise DbtError("the parse of the project cannot be read", [f"{type(error).__name__}: {error}"]) from error
    return {**found.nodes, **found.functions}


def _read(outcome: DbtOutcome, environment: Environment) -> _Answer:
    """Return what was printed. Raises DbtError."""
    if not outcome.success:
        problem = f"the warehouse of {environment.name} cannot be asked what stands there, so nothing is adopted"
        raise DbtError(problem, outcome.messages)
    for line in reversed(outcome.printed):
        try:
            return msgspec.json.decode(line, type=_Answer)
        except msgspec.MsgspecError:
            continue  # a macro of the project printed something
    raise DbtError(f"dbt did not say what stands in {environment.name}", outcome.messages)
