"""Edits of snapshots, tests, unit tests, sources and versions of models, and of what Jinja reads of a node."""

# ruff: noqa: E501 - the edits stand here as a table

from __future__ import annotations

from typing import Any

from tests.dbt.mutations.islands import Edit

A, B, C, YML = "models/@/@_a.sql", "models/@/@_b.sql", "models/@/@_c.sql", "models/@/@.yml"
MACROS = "macros/@.sql"
BOTH = "a:modified b:indirect"
READ = "dbt does not ask what code reads"


def snapshot(what: str, before: str, after: str, moves: str = "h:modified", **more: Any) -> Edit:
    """Return an edit of a snapshot in YAML."""
    base = {"strategy": "check", "unique_key": "id", "check_cols": "[amount]"}
    texts = []
    for changed in (before, after):
        config = {
            **base,
            **dict(pair.split("=", 1) for pair in changed.split("; ") if pair and not pair.startswith("!")),
        }
        beside = changed[1:] if changed.startswith("!") else "relation: ref('@_a')"
        inner = ", ".join(f"{key}: {value}" for key, value in config.items() if value)
        texts.append(f"snapshots:\n  - name: @_h\n    {beside}\n    config: {{{inner}}}\n")
    return Edit(what=what, moves=moves, files={"snapshots/@/@.yml": (texts[0], texts[1])}, **more)


_SQL = "{{% snapshot @_h %}}{{{{ config(strategy='check', unique_key='{key}', check_cols=['amount'], target_schema='x') }}}}{body}{{% endsnapshot %}}"

SNAPSHOTS = (
    snapshot("what a snapshot checks", "", "check_cols=[amount, id]"),
    snapshot("the strategy of a snapshot", "", "strategy=timestamp; updated_at=id; check_cols="),
    snapshot("the key of a snapshot", "", "unique_key=amount"),
    snapshot("hard deletes", "hard_deletes=ignore", "hard_deletes=invalidate"),
    snapshot("the end of what is valid", "", "dbt_valid_to_current='cast(1 as date)'".replace("'cast(1 as date)'", "\"'2099-01-01'\"")),
    snapshot("names of a snapshot's columns", "", "snapshot_meta_column_names={dbt_valid_to: until}"),
    snapshot("the relation of a snapshot", "", "!relation: ref('@_b')"),
    snapshot("what is said of a snapshot", "!relation: ref('@_a')\n    description: x", "!relation: ref('@_a')\n    description: y", "h:meta"),
    Edit(what="the body of a snapshot", moves="h:modified",
         files={"snapshots/@/@.sql": (_SQL.format(key="id", body="select * from {{ ref('@_a') }}"),
                                      _SQL.format(key="id", body="select id from {{ ref('@_a') }}"))}),
    Edit(what="in-file config of a snapshot", moves="h:modified",
         files={"snapshots/@/@.sql": (_SQL.format(key="id", body="select * from {{ ref('@_a') }}"),
                                      _SQL.format(key="amount", body="select * from {{ ref('@_a') }}"))}),
    Edit(what="the parent of a snapshot", moves="a:modified b:indirect h:indirect",
         files={A: ("select 1 as id", "select 2 as id"), "snapshots/@/@.sql": _SQL.format(key="id", body="select * from {{ ref('@_a') }}")}),
    Edit(what="the strategy of a snapshot that is the project's", moves="h:modified", wide=True, beyond="dbt does not ask which macro builds a node",
         files={MACROS: ("{% macro snapshot_@_strategy(a, b, c, d, e) %}{{ return({}) }}{% endmacro %}",
                         "{% macro snapshot_@_strategy(a, b, c, d, e) %}{{ return({'x': 1}) }}{% endmacro %}"),
                "snapshots/@/@.yml": "snapshots: [{name: @_h, relation: ref('@_a'), config: {strategy: @, unique_key: id}}]"}),
)  # fmt: skip


def column_test(what: str, before: str, after: str, moves: str = "a:tests", **files: Any) -> Edit:
    """Return an edit of the tests of a's column."""
    pair = tuple(f"models: [{{name: @_a, columns: [{{name: id, data_tests: [{text}]}}]}}]" for text in (before, after))
    return Edit(
        what=what,
        moves=moves,
        files={YML: pair, **{MACROS if key == "macros" else key: text for key, text in files.items()}},
    )  # type: ignore[dict-item] - a pair


def configured(inner: str) -> str:
    """Return a test with config."""
    return f"{{not_null: {{config: {{{inner}}}}}}}"


_POSITIVE = "{% test @_t(model, column_name, least=0) %}select * from {{ model }} where {{ column_name }} < {{ least }}{% endtest %}"
_UNIT = "unit_tests: [{{name: @_u, model: @_b, given: [{{input: ref('@_a'), rows: [{{id: {given}}}]}}], expect: {{rows: [{{id: {expect}}}]}}{more}}}]"

TESTS = (
    column_test("a test more", "", "unique"),
    column_test("a test less", "unique, not_null", "unique"),
    column_test("severity", "not_null", configured("severity: warn")),
    column_test("where a test looks", "not_null", configured("where: id > 0")),
    column_test("how many errors a test takes", "not_null", configured("error_if: '>10'")),
    column_test("how many rows a test asks for", "not_null", configured("limit: 1")),
    column_test("that a test is switched off", "not_null", configured("enabled: false")),
    column_test("arguments of a test", "{accepted_values: {arguments: {values: [1]}}}", "{accepted_values: {arguments: {values: [2]}}}"),
    column_test("the order of arguments' keys", "{relationships: {arguments: {to: ref('@_b'), field: id}}}",
           "{relationships: {arguments: {field: id, to: ref('@_b')}}}", ""),
    column_test("a test of two models", "unique", "unique, {relationships: {arguments: {to: ref('@_b'), field: id}}}", "a:tests b:tests"),
    column_test("a generic test", "@_t", "@_t", macros=(_POSITIVE, _POSITIVE.replace("<", "<="))),
    column_test("the default of a generic test", "@_t", "@_t", macros=(_POSITIVE, _POSITIVE.replace("least=0", "least=1"))),
    column_test("config in a generic test", "@_t", "@_t", macros=(_POSITIVE, _POSITIVE.replace("select", "{{ config(severity='warn') }}select"))),
    column_test("a macro that a generic test calls", "@_t", "@_t",
           macros=(_POSITIVE.replace("< {{ least }}", "{{ @_m() }}") + "{% macro @_m() %}< 0{% endmacro %}",
                   _POSITIVE.replace("< {{ least }}", "{{ @_m() }}") + "{% macro @_m() %}< 1{% endmacro %}")),
    column_test("white space in a text of a generic test", "@_t", "@_t", macros=(_POSITIVE.replace("select *", "select 'a b'"), _POSITIVE.replace("select *", "select 'a  b'"))),
    column_test("a generic test that nobody uses", "unique", "unique", "", macros=(_POSITIVE, _POSITIVE.replace("<", "<="))),
    column_test("line endings of a generic test", "@_t", "@_t", "", macros=(_POSITIVE.replace(" where", "\nwhere"), _POSITIVE.replace(" where", "\r\nwhere"))),
    Edit(what="the body of a test", moves="a:tests", files={"tests/@/@_t.sql": ("select * from {{ ref('@_a') }} where id < 0", "select * from {{ ref('@_a') }} where id < 1")}),
    Edit(what="a test of its own", moves="a:tests b:tests", files={"tests/@/@_t.sql": (None, "select * from {{ ref('@_a') }}, {{ ref('@_b') }}")}),
    Edit(what="a macro of a test of its own", moves="a:tests", files={"tests/@/@_t.sql": "select * from {{ ref('@_a') }} where {{ @_m() }}",
         MACROS: ("{% macro @_m() %}id < 0{% endmacro %}", "{% macro @_m() %}id < 1{% endmacro %}")}),
    Edit(what="the folder's severity", moves="a:tests", files={"tests/@/@_t.sql": "select * from {{ ref('@_a') }} where id < 0"},
         project=({"data_tests": {"~shop": {"@": {"+severity": "error"}}}}, {"data_tests": {"~shop": {"@": {"+severity": "warn"}}}})),
    Edit(what="a test's file in another folder", moves="",
         files={"tests/@/@_t.sql": ("select * from {{ ref('@_a') }}", None), "tests/@/x/@_t.sql": (None, "select * from {{ ref('@_a') }}")}),
    Edit(what="what a unit test expects", moves="b:tests", files={YML: (_UNIT.format(given=1, expect=1, more=""), _UNIT.format(given=1, expect=2, more=""))}),
    Edit(what="what a unit test gives", moves="b:tests", files={YML: (_UNIT.format(given=1, expect=1, more=""), _UNIT.format(given=2, expect=1, more=""))}),
    Edit(what="what a unit test overrides", moves="b:tests",
         files={YML: (_UNIT.format(given=1, expect=1, more=", overrides: {vars: {@_v: 1}}"), _UNIT.format(given=1, expect=1, more=", overrides: {vars: {@_v: 2}}"))}),
    Edit(what="a unit test less", moves="b:tests", files={YML: (_UNIT.format(given=1, expect=1, more=""), None)}),
    Edit(what="the file of a unit test's rows", moves="b:tests",
         files={YML: "unit_tests: [{name: @_u, model: @_b, given: [{input: ref('@_a'), format: csv, fixture: @_f}], expect: {rows: [{id: 1}]}}]",
                "tests/fixtures/@_f.csv": ("id\n1\n", "id\n2\n")}),
)  # fmt: skip

SOURCE = "sources: [{{name: @_raw, {source}tables: [{{name: t, {table}}}]}}]"
_READS = "select * from {{ source('@_raw', 't') }}"
_SLICED = (
    "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='id', batch_size='day', begin='2024-01-01') }} "
    + _READS
)
MOVED = "environments read their own"
UNFILTERED = "no model is filtered by it"
LATEST = "which version is the latest is no code of the versions"


def source(
    what: str, before: tuple[str, str], after: tuple[str, str], moves: str = "", code: str = _READS, **more: Any
) -> Edit:
    """Return an edit of a source that a reads: its own keys, and those of its table."""
    texts = tuple(SOURCE.format(source=own, table=table) for own, table in (before, after))
    return Edit(what=what, moves=moves, files={YML: texts, A: code}, **more)  # type: ignore[dict-item] - a pair


SOURCES = (
    source("the identifier of a source", ("", "identifier: x"), ("", "identifier: y"), short=MOVED),
    source("the schema of a source", ("schema: x, ", ""), ("schema: y, ", ""), short=MOVED),
    source("what is said of a source", ("", "description: x"), ("", "description: y")),
    source("when a source is fresh", ("", "config: {loaded_at_field: x, freshness: {warn_after: {count: 1, period: day}}}"),
           ("", "config: {loaded_at_field: x, freshness: {warn_after: {count: 2, period: day}}}"), short=UNFILTERED),
    source("the time of a source's events", ("", "config: {event_time: x}"), ("", "config: {event_time: y}"), short=UNFILTERED),
    source("the time of events by which a model is sliced", ("", "config: {event_time: x}"), ("", "config: {event_time: y}"),
           BOTH, code=_SLICED),
    source("the time of events of a source as a whole", ("config: {event_time: x}, ", ""), ("config: {event_time: y}, ", ""),
           BOTH, code=_SLICED),
    source("tests of a source", ("", "columns: [{name: id}]"), ("", "columns: [{name: id, data_tests: [unique]}]")),
    Edit(what="another table of a source", moves="a:modified b:indirect",
         files={YML: "sources: [{name: @_raw, tables: [{name: t}, {name: u}]}]", A: (_READS, _READS.replace("'t'", "'u'"))}),
    Edit(what="a table that nobody reads", moves="",
         files={YML: ("sources: [{name: @_raw, tables: [{name: t}]}]", "sources: [{name: @_raw, tables: [{name: t}, {name: u}]}]"), A: _READS}),
)  # fmt: skip

_M1, _M2, _MYML = "models/@/@_m_v1.sql", "models/@/@_m_v2.sql", "models/@/@.yml"
_VERSIONS = "models: [{{name: @_m, latest_version: {latest}, {config}versions: [{{v: 1{one}}}, {{v: 2}}]}}]"


def versioned(what: str, before: dict[str, str], after: dict[str, str], moves: str, **more: Any) -> Edit:
    """Return an edit of a model of two versions, of which c reads the latest, and d the first."""
    both = [{"latest": "2", "config": "", "one": "", "first": "1", **change} for change in (before, after)]
    return Edit(what=what, moves=moves,
                files={_MYML: (_VERSIONS.format(**both[0]), _VERSIONS.format(**both[1])), _M2: "select 2 as id",
                       _M1: (f"select {both[0]['first']} as id", f"select {both[1]['first']} as id"),
                       C: "select * from {{ ref('@_m') }}", "models/@/@_d.sql": "select * from {{ ref('@_m', v=1) }}"}, **more)  # fmt: skip


VERSIONED = (
    versioned("the body of an older version", {}, {"first": "3"}, "m.v1:modified d:indirect"),
    versioned("which version is the latest", {"latest": "2"}, {"latest": "1"}, "c:indirect", short=LATEST),
    versioned("config of all versions", {"config": "config: {materialized: view}, "}, {"config": "config: {materialized: table}, "},
              "m.v1:modified m.v2:modified c:indirect d:indirect"),
    versioned("config of one version", {"one": ", config: {materialized: view}"}, {"one": ", config: {materialized: table}"},
              "m.v1:modified d:indirect"),
    Edit(what="a new version", moves="m.v2:added c:indirect", short=LATEST,
         files={_MYML: ("models: [{name: @_m, versions: [{v: 1}]}]", "models: [{name: @_m, versions: [{v: 1}, {v: 2}]}]"),
                _M1: "select 1", _M2: (None, "select 2"), C: "select * from {{ ref('@_m') }}"}),
    Edit(what="where a version is defined", moves="",
         files={_MYML: ("models: [{name: @_m, versions: [{v: 1}]}]", "models: [{name: @_m, versions: [{v: 1, defined_in: @_x}]}]"),
                _M1: ("select 1", None), "models/@/@_x.sql": (None, "select 1")}),
)  # fmt: skip

_SAYS = {
    "description": ("description: x", "description: y"),
    "meta": ("config: {meta: {x: 1}}", "config: {meta: {x: 2}}"),
    "tags": ("config: {tags: [x]}", "config: {tags: [y]}"),
    "columns": ("columns: [{name: id, description: x}]", "columns: [{name: id, description: y}]"),
    "column meta": (
        "columns: [{name: id, config: {meta: {mask: true}}}]",
        "columns: [{name: id, config: {meta: {mask: false}}}]",
    ),
    "column tags": ("columns: [{name: id, config: {tags: [x]}}]", "columns: [{name: id, config: {tags: [y]}}]"),
    "column order": ("columns: [{name: id}, {name: amount}]", "columns: [{name: amount}, {name: id}]"),
    "column more": ("columns: [{name: id}]", "columns: [{name: id}, {name: amount}]"),
    "grants": ("config: {grants: {select: [x]}}", "config: {grants: {select: [y]}}"),
    "docs": ("docs: {node_color: red}", "docs: {node_color: blue}"),
    "access": ("access: protected", "access: public"),
    "alias": ("config: {alias: '@_x'}", "config: {alias: '@_y'}"),
    "schema": ("config: {schema: x}", "config: {schema: y}"),
    "deprecation": ("deprecation_date: 2099-01-01", "deprecation_date: 2099-01-02"),
    "constraints": ("constraints: [{type: unique, columns: [id]}]", "constraints: [{type: unique, columns: [amount]}]"),
}

SEEN = {"meta", "grants", "docs", "access", "alias", "schema", "deprecation"}
"""What dbt compares itself."""
SAME = "nothing else is built"


def reads(said: str, how: str, moves: str = BOTH, macros: str | None = None, where: str = "") -> Edit:
    """Return an edit of what YAML says of a, whose code reads it in some way."""
    before, after = (f"models:\n  - name: @_a\n    {text}\n" for text in _SAYS[said])
    code = f"select 1 as id -- {how}" if "{{" in how or "{%" in how else f"select {{{{ {how} }}}} as id"
    seen = moves != BOTH or said in SEEN
    files = {YML: (before, after), A: code, MACROS: macros}
    return Edit(what=f"{said} as read by {where or how}", moves=moves, files=files, beyond="" if seen else READ,
                short=SAME if moves != BOTH and said in SEEN else "")  # fmt: skip


_MACRO = "{{% macro @_m({arguments}) %}}{inner}{{% endmacro %}}"

WHAT_IS_READ = (
    reads("description", "model.description"),
    reads("description", "model['description']"),
    reads("description", "model.get('description')"),
    reads("description", "model.get('description', 'x')"),
    reads("description", "model | tojson"),
    reads("description", "{% set m = model %}{{ m.description }}"),
    reads("description", "{{ model['descrip' ~ 'tion'] }}"),
    reads("description", "context['model'].description"),
    reads("description", "context.model.description"),
    reads("description", "context.get('model').description"),
    reads("description", "@_m()", macros=_MACRO.format(arguments="", inner="{{ model.description }}"), where="a macro"),
    reads("description", "@_m(model)", macros=_MACRO.format(arguments="node", inner="{{ node.description }}"), where="a macro that is handed the model"),
    reads("description", "{% if model.description %}1{% endif %}"),
    reads("description", "{% for key, value in model.items() %}{{ value }}{% endfor %}"),
    reads("description", "model | attr('description')"),
    reads("description", "[model] | map(attribute='description') | list"),
    reads("description", "{% set model = {} %}{{ model.description }}", "a:meta"),
    reads("description", "@_m({})", "a:meta", macros=_MACRO.format(arguments="model", inner="{{ model.description }}"), where="a macro of another model"),
    reads("description", "'model.description'", "a:meta"),
    reads("description", "{# {{ model.description }} #}", "a:meta"),
    reads("description", "model.name", "a:meta"),
    reads("description", "config.get('unique_key')", "a:meta"),
    reads("description", "model.meta", "a:meta"),
    reads("meta", "config.get('meta')"),
    reads("meta", "config.get('meta').x"),
    reads("meta", "config.get('meta', {}).get('x')"),
    reads("meta", "config.require('meta')"),
    reads("meta", "config.meta_get('x')"),
    reads("meta", "config.meta_require('x')"),
    reads("meta", "model.meta"),
    reads("meta", "model.config.meta"),
    reads("meta", "model.config.get('meta')"),
    reads("meta", "model['config']['meta']['x']"),
    reads("meta", "model.get('config', {}).get('meta')"),
    reads("meta", "model.unrendered_config"),
    reads("meta", "{{ config.get('me' ~ 'ta') }}"),
    reads("meta", "config.get(name='meta')"),
    reads("meta", "config.get('x')", "a:meta"),
    reads("tags", "model.tags"),
    reads("tags", "config.get('tags')"),
    reads("tags", "{% if 'x' in model.tags %}1{% endif %}"),
    reads("columns", "model.columns"),
    reads("columns", "{% for column in model.columns.values() %}{{ column.description }}{% endfor %}"),
    reads("columns", "model.columns.id.description"),
    reads("column meta", "{% for c in model.columns.values() if c.meta.mask %}1{% endfor %}"),
    reads("column meta", "{% for c in model['columns'] | dictsort %}{{ c }}{% endfor %}"),
    reads("column tags", "model.columns['id'].tags"),
    reads("column order", "model.columns | list"),
    reads("column more", "model.columns | length"),
    reads("grants", "config.get('grants')"),
    reads("docs", "model.docs.node_color"),
    reads("docs", "config.get('docs')"),
    reads("access", "model.access"),
    reads("access", "model.config.access"),
    reads("alias", "model.alias"),
    reads("alias", "config.get('alias')"),
    reads("alias", "this.name"),
    reads("alias", "this.identifier"),
    reads("schema", "config.get('schema')"),
    reads("deprecation", "model.deprecation_date", ""),  # as docs/versions.md says
    reads("constraints", "model.constraints"),
    reads("description", "{{ config(post_hook=\"select '{{ model.description }}'\") }}", where="a hook in the file"),
    reads("description", "{{ config(pre_hook=['select 1', \"select '{{ model.description }}'\"]) }}", where="one of its hooks"),
    reads("description", "{{ config(post_hook={'sql': \"select '{{ model.description }}'\", 'transaction': false}) }}", where="a hook with keys"),
    reads("description", "{% set hook %}{% raw %}select '{{ model.description }}'{% endraw %}{% endset %}{{ config(post_hook=hook) }}", where="a hook that is set"),
    reads("description", "{{ render('{{ model.description }}') }}", where="rendered text"),
    reads("meta", "{{ config(post_hook=\"select '{{ config.get('meta').x }}'\") }}", where="a hook in the file"),
    reads("columns", '{{ config(post_hook="{{ @_m() }}") }}', macros=_MACRO.format(arguments="", inner="select '{{ model.columns }}'"), where="a hook's macro"),
    reads("columns", "{% for name, column in model.columns.items() %}{{ name }}{% endfor %}", where="a loop"),
    reads("columns", "{% set columns = model.get('columns') or {} %}{{ columns }}"),
    reads("description", "{%- set ns = namespace(m=model) -%}{{ ns.m.description }}", where="a namespace"),
    reads("description", "{% do log(model.description) %}", where="do"),
    reads("description", "{{ model\n.description }}", where="two lines"),
    reads("description", "{{ self.x() if false else model.description }}", where="a conditional"),
    reads("description", "{{ (model or {}).description }}"),
    reads("description", "{{ [model][0].description }}"),
    reads("description", "{{ dict(m=model).m.description }}"),
    reads("description", "{{ 'x' ~ model.description ~ 'y' }}"),
    reads("description", "{% call(m) @_m() %}{{ m.description }}{% endcall %}", macros=_MACRO.format(arguments="", inner="{{ caller(model) }}"), where="a caller"),
    reads("description", "@_m()", macros=_MACRO.format(arguments="node=model", inner="{{ node.description }}"), where="the default of an argument"),
    reads("description", "@_m()", macros=_MACRO.format(arguments="", inner="{% set node = model %}{{ node.description }}"), where="a macro that sets it"),
    reads("description", "@_m()", macros=_MACRO.format(arguments="", inner="{{ @_n() }}") + _MACRO.format(arguments="", inner="{{ model.description }}").replace("@_m", "@_n"), where="a macro of a macro"),
    reads("meta", "{{ config.get('meta', default={})['x'] }}"),
    reads("meta", "{{ model.config['meta'] }}"),
    reads("meta", "{{ model.config.meta.get('x') }}"),
    reads("meta", "{% set c = config %}{{ c.get('meta') }}"),
    reads("meta", "{% set c = model.config %}{{ c.meta }}"),
    reads("meta", "{{ config.model.meta }}"),
    reads("meta", "{{ config['get']('meta') }}"),
    reads("tags", "{{ model.config.tags }}"),
    reads("alias", "{{ model['alias'] }}"),
    reads("alias", "{{ this }}", "a:meta"),
    reads("schema", "{{ this.schema }}"),
    reads("schema", "{{ model.schema }}"),
    reads("alias", "{% set relation = this %}{{ relation.name }}"),
    reads("alias", "{{ context.this.name }}"),
    reads("alias", "{{ this.is_view }}", "a:meta"),
    reads("description", "{{ model is defined }}", "a:meta"),
    reads("description", "{{ model.unheard_of }}", where="a name that is not known"),
    reads("schema", "{{ this }}", "a:meta"),
    Edit(what="a description that a hook in YAML reads", moves=BOTH, beyond=READ,
         files={YML: ("models: [{name: @_a, description: x, config: {post-hook: \"{% raw %}select '{{ model.description }}'{% endraw %}\"}}]",
                      "models: [{name: @_a, description: y, config: {post-hook: \"{% raw %}select '{{ model.description }}'{% endraw %}\"}}]")}),
    Edit(what="a description that a folder's hook reads", moves=BOTH, beyond=READ,
         files={YML: ("models: [{name: @_a, description: x}]", "models: [{name: @_a, description: y}]")},
         project={"models": {"~shop": {"@": {"+post-hook": "select '{{ model.description }}'"}}}}),
    Edit(what="a description that a materialization reads", moves=BOTH, beyond=READ,
         files={YML: ("models: [{name: @_a, description: x}]", "models: [{name: @_a, description: y}]"),
                A: "{{ config(materialized='@_kind') }} select 1 as id",
                MACROS: "{% materialization @_kind, default %}{{ model.description }}{{ return({'relations': []}) }}{% endmaterialization %}"}),
    Edit(what="meta that a materialization reads", moves=BOTH,
         files={YML: ("models: [{name: @_a, config: {meta: {x: 1}}}]", "models: [{name: @_a, config: {meta: {x: 2}}}]"),
                A: "{{ config(materialized='@_kind') }} select 1 as id",
                MACROS: "{% materialization @_kind, default %}{{ config.get('meta') }}{{ return({'relations': []}) }}{% endmaterialization %}"}),
    Edit(what="meta of a folder that code reads", moves=BOTH,
         files={A: "select {{ config.get('meta').x }} as id"},
         project=({"models": {"~shop": {"@": {"@_a": {"+meta": {"x": 1}}}}}}, {"models": {"~shop": {"@": {"@_a": {"+meta": {"x": 2}}}}}})),
    Edit(what="a file that code asks where it lies", moves="c:modified",
         files={C: ("select '{{ model.original_file_path }}'", None), "models/@/x/@_c.sql": (None, "select '{{ model.original_file_path }}'")}),
    Edit(what="the folders that code reads", moves="c:modified",
         files={C: ("select '{{ model.fqn }}'", None), "models/@/x/@_c.sql": (None, "select '{{ model.fqn }}'")}),
    Edit(what="a group that code reads", moves=BOTH, beyond=READ,
         files={A: "select '{{ model.group }}' as id", YML: ("models: [{name: @_a}]", "models: [{name: @_a, group: '@_g'}]"),
                "models/@/g.yml": "groups: [{name: '@_g', owner: {name: Ada}}]"}),
    Edit(what="a parent's description that its child does not read", moves="a:meta",
         files={B: "select '{{ model.description }}' from {{ ref('@_a') }}", YML: ("models: [{name: @_a, description: x}]", "models: [{name: @_a, description: y}]")}),
)  # fmt: skip

EDITS = (*SNAPSHOTS, *TESTS, *SOURCES, *VERSIONED, *WHAT_IS_READ)
