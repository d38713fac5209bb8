"""Edits of code: bodies, comments, white space, in-file config, Python, macros, materializations, hooks."""

# ruff: noqa: E501 - the edits stand here as a table

from __future__ import annotations

from typing import Any

from tests.dbt.mutations.islands import Edit

A, B, C, YML = "models/@/@_a.sql", "models/@/@_b.sql", "models/@/@_c.sql", "models/@/@.yml"
MACROS = "macros/@.sql"
BOTH = "a:modified b:indirect"
CALLS = "select {{ @_outer() }} as id, 2 as amount"
ENDINGS = "line endings are no difference"
UNREACHED = "the macro is reached by text alone, or on a branch that dbt did not render"
DBTS = "dbt does not ask which macro builds a model"


def body(what: str, before: str, after: str, moves: str = BOTH, **more: Any) -> Edit:
    """Return an edit of a's body."""
    return Edit(what=what, moves=moves, files={A: (before, after)}, **more)


def macro(what: str, before: str, after: str, moves: str = BOTH, calls: str = CALLS, **more: Any) -> Edit:
    """Return an edit of a macro."""
    return Edit(what=what, moves=moves, files={A: calls, MACROS: (before, after)}, **more)


BODIES = (
    body("the body of a model", "select 1 as id", "select 2 as id"),
    Edit(what="the body of a last model", moves="b:modified", files={B: ("select 1", "select 2")}),
    body("a comment", "select 1 as id", "select 1 as id -- one"),
    body("a comment of Jinja", "select 1 as id", "select 1 as id {# one #}"),
    body("white space in a text", "select 'a b' as id", "select 'a  b' as id"),
    body("white space between words", "select 1 as id", "select  1 as id"),
    body("a tab for a space", "select 1 as id", "select\t1 as id"),
    body("a line break for a space", "select 1 as id", "select 1\nas id"),
    body("a line break in a text", "select 'a b' as id", "select 'a\nb' as id"),
    body("white space in a quoted name", 'select 1 as "a b"', 'select 1 as "a  b"'),
    body("white space in a text of Jinja", "select {{ 'a b' | length }} as id", "select {{ 'a  b' | length }} as id"),
    body("white space at the end of a file", "select 1 as id", "select 1 as id\n\n", ""),
    body("white space at the start of a file", "select 1 as id", "\n\nselect 1 as id", ""),
    body("line endings of Windows", "select 1\nas id", "select 1\r\nas id", "", short=ENDINGS),
    body("a letter's case", "select 1 as id", "SELECT 1 as id"),
    body("a letter's case in a text", "select 'a' as id", "select 'A' as id"),
    body("a letter of another alphabet", "select 'a' as id", "select 'а' as id"),  # noqa: RUF001 - that is the edit
    Edit(
        what="a parent more",
        moves="b:modified",
        files={
            B: ("select * from {{ ref('@_a') }}", "select * from {{ ref('@_a') }}, {{ ref('@_c') }}"),
            C: "select 1",
        },
    ),
    Edit(
        what="another parent",
        moves="b:modified",
        files={B: ("select * from {{ ref('@_a') }}", "select * from {{ ref('@_c') }}"), C: "select 1"},
    ),
    Edit(
        what="a parent that is named with its package",
        moves="b:modified",
        files={B: ("select * from {{ ref('@_a') }}", "select * from {{ ref('~shop', '@_a') }}")},
    ),
    Edit(
        what="a parent in a comment that dbt reads",
        moves="b:modified",
        files={B: ("select 1", "select 1\n-- depends_on: {{ ref('@_a') }}")},
    ),
    Edit(what="a new model", moves="c:added", files={C: (None, "select * from {{ ref('@_a') }}")}),
    Edit(what="a model that is gone", moves="c:removed", files={C: ("select 1", None)}),
    Edit(
        what="another name",
        moves="c:removed d:added",
        files={C: ("select 1", None), "models/@/@_d.sql": (None, "select 1")},
    ),
    Edit(
        what="the body of an ephemeral model",
        moves="b:indirect",
        files={
            A: ("{{ config(materialized='ephemeral') }} select 1", "{{ config(materialized='ephemeral') }} select 2")
        },
    ),
    Edit(
        what="the body below two ephemeral models",
        moves="a:modified d:indirect",
        files={
            A: ("select 1 as id", "select 2 as id"),
            B: "{{ config(materialized='ephemeral') }} select * from {{ ref('@_a') }}",
            C: "{{ config(materialized='ephemeral') }} select * from {{ ref('@_b') }}",
            "models/@/@_d.sql": "select * from {{ ref('@_c') }}",
        },
    ),
    Edit(
        what="a model that is ephemeral from now on",
        moves="a:removed b:indirect",
        files={A: ("select 1", "{{ config(materialized='ephemeral') }} select 1")},
    ),
    Edit(
        what="two edits that are one after the other",
        moves="a:modified b:modified",
        files={A: ("select 1", "select 2"), B: ("select * from {{ ref('@_a') }}", "select id from {{ ref('@_a') }}")},
    ),
    Edit(
        what="a file in another folder",
        moves="",
        files={C: ("select 1", None), "models/@/deep/@_c.sql": (None, "select 1")},
        short="the same code",
    ),
    Edit(
        what="a file in a folder whose config says something else",
        moves="c:modified",
        files={C: ("select 1", None), "models/@/deep/@_c.sql": (None, "select 1")},
        project={"models": {"~shop": {"@": {"deep": {"+materialized": "table"}}}}},
    ),
    body("in-file config", "{{ config(materialized='view') }} select 1", "{{ config(materialized='table') }} select 1"),
    body("in-file config more", "select 1", "{{ config(full_refresh=false) }} select 1"),
    body("in-file tags", "{{ config(tags=['x']) }} select 1", "{{ config(tags=['y']) }} select 1"),
    body("in-file meta", "{{ config(meta={'x': 1}) }} select 1", "{{ config(meta={'x': 2}) }} select 1"),
    body("in-file hooks", "{{ config(pre_hook='select 1') }} select 1", "{{ config(pre_hook='select 2') }} select 1"),
    body("an in-file alias", "{{ config(alias='@_x') }} select 1", "{{ config(alias='@_y') }} select 1"),
    body("the order of in-file config", "{{ config(a=1, b=2) }} select 1", "{{ config(b=2, a=1) }} select 1"),
)

PY = "models/@/@_p.py"
_PY = "def model(dbt, session):\n    dbt.config(materialized='table'{more})\n    return {result}\n"


def python(what: str, before: str, after: str, moves: str = "p:modified", yml: object = None, **more: Any) -> Edit:
    """Return an edit of a Python model."""
    files: dict[str, object] = {PY: (before, after)}
    if yml is not None:
        files[YML] = yml
    return Edit(what=what, moves=moves, files=files, **more)  # type: ignore[arg-type] - YAML as it is given


_P = "models:\n  - name: @_p\n    "
PYTHON = (
    python("the body of a Python model", _PY.format(more="", result="1"), _PY.format(more="", result="2")),
    python("a comment of Python", _PY.format(more="", result="1"), _PY.format(more="", result="1  # one")),
    python("a function of a Python model", "def f():\n    return 1\n\n\n" + _PY.format(more="", result="f()"),
           "def f():\n    return 2\n\n\n" + _PY.format(more="", result="f()")),
    python("the parent of a Python model", _PY.format(more="", result="dbt.ref('@_a')"), _PY.format(more="", result="dbt.ref('@_b')")),
    python("packages of a Python model", _PY.format(more=", packages=['numpy==1']", result="1"),
           _PY.format(more=", packages=['numpy==2']", result="1")),
    python("line endings of a Python model", _PY.format(more="", result="1"), _PY.format(more="", result="1").replace("\n", "\r\n"), "",
           short=ENDINGS),
    Edit(what="packages of a Python model in YAML", moves="p:modified",
         files={PY: _PY.format(more="", result="1"), YML: (_P + "config: {packages: [numpy==1]}", _P + "config: {packages: [numpy==2]}")}),
    Edit(what="config that a Python model reads", moves="p:modified",
         files={PY: _PY.format(more="", result="dbt.config.get('limit')"), YML: (_P + "config: {limit: 1}", _P + "config: {limit: 2}")}),
    Edit(what="meta that a Python model reads", moves="p:modified",
         files={PY: _PY.format(more="", result="dbt.config.get('meta')"), YML: (_P + "config: {meta: {x: 1}}", _P + "config: {meta: {x: 2}}")}),
    Edit(what="a key of meta that a Python model reads", moves="p:modified",
         files={PY: _PY.format(more="", result="dbt.config.meta_get('x')"), YML: (_P + "config: {meta: {x: 1}}", _P + "config: {meta: {x: 2}}")}),
    Edit(what="tags that no Python reads", moves="p:meta", short="nothing else is built",
         files={PY: _PY.format(more="", result="1"), YML: (_P + "config: {meta: {x: 1}}", _P + "config: {meta: {x: 2}}")}),
    Edit(what="the parent of a Python model is edited", moves="a:modified b:indirect p:indirect",
         files={PY: _PY.format(more="", result="dbt.ref('@_a')"), A: ("select 1", "select 2")}),
)  # fmt: skip


def one(name: str, inner: str, arguments: str = "") -> str:
    """Return a macro."""
    return "{% macro " + f"{name}({arguments})" + " %}" + inner + "{% endmacro %}\n"


_DEEP = one("@_outer", "{{ @_middle() }}") + one("@_middle", "{{ @_inner() }}")
_STRATEGY = "{{ config(materialized='incremental', incremental_strategy='@', unique_key='id') }} select 1 as id"
_OWN = "{{ config(materialized='@_kind') }} select 1 as id"


def kind(inner: str, adapter: str = "default") -> str:
    """Return a materialization."""
    adapter = adapter if adapter == "default" else f"adapter='{adapter}'"
    return (
        "{% materialization @_kind, " + adapter + " %}{% call statement('main') %}" + inner + "{% endcall %}"
        "{{ return({'relations': []}) }}{% endmaterialization %}\n"
    )


MACROS_EDITED = (
    macro("a macro", one("@_outer", "1"), one("@_outer", "2")),
    macro("a macro of a macro", _DEEP + one("@_inner", "1"), _DEEP + one("@_inner", "2")),
    macro("white space in a text of a macro", one("@_outer", "'a b'"), one("@_outer", "'a  b'")),
    macro("white space between the words of a macro", one("@_outer", "1 + 1"), one("@_outer", "1  +  1")),
    macro("a comment in a macro", one("@_outer", "1"), one("@_outer", "1 {# one #}")),
    macro("a comment beside a macro", one("@_outer", "1"), "{# one #}\n" + one("@_outer", "1"), ""),
    macro("line endings of a macro", one("@_outer", "1\n+ 1"), one("@_outer", "1\r\n+ 1"), "", short=ENDINGS),
    macro("a default of a macro's argument", one("@_outer", "{{ x }}", "x=1"), one("@_outer", "{{ x }}", "x=2")),
    macro("a macro that nobody calls", one("@_outer", "1"), one("@_outer", "1") + one("@_other", "1"), ""),
    macro("a macro that is called with its package", one("@_outer", "1"), one("@_outer", "2"),
          calls="select {{ ~shop.@_outer() }} as id"),
    macro("a macro in a branch", one("@_outer", "1"), one("@_outer", "2"), beyond=UNREACHED,
          calls="select 1 {% if target.name == 'prod' %}{{ @_outer() }}{% endif %} as id"),
    macro("a macro in a branch of an incremental model", one("@_outer", "1"), one("@_outer", "2"), beyond=UNREACHED,
          calls="{{ config(materialized='incremental') }} select 1 as id {% if is_incremental() %}where {{ @_outer() }}{% endif %}"),
    macro("a macro by its name as text", one("@_outer", "1"), one("@_outer", "2"),
          calls="select {{ context['@_outer']() }} as id"),
    macro("a macro that is called by `call`", one("@_outer", "{{ caller() }} + 1"), one("@_outer", "{{ caller() }} + 2"),
          calls="select {% call @_outer() %}1{% endcall %} as id"),
    macro("a macro in `set`", one("@_outer", "1"), one("@_outer", "2"), calls="{% set x = @_outer() %} select {{ x }} as id"),
    macro("a macro in in-file config", one("@_outer", "view"), one("@_outer", "table"),
          calls="{{ config(materialized=@_outer()) }} select 1 as id"),
    macro("a macro in a hook of a model", one("@_outer", "select 1"), one("@_outer", "select 2"),
          calls='{{ config(post_hook="{{ @_outer() }}") }} select 1 as id'),
    macro("the macro of a dispatch", one("@_outer", "{{ return(adapter.dispatch('@_x')()) }}") + one("default__@_x", "1"),
          one("@_outer", "{{ return(adapter.dispatch('@_x')()) }}") + one("default__@_x", "2")),
    macro("a dispatched macro of another adapter", beyond=UNREACHED, before=
          one("@_outer", "{{ return(adapter.dispatch('@_x')()) }}") + one("default__@_x", "1") + one("postgres__@_x", "1"), after=
          one("@_outer", "{{ return(adapter.dispatch('@_x')()) }}") + one("default__@_x", "1") + one("postgres__@_x", "2")),
    macro("a macro that comes before another in a dispatch",
          one("@_outer", "{{ return(adapter.dispatch('@_x')()) }}") + one("default__@_x", "1"),
          one("@_outer", "{{ return(adapter.dispatch('@_x')()) }}") + one("default__@_x", "1") + one("duckdb__@_x", "1")),
    macro("the macro of a materialization that is used", kind("select 1"), kind("select 2"), calls=_OWN, beyond=DBTS),
    macro("a macro that a materialization calls", kind("{{ @_outer() }}") + one("@_outer", "select 1"),
          kind("{{ @_outer() }}") + one("@_outer", "select 2"), calls=_OWN, beyond=DBTS),
    macro("a materialization that nobody uses", kind("select 1"), kind("select 2"), "", calls="select 1 as id"),
    macro("a materialization for one adapter", kind("select 1", "duckdb"), kind("select 2", "duckdb"), calls=_OWN, beyond=DBTS),
    macro("a strategy of incremental models", one("get_incremental_@_sql", "select 1", "arg_dict"),
          one("get_incremental_@_sql", "select 2", "arg_dict"), calls=_STRATEGY, beyond=DBTS, wide=True),
    macro("the first of a macro's two definitions", one("@_outer", "{{ @_inner(1) }}") + one("@_inner", "{{ x }}", "x"),
          one("@_outer", "{{ @_inner(2) }}") + one("@_inner", "{{ x }}", "x")),
    Edit(what="a macro in another file", moves="",
         files={A: CALLS, MACROS: (one("@_outer", "1"), None), "macros/deep/@.sql": (None, one("@_outer", "1"))}),
    Edit(what="what is said of a macro", moves="",
         files={A: CALLS, MACROS: one("@_outer", "1"), "macros/@.yml": (None, "macros: [{name: @_outer, description: One}]")}),
    Edit(what="a macro in YAML config", moves=BOTH,
         files={MACROS: (one("@_outer", "select 1"), one("@_outer", "select 2")),
                YML: 'models: [{name: @_a, config: {post-hook: "{% raw %}{{ @_outer() }}{% endraw %}"}}]'}),
    Edit(what="a macro in a folder's config", moves="a:modified b:modified",
         files={MACROS: (one("@_outer", "select 1"), one("@_outer", "select 2"))},
         project={"models": {"~shop": {"@": {"+pre-hook": "{{ @_outer() }}"}}}}),
    Edit(what="a materialization that YAML names", moves=BOTH, beyond=DBTS,
         files={MACROS: (kind("select 1"), kind("select 2")), YML: "models: [{name: @_a, config: {materialized: @_kind}}]"}),
    Edit(what="a materialization that a folder names", moves="a:modified b:modified", beyond=DBTS,
         files={MACROS: (kind("select 1"), kind("select 2"))}, project={"models": {"~shop": {"@": {"+materialized": "@_kind"}}}}),
    Edit(what="a strategy that YAML names", moves=BOTH, beyond=DBTS, wide=True,
         files={MACROS: (one("get_incremental_@_sql", "select 1", "arg_dict"), one("get_incremental_@_sql", "select 2", "arg_dict")),
                YML: "models: [{name: @_a, config: {materialized: incremental, incremental_strategy: @}}]"}),
)  # fmt: skip

EDITS = (*BODIES, *PYTHON, *MACROS_EDITED)
