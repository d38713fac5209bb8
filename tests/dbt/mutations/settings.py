"""Edits of config, vars, columns, contracts, seeds, snapshots, tests, sources and of all that stands in YAML."""

# ruff: noqa: E501 - the edits stand here as a table

from __future__ import annotations

from typing import Any

from tests.dbt.mutations.islands import Edit, Text

A, B, C, YML = "models/@/@_a.sql", "models/@/@_b.sql", "models/@/@_c.sql", "models/@/@.yml"
MACROS = "macros/@.sql"
BOTH = "a:modified b:indirect"
VALUES = "dbt does not look at the values of vars"
SAME = "nothing else is built"
TYPES = "a macro may read the type of a column"


def yml(what: str, before: str, after: str, moves: str, files: dict[str, Any] | None = None, **more: Any) -> Edit:
    """Return an edit of what a's YAML says."""
    head = "models:\n  - name: @_a\n"
    said = tuple(head + "".join(f"    {line}\n" for line in text.splitlines()) for text in (before, after))
    return Edit(what=what, moves=moves, files={YML: said, **(files or {})}, **more)  # type: ignore[dict-item] - a pair


def config(what: str, before: str, after: str, moves: str = BOTH, **more: Any) -> Edit:
    """Return an edit of a's config in YAML."""
    return yml(what, f"config: {{{before}}}", f"config: {{{after}}}", moves, **more)


def folder(what: str, before: object, after: object, moves: str, kind: str = "models", **more: Any) -> Edit:
    """Return an edit of the config of a folder."""
    pair = ({kind: {"~shop": {"@": before}}}, {kind: {"~shop": {"@": after}}})
    return Edit(what=what, moves=moves, project=pair, **more)


CONFIG = (
    config("the materialization", "materialized: view", "materialized: table"),
    config("a key more", "materialized: table", "materialized: table, full_refresh: false"),
    config("a key that dbt does not know", "limit: 1", "limit: 2"),
    config("the key of an incremental model", "materialized: incremental, unique_key: id", "materialized: incremental, unique_key: amount"),
    config("what happens to new columns", "on_schema_change: ignore", "on_schema_change: fail"),
    config("the strategy of an incremental model", "incremental_strategy: append", "incremental_strategy: delete+insert"),
    config("a hook before", "pre-hook: select 1", "pre-hook: select 2"),
    config("a hook after", "post-hook: select 1", "post-hook: select 2"),
    config("the order of hooks", "post-hook: [select 1, select 2]", "post-hook: [select 2, select 1]"),
    config("indexes", "indexes: [{columns: [id]}]", "indexes: [{columns: [amount]}]"),
    config("a header", "sql_header: 'set a = 1;'", "sql_header: 'set a = 2;'"),
    config("white space in config", "sql_header: 'a b'", "sql_header: 'a  b'"),
    config("the time of events", "event_time: id", "event_time: amount"),
    config("whether columns are described in the warehouse", "persist_docs: {columns: false}", "persist_docs: {columns: true}"),
    config("a number that becomes a text", "limit: 1", "limit: '1'"),
    config("config that is Jinja", "limit: '{{ 1 }}'", "limit: '{{ 2 }}'"),
    config("a list's order", "partitions: [a, b]", "partitions: [b, a]"),
    config("the order of keys", "a_key: 1, b_key: 2", "b_key: 2, a_key: 1", ""),
    config("how YAML is quoted", "limit: x", 'limit: "x"', ""),
    config("that it is switched off", "enabled: true", "enabled: false", "a:removed", files={B: "select 1"}),
    config("tags", "tags: [x]", "tags: [y]", "a:meta"),
    config("meta", "meta: {x: 1}", "meta: {x: 2}", "a:meta", short=SAME),
    config("grants", "grants: {select: [x]}", "grants: {select: [y]}", "a:meta", short=SAME),
    config("a schema", "schema: x", "schema: y", "a:meta", short="it is moved, not built in another way"),
    config("an alias", "alias: '@_x'", "alias: '@_y'", "a:meta", short="it is moved, not built in another way"),
    config("docs", "docs: {show: true}", "docs: {show: false}", "a:meta", short=SAME),
    config("access", "access: protected", "access: public", "a:meta", short=SAME),
    yml("docs beside config", "docs: {show: true}", "docs: {show: false}", "a:meta", short=SAME),
    yml("access beside config", "access: protected", "access: public", "a:meta", short=SAME),
    yml("a group", "description: x", "description: x\ngroup: '@_g'", "a:meta",
        files={"models/@/g.yml": "groups: [{name: '@_g', owner: {name: Ada}}]"}),
    yml("who owns a group", "group: '@_g'", "group: '@_g' ", "",
        files={"models/@/g.yml": ("groups: [{name: '@_g', owner: {name: Ada}}]", "groups: [{name: '@_g', owner: {name: Bob}}]")}),
    yml("a comment of YAML", "description: x", "description: x  # one", ""),
    yml("a description", "description: x", "description: y", "a:meta"),
    yml("a description over several lines", "description: |\n  x\n  y", "description: |\n  x\n  z", "a:meta"),
    yml("a block of docs", "description: \"{{ doc('@_d') }}\"", "description: \"{{ doc('@_d') }}\"", "a:meta",
        files={"models/@/@.md": ("{% docs @_d %}x{% enddocs %}", "{% docs @_d %}y{% enddocs %}")}),
    yml("a description that is kept in the warehouse", "description: x\nconfig: {persist_docs: {relation: true}}",
        "description: y\nconfig: {persist_docs: {relation: true}}", "a:meta", short="the data is the same"),
    Edit(what="YAML in another file", moves="",
         files={YML: ("models: [{name: @_a, config: {limit: 1}}]", None), "models/@/x.yml": (None, "models: [{name: @_a, config: {limit: 1}}]")}),
    Edit(what="line endings of YAML", moves="",
         files={YML: ('models:\n  - name: @_a\n    config: {sql_header: "a\\nb"}\n    description: |\n      x\n      y\n',
                      'models:\r\n  - name: @_a\r\n    config: {sql_header: "a\\nb"}\r\n    description: |\r\n      x\r\n      y\r\n')}),
    Edit(what="an exposure", moves="",
         files={YML: ("exposures: [{name: @_x, type: dashboard, owner: {name: Ada}, depends_on: [ref('@_a')]}]",
                      "exposures: [{name: @_x, type: dashboard, owner: {name: Bob}, depends_on: [ref('@_a')]}]")}),
    folder("the materialization of a folder", {"+materialized": "view"}, {"+materialized": "table"}, "a:modified b:modified"),
    folder("a hook of a folder", {"+post-hook": "select 1"}, {"+post-hook": "select 2"}, "a:modified b:modified"),
    folder("tags of a folder", {"+tags": "x"}, {"+tags": "y"}, "a:meta b:meta"),
    folder("meta of a folder", {"+meta": {"x": 1}}, {"+meta": {"x": 2}}, "a:meta b:meta", short=SAME),
    folder("the schema of a folder", {"+schema": "x"}, {"+schema": "y"}, "a:meta b:meta", short="it is moved"),
    folder("config of one model from dbt_project.yml", {"@_b": {"+materialized": "view"}}, {"@_b": {"+materialized": "table"}}, "b:modified"),
    folder("config of a folder that is not there", {"nowhere": {"+limit": 1}}, {"nowhere": {"+limit": 2}}, ""),
)  # fmt: skip


def var(what: str, before: object, after: object, moves: str = BOTH, beyond: str = VALUES, **files: Any) -> Edit:
    """Return an edit of the value of a var that a reads, or what `files` hold."""
    given = {{"a": A, "macros": MACROS, "yml": YML}.get(key, key): text for key, text in files.items()}
    project = tuple({"vars": {"@_v": value}} for value in (before, after))
    return Edit(what=what, moves=moves, beyond=beyond, project=project,  # type: ignore[arg-type] - a pair
                files={A: "select '{{ var('@_v') }}' as id", **given})  # fmt: skip


def taken(name: str, inner: str) -> str:
    """Return a macro."""
    return "{% macro " + name + " %}" + inner + "{% endmacro %}\n"


VARS = (
    var("a var that code reads", "x", "y"),
    var("a number that becomes a text, as a var", 1, "1"),
    var("a list", [1, 2], [2, 1]),
    var("a var deep inside", {"x": {"y": 1}}, {"x": {"y": 2}}),
    var("a var that is read with a default", 1, 2, a="select {{ var('@_v', 3) }} as id"),
    var("whether there is a var", 1, 2, a="select {% if var.has_var('@_v') %}1{% endif %} {{ var('@_v') }} as id"),
    var("a var in a branch", 1, 2, a="select 1 {% if target.name == 'prod' %}{{ var('@_v') }}{% endif %} as id"),
    var("a var of a macro", 1, 2, a="select {{ @_m() }} as id", macros=taken("@_m()", "{{ var('@_v') }}")),
    var("a var of a macro of a macro", 1, 2, a="select {{ @_m() }} as id",
        macros=taken("@_m()", "{{ @_n() }}") + taken("@_n()", "{{ var('@_v') }}")),
    var("a var in YAML config", "view", "table", a="select 1", yml="models: [{name: @_a, config: {materialized: \"{{ var('@_v') }}\"}}]",
        beyond=VALUES),
    var("a var in a hook", 1, 2, a="{{ config(post_hook=\"select {{ var('@_v') }}\") }} select 1"),
    var("a var that nobody reads", 1, 2, moves="", beyond="", a="select 1"),
    var("a var whose name is a word in SQL", 1, 2, moves="", beyond="", a="select '@_v' as id"),
    Edit(what="a var of the project's own scope", moves=BOTH, beyond=VALUES, files={A: "select {{ var('@_v') }} as id"},
         project=({"vars": {"~shop": {"@_v": 1}}}, {"vars": {"~shop": {"@_v": 2}}})),
    Edit(what="a var that is declared from now on", moves=BOTH, beyond=VALUES, files={A: "select {{ var('@_v', 1) }} as id"},
         project=({}, {"vars": {"@_v": 2}})),
    Edit(what="the default of a var that nobody declares", moves=BOTH,
         files={A: ("select {{ var('@_v', 1) }} as id", "select {{ var('@_v', 2) }} as id")}),
    Edit(what="a var that a folder's config reads", moves="a:modified b:modified", beyond=VALUES,
         project=({"vars": {"@_v": 1}, "models": {"~shop": {"@": {"+limit": "{{ var('@_v', 0) }}"}}}},
                  {"vars": {"@_v": 2}, "models": {"~shop": {"@": {"+limit": "{{ var('@_v', 0) }}"}}}})),
    Edit(what="a var that a test reads", moves="a:tests", files={YML: "models: [{name: @_a, columns: [{name: id, data_tests: [{accepted_values: {arguments: {values: [\"{{ var('@_v') }}\"]}}}]}]}]"},
         beyond="", project=({"vars": {"@_v": 1}}, {"vars": {"@_v": 2}})),
    Edit(what="a var that a generic test reads", moves="a:tests",
         files={YML: "models: [{name: @_a, columns: [{name: id, data_tests: [@_t]}]}]",
                MACROS: "{% test @_t(model, column_name) %}select 1 from {{ model }} where {{ column_name }} > {{ var('@_v') }}{% endtest %}"},
         project=({"vars": {"@_v": 1}}, {"vars": {"@_v": 2}})),
)  # fmt: skip


def columns(what: str, before: str, after: str, moves: str, *, contract: bool = True, **more: Any) -> Edit:
    """Return an edit of the columns of a, under a contract or without."""
    head = "config: {contract: {enforced: true}, materialized: table}\n" if contract else ""
    return yml(what, head + before, head + after, moves, **more)


_ID, _AMOUNT = "{name: id, data_type: integer}", "{name: amount, data_type: integer}"
_BOTH = f"columns: [{_ID}, {_AMOUNT}]"

COLUMNS = (
    columns("the type of a column", _BOTH, _BOTH.replace("amount, data_type: integer", "amount, data_type: bigint"), BOTH),
    columns("the order of columns", _BOTH, f"columns: [{_AMOUNT}, {_ID}]", BOTH, beyond="the order decides the shape of the table"),
    columns("the quotes of a column", _BOTH, _BOTH.replace("name: id,", "name: id, quote: true,"), BOTH, beyond="dbt does not compare quotes"),
    columns("a constraint of a column", _BOTH, _BOTH.replace("data_type: integer}, {", "data_type: integer, constraints: [{type: not_null}]}, {"), BOTH),
    columns("a constraint of a model", _BOTH, _BOTH + "\nconstraints: [{type: primary_key, columns: [id]}]", BOTH),
    columns("the columns of a constraint", _BOTH + "\nconstraints: [{type: unique, columns: [id]}]",
            _BOTH + "\nconstraints: [{type: unique, columns: [amount]}]", BOTH),
    columns("the expression of a check", _BOTH + "\nconstraints: [{type: check, expression: id > 0}]",
            _BOTH + "\nconstraints: [{type: check, expression: id > 1}]", BOTH),
    columns("what is said of a column under a contract", _BOTH, _BOTH.replace("name: id,", "name: id, description: x,"), "a:meta"),
    columns("a column's tags under a contract", _BOTH, _BOTH.replace("name: id,", "name: id, config: {tags: [x]},"), "a:meta"),
    config("that a contract is enforced", "contract: {enforced: false}", "contract: {enforced: true}",
           files={YML: (f"models: [{{name: @_a, config: {{contract: {{enforced: false}}}}, {_BOTH}}}]",
                        f"models: [{{name: @_a, config: {{contract: {{enforced: true}}}}, {_BOTH}}}]")}),
    config("how a contract spells types", "contract: {enforced: true, alias_types: true}", "contract: {enforced: true, alias_types: false}",
           files={YML: (f"models: [{{name: @_a, config: {{contract: {{enforced: true, alias_types: true}}}}, {_BOTH}}}]",
                        f"models: [{{name: @_a, config: {{contract: {{enforced: true, alias_types: false}}}}, {_BOTH}}}]")}),
    columns("what is said of a column", "columns: [{name: id, description: x}]", "columns: [{name: id, description: y}]", "a:meta", contract=False),
    columns("a type without a contract", "columns: [{name: id}]", f"columns: [{_ID}]", BOTH, contract=False, beyond=TYPES),
    columns("the order of columns without a contract", "columns: [{name: id, description: x}, {name: amount}]",
            "columns: [{name: amount}, {name: id, description: x}]", "", contract=False),
)  # fmt: skip

_SEED = "seeds/@/@_s.csv"


def seed(what: str, before: Text, after: Text, moves: str = "s:modified c:indirect", **more: Any) -> Edit:
    """Return an edit of a seed."""
    return Edit(what=what, moves=moves, files={_SEED: (before, after), C: "select * from {{ ref('@_s') }}"}, **more)


def seeded(what: str, before: str, after: str, moves: str = "s:modified c:indirect", **more: Any) -> Edit:
    """Return an edit of a seed's YAML."""
    files = {_SEED: "id,n\n1,2\n", C: "select * from {{ ref('@_s') }}",
             "seeds/@/@.yml": (f"seeds: [{{name: @_s, {before}}}]", f"seeds: [{{name: @_s, {after}}}]")}  # fmt: skip
    return Edit(what=what, moves=moves, files=files, **more)  # type: ignore[arg-type] - a pair


SEEDS = (
    seed("a value of a seed", "id\n1\n", "id\n2\n"),
    seed("a row of a seed", "id\n1\n", "id\n1\n2\n"),
    seed("the order of rows", "id\n1\n2\n", "id\n2\n1\n"),
    seed("the head of a seed", "id\n1\n", "n\n1\n"),
    seed("white space in a seed", "id\na b\n", "id\na  b\n"),
    seed("quotes in a seed", "id\n1\n", 'id\n"1"\n'),
    seed("line endings of a seed", "id\n1\n2\n", "id\r\n1\r\n2\r\n", ""),
    seeded("the types of a seed", "config: {column_types: {id: integer}}", "config: {column_types: {id: bigint}}"),
    seeded("the delimiter of a seed", "config: {delimiter: ','}", "config: {delimiter: ';'}"),
    seeded("the quotes of a seed's columns", "config: {quote_columns: false}", "config: {quote_columns: true}"),
    seeded("what is said of a seed", "description: x", "description: y", "s:meta"),
    seeded("a test of a seed", "columns: [{name: id}]", "columns: [{name: id, data_tests: [unique]}]", "s:tests"),
    seed("a seed over dbt's limit", "id\n" + "1234567\n" * 140_000, "id\n" + "1234567\n" * 140_000 + "2\n",
         beyond="dbt compares the path of such a seed"),
)  # fmt: skip

EDITS = (*CONFIG, *VARS, *COLUMNS, *SEEDS)
