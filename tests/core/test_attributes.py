"""What code reads of nodes, told from syntax trees: bound names, computed names and what cannot be parsed among it."""

from __future__ import annotations

import pytest

from airflow_dbt_promotion.core.attributes import OF_NODE, Attribute, read_by_jinja, read_by_python

EVERYTHING = frozenset(Attribute)
META, TAGS, COLUMNS, GRAPH = Attribute.META, Attribute.TAGS, Attribute.COLUMNS, Attribute.GRAPH


@pytest.mark.parametrize(
    ("code", "read"),
    [
        # what is accessed
        ("{{ config.get('meta', {}).get('factor', 1) }}", {META}),
        ("{{ config.require('meta') }}", {META}),
        ("{{ config.meta_get('a') }}", {META}),
        ("{{ config['meta'] }}", {META}),
        ("{{ config.meta.a }}", {META}),
        ("{{ model.config.meta }}", {META}),
        ("{{ model.config.get('tags') }}", {TAGS}),
        ("{{ model['config']['tags'] }}", {TAGS}),
        ("{{ model.get('tags') }}", {TAGS}),
        ("{% if 'hot' in model.tags %}1{% endif %}", {TAGS}),
        ("{% for c in model.columns.values() %}{{ c.name }}{% endfor %}", {COLUMNS}),
        ("{{ model.description }}", {Attribute.DESCRIPTION}),
        ("{{ model.fqn[0] }}{{ model.original_file_path }}", {Attribute.PATH}),
        ("{{ model.alias }}{{ this.schema }}", {Attribute.ALIAS, Attribute.SCHEMA}),
        ("{{ adapter.get_columns_in_relation(this) }}", {Attribute.ALIAS, Attribute.SCHEMA, Attribute.DATABASE}),
        ("{{ this.type }}{{ context['this'].name }}", {Attribute.ALIAS}),
        ('{{ config(post_hook="{{ model.tags }}") }}', {TAGS}),
        ("{{ config.model.tags }}", {TAGS}),
        ("{{ model['get'] }}", OF_NODE),
        ("{{ model.invented }}", OF_NODE),
        ("{{ model.group }}{{ model.access }}", {Attribute.GROUP, Attribute.ACCESS}),
        ("{{ graph.nodes.values() }}", {GRAPH}),
        ("{{ context['model'].meta }}", {META}),
        ("{{ context.model.meta }}{{ context.get('graph') }}", {META, GRAPH}),
        ("{% macro of_column(name) %}{{ model.columns[name] }}{% endmacro %}", {COLUMNS}),
        ("{% materialization m, adapter='duckdb' %}{{ model.config.get('tags') }}{% endmaterialization %}", {TAGS}),
        ("{% snapshot s %}{{ model.tags }}{% endsnapshot %}", {TAGS}),
        ("{% test t(model, column_name) %}{{ graph.nodes }}{% endtest %}", {GRAPH}),
        # nothing of a node
        ("select 1", set()),
        ("{{ config(meta={'a': 1}, tags=['x']) }} select 1", set()),
        ("{{ config.get('materialized') }}{{ config.get('unique_key') }}", set()),
        ("{{ model.name }}{{ model.unique_id }}{{ model.relation_name }}{{ this }}", set()),
        ("{{ model.config.materialized == 'table' }}", set()),
        ("{{ model is defined }}", set()),
        ("{{ 'model.columns' }} select model from {{ ref('graph') }}", set()),
        ("{% test t(model) %}select * from {{ model }} where {{ model.meta }}{% endtest %}", set()),
        ("{% macro m(model, config) %}{{ model.columns }}{{ config.meta }}{% endmacro %}", set()),
        ("{% set config = {} %}{{ config.meta }}", set()),
        ("{% for model in [1] %}{{ model.tags }}{% endfor %}", set()),
        ("{% do log(model.unique_id) %}{% call statement('a') %}{{ model.name }}{% endcall %}", set()),
        ("{{ context['ref']('a') }}{{ builtins.ref('a') }}", set()),
        # the whole
        ("{{ masked(model) }}", OF_NODE),
        ("{{ model[name] }}", OF_NODE),
        ("{% set m = model %}{{ m.columns }}", OF_NODE),
        ("{{ {'x': model} }}", OF_NODE),
        ("{{ config.get(name) }}", OF_NODE),
        ("{{ config.get }}", OF_NODE),
        ("{{ model.items() }}", OF_NODE),
        ("{{ f(config) }}", OF_NODE),
        ("{{ context[name] }}", EVERYTHING),
        ("{{ context }}", EVERYTHING),
        ("{{ model.columns ", EVERYTHING),
    ],
)
def test_what_jinja_reads(code: str, read: set[Attribute]) -> None:
    assert read_by_jinja(code) == read


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("def model(dbt, session):\n    return dbt.config.get('meta')", {META}),
        ("def model(dbt, session):\n    return dbt.config.meta_get('a')", {META}),
        ("def model(dbt, session):\n    return dbt.config.tags", {TAGS}),
        ("def model(dbt, session):\n    dbt.config(materialized='table')\n    return dbt.ref('a')", set()),
        ("def model(dbt, session):\n    dbt.config.get('packages')\n    return {}.get('meta')", set()),
        ("def model(dbt, session):\n    return dbt.config.get(session)", OF_NODE),
        ("def model(dbt, session):\n    return dbt.config.get()", OF_NODE),
        ("def model(dbt, session) return dbt.config.get('meta')", OF_NODE),
    ],
)
def test_what_python_reads(code: str, read: set[Attribute]) -> None:
    assert read_by_python(code) == read
