"""Which macros and vars a text reaches: too many are allowed, too few never."""

from __future__ import annotations

import pytest

from airflow_dbt_promotion.core.definition import Macro
from airflow_dbt_promotion.core.macros import (
    ANY_MATERIALIZATION,
    NOTHING,
    MacroIndex,
    jinja,
    jinja_of,
    materializations,
    sounds_internal,
    words,
)
from airflow_dbt_promotion.core.vars import ALL_VARS, vars_read


def macro(name: str, sql: str, package: str = "shop") -> Macro:
    """Return a macro with a body."""
    head = name if name.startswith("materialization_") else f"macro {name}()"
    return Macro(
        unique_id=f"macro.{package}.{name}",
        name=name,
        package_name=package,
        macro_sql=f"{{% {head} %}}{sql}{{% end %}}",
    )


def index(*macros: Macro) -> MacroIndex:
    """Return the index of some macros."""
    return MacroIndex({found.unique_id: found for found in macros}, {"dbt", "dbt_duckdb"})


def reaches(blocks: str, *others: Macro, more: tuple[str, ...] = (), target: Macro, namers: bool = False) -> bool:
    """Say whether a change of the target's body changes what some Jinja reaches."""
    changed = Macro(target.unique_id, target.name, target.package_name, target.macro_sql + " -- changed")
    before = index(*others, target).reach(blocks, more, namers=namers)
    after = index(*others, changed).reach(blocks, more, namers=namers)
    return before.digest != after.digest


# --- what is Jinja ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "within", "without"),
    [
        ("select amount from t", set(), {"amount"}),
        ("select amount, {{ cents('x') }} from t", {"cents", "x"}, {"amount", "t"}),
        ("{% if a %}b{% else %}c{% endif %}", {"if", "a", "else", "endif"}, {"b", "c"}),
        ("{%- set x = 1 -%} y {{- z -}}", {"set", "x", "z"}, {"y"}),
        ("{# {{ comment() }} #} {{ real() }}", {"real"}, {"comment"}),
        ("{# don't #} {{ real() }} it's {{ more() }}", {"real", "more"}, {"it"}),
        ("{{ config(meta={'a': {'b': 1}}, post_hook=grant_all()) }} amount", {"grant_all", "config"}, {"amount"}),
        ("{{ config(meta={'a': {'b': {'c': 1}}}, post_hook=grant_all()) }} amount", {"grant_all"}, {"amount"}),
        ("{{ '}}' ~ real() }} amount", {"real"}, {"amount"}),
        ('{{ "it\'s }}" ~ real() }} amount', {"real"}, {"amount"}),
        (r"{{ 'it\'s }}' ~ real() }} amount", {"real"}, {"amount"}),
        ("{% set x = '%}' ~ real() %} amount", {"real"}, {"amount"}),
        ("{% set x = {'a': 5 % 2} %}{{ y }} amount", {"x", "y"}, {"amount"}),
        ("{% if 5 % 2 %}amount{% endif %}", {"if", "endif"}, {"amount"}),
        ("select {a} {{ b }}", {"b"}, {"a"}),
        ("{{\n  multi(\n 'line')\n}} amount", {"multi"}, {"amount"}),
    ],
)
def test_words_come_from_jinja_alone(text: str, within: set[str], without: set[str]) -> None:
    found = words(jinja(text))
    assert within <= found
    assert not without & found


@pytest.mark.parametrize(
    "text",
    [
        "{{ {'a': {'b': {'c': {'d': {'e': 1}}}}} }} {{ real() }}",
        "{% raw %}{# {% endraw %} {{ real() }} #}",
        "{%- raw -%} {{ it's {% endraw %} {{ real() }}",
        "{{ unclosed {{ real() }}",
        "{# unclosed {{ real() }}",
    ],
)
def test_where_blocks_cannot_be_told_apart_every_word_counts(text: str) -> None:
    assert "real" in words(jinja(text))


def test_a_text_without_braces_has_no_jinja() -> None:
    assert jinja("select 1") == ""


def test_names_may_have_any_letter() -> None:
    assert {"ärger", "größe", "日本"} <= words("{{ ärger() }} {{ größe() }} {{ 日本 }}")


def test_jinja_of_a_value_is_found_at_every_depth() -> None:
    value = {
        "a": "{{ one }} plain",
        "b": ["{{ two }}", {"c": "{% three %}", "{{ key }}": 1}, 4, None],
        "d": ("{{ four }}", "plain"),
    }
    assert words(jinja_of(value)) == {"one", "two", "three", "key", "four"}
    assert jinja_of(None) == jinja_of({"a": ["plain", 1]}) == ""


# --- vars -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "names"),
    [
        ("{{ nothing }}", set()),
        ("{{ variable('a') }}{{ my_var('a') }}", set()),
        ("{{ var('a') }}", {"a"}),
        ('{{ var("a", 1) }}', {"a"}),
        ("{{ var ( 'a' , 1) }}{{ var('b') }}", {"a", "b"}),
        ("{{ var('my-var.x') }}", {"my-var.x"}),
        ("{{ var.has_var('a') }}", {"a"}),
        ("{{ var(name) }}", {ALL_VARS}),
        ("{{ var('a' ~ name) }}", {ALL_VARS}),
        ("{{ var(var('a')) }}", {ALL_VARS, "a"}),
        ("{{ var.has_var(name) }}", {ALL_VARS}),
        ("{% set v = var %}{{ v('a') }}", {ALL_VARS}),
        ("{{ context['var']('a') }}", {ALL_VARS}),
    ],
)
def test_vars_are_read_by_name_or_all_of_them(blocks: str, names: set[str]) -> None:
    assert vars_read(blocks) == names


def test_the_vars_of_reached_macros_are_read_too() -> None:
    found = index(
        macro("a", "{{ b() }}{{ var('x') }}"), macro("b", "{{ var('y') }}"), macro("c", "{{ var('z') }}")
    ).reach("{{ a() }}")
    assert found.vars == {"x", "y"}


# --- materializations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{{ config(alias='x') }}", set()),
        ("{{ config(materialized='ledger') }}", {"ledger"}),
        ('{{ config(alias="x", materialized = "ledger", tags=[]) }}', {"ledger"}),
        ("{{ config({'materialized': 'ledger'}) }}", {"ledger"}),
        ('dbt.config(materialized="ledger")', {"ledger"}),
        ("{{ config(materialized='ledger' if target.name == 'prod' else 'view') }}", {ANY_MATERIALIZATION}),
        ("{{ config(materialized=var('kind')) }}", {ANY_MATERIALIZATION}),
        ("{{ config({'materialized': kind}) }}", {ANY_MATERIALIZATION}),
        ("{{ config(**settings) }}", {ANY_MATERIALIZATION}),
        ("{{ config(settings) }}", {ANY_MATERIALIZATION}),
        ("{{ config(my_settings()) }}", {ANY_MATERIALIZATION}),
        ("{{ config({'alias': 'x'}) }}", set()),
        ("{{ config.get('unique_key') }}", set()),
    ],
)
def test_a_materialization_is_told_from_text(text: str, names: set[str]) -> None:
    assert materializations(text) == names


LEDGER = macro("materialization_ledger_default", "create")


def test_a_custom_materialization_is_reached_by_its_name() -> None:
    assert reaches("", more=("ledger",), target=LEDGER)
    assert reaches("{{ config(materialized='ledger') }}", target=LEDGER)
    assert not reaches("{{ config(materialized='table') }}", more=("table",), target=LEDGER)


def test_every_materialization_is_reached_where_its_name_is_computed_even_by_a_macro() -> None:
    assert reaches("{{ config(materialized=var('kind')) }}", target=LEDGER)
    assert reaches("{{ settings() }}", macro("settings", "{{ config(materialized=env_var('KIND')) }}"), target=LEDGER)
    assert not reaches("{{ settings() }}", macro("settings", "{{ config(alias='x') }}"), target=LEDGER)


def test_a_materialization_of_an_adapter_with_an_underscore_is_reached() -> None:
    target = macro("materialization_ledger_watsonx_presto", "create")
    assert reaches("", more=("ledger",), target=target)


# --- reaching macros --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "blocks",
    [
        "{{ cents('x') }}",
        "{{ shop.cents('x') }}",
        "{% call cents() %}{% endcall %}",
        "{% if false %}{{ cents() }}{% endif %}",
        "{{ context['cents']('x') }}",
        "{{ context.get('cents')('x') }}",
        "{{ context.cents('x') }}",
        "{{ shop['cents']('x') }}",
        "{{ adapter.dispatch('cents', 'shop')('x') }}",
        "{{ render('{{ cents() }}') }}",
        "{{ fraction() }}",
        "{{ loop() }}",
        "{{ context['ce' ~ 'nts']() }}",
        "{{ context.get(name)() }}",
        "{{ context.values() }}",
        "{% set c = context %}{{ c[name]() }}",
        "{{ adapter.dispatch(name)() }}",
        "{{ adapter.dispatch(macro_name='ce' ~ 'nts')() }}",
        "{% set go = adapter.dispatch %}{{ go(name)() }}",
        "{{ shop[name]() }}",
        "{{ shop [ name ]() }}",
        "{{ shop.get(name)() }}",
        "{{ (shop | attr(name))() }}",
    ],
)
def test_a_macro_is_reached(blocks: str) -> None:
    others = (
        macro("fraction", "{{ middle() }}"),
        macro("middle", "{{ cents() }}"),
        macro("loop", "{{ loop() }}{{ fraction() }}"),
    )
    assert reaches(blocks, *others, target=macro("cents", "round"))


@pytest.mark.parametrize(
    "blocks",
    [
        "",
        "{{ other() }}",
        "{{ cents_more() }}",
        "{{ context['other']() }}",
        "{{ context.other() }}",
        "{{ adapter.dispatch('other')() }}",
        "{{ shop['other']() }}",
    ],
)
def test_a_macro_that_no_word_names_is_not_reached(blocks: str) -> None:
    assert not reaches(blocks, macro("other", "{{ nothing() }}"), target=macro("cents", "round"))


def test_every_candidate_of_a_dispatch_is_reached() -> None:
    for name in ("default__cents", "postgres__cents", "duckdb__cents"):
        assert reaches("{{ adapter.dispatch('cents')() }}", target=macro(name, "round"))
        assert reaches(
            "{{ cents() }}", macro("cents", "{{ adapter.dispatch('cents')() }}"), target=macro(name, "round")
        )


def test_dispatch_order_matters_only_to_what_reaches_a_candidate() -> None:
    found = index(macro("default__cents", "round"), macro("plain", "x"))
    assert found.reach("{{ cents() }}").dispatched
    assert not found.reach("{{ plain() }}").dispatched


def test_the_makers_of_names_are_reached_where_they_are_asked_for() -> None:
    for name in (
        "generate_schema_name",
        "generate_alias_name",
        "generate_database_name",
        "duckdb__generate_schema_name",
    ):
        assert reaches("", target=macro(name, "x"), namers=True)
        assert not reaches("", target=macro(name, "x"))


def test_nothing_is_reached_without_macros_of_the_project() -> None:
    assert (
        index(macro("cents", "x", "dbt"), macro("cents", "x", "dbt_duckdb")).reach("{{ cents() }}", namers=True)
        is NOTHING
    )
    assert index(macro("cents", "x")).reach("{{ other() }}") is NOTHING


def test_white_space_around_a_macro_is_no_change() -> None:
    one, other = macro("a", "x"), Macro("macro.shop.a", "a", "shop", "  {% macro a() %}x{% end %}\n")
    assert index(one).reach("{{ a() }}") == index(other).reach("{{ a() }}")


# --- dbt's own macros -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "adapter", "internal"),
    [
        ("dbt", None, True),
        ("dbt_duckdb", "postgres", True),
        ("dbt_homemade", "homemade", True),
        ("dbt_homemade", None, False),
        ("dbt_utils", "duckdb", False),
        ("shop", "duckdb", False),
    ],
)
def test_macros_of_dbt_and_of_adapters_are_no_part_of_a_version(
    package: str, adapter: str | None, internal: bool
) -> None:
    assert sounds_internal(package, adapter) is internal


DBTS_OWN = (
    macro("materialization_table_default", "{{ create_table_as() }}", "dbt"),
    macro("materialization_view_default", "{{ create_view_as() }}", "dbt"),
    macro("materialization_test_default", "{{ get_test_sql() }}", "dbt"),
    macro("create_table_as", "{{ adapter.dispatch('create_table_as') }}", "dbt"),
    macro("create_view_as", "{{ adapter.dispatch('create_view_as') }}", "dbt"),
    macro("duckdb__create_table_as", "{{ comment() }}{{ create_table_as() }}", "dbt_duckdb"),
    macro("get_test_sql", "x", "dbt"),
    macro("comment", "x", "dbt"),
)


def test_an_override_of_dbts_own_macro_is_reached_by_what_comes_to_it() -> None:
    target = macro("duckdb__create_table_as", "mine")
    assert reaches("", *DBTS_OWN, more=("table",), target=target)
    assert not reaches("", *DBTS_OWN, more=("view",), target=target)
    assert not reaches("", *DBTS_OWN, more=("ledger",), target=target)


def test_an_override_is_reached_by_way_of_an_adapters_macro() -> None:
    assert reaches("", *DBTS_OWN, more=("table",), target=macro("comment", "mine"))
    assert reaches("{{ comment() }}", *DBTS_OWN, target=macro("comment", "mine"))


def test_an_override_of_a_tests_machinery_is_reached_by_tests() -> None:
    assert reaches("", *DBTS_OWN, more=("test",), target=macro("get_test_sql", "mine"))


def test_any_materialization_comes_to_every_override() -> None:
    for target in (macro("create_view_as", "mine"), macro("duckdb__create_table_as", "mine")):
        assert reaches("{{ config(materialized=var('kind')) }}", *DBTS_OWN, target=target)


def test_a_second_question_gets_the_same_answer() -> None:
    found = index(*DBTS_OWN, macro("comment", "mine"), macro("a", "x"))
    assert found.reach("{{ a() }}", ("table",)) is found.reach("{{ a() }}", ("table",))


# --- macros that dbt finds by a name that it puts together ------------------------------------------------------------

CHOOSING = (
    macro(
        "materialization_incremental_default", "{{ adapter.get_incremental_strategy_macro(context, strategy) }}", "dbt"
    ),
    macro("materialization_snapshot_default", "{{ strategy_dispatch(config.get('strategy')) }}", "dbt"),
    macro("materialization_view_default", "{% if x == 'incremental' or y == 'snapshot' %}{% endif %}", "dbt"),
    macro("strategy_dispatch", "{{ context['snapshot_' ~ name ~ '_strategy'] }}", "dbt"),
    macro("get_incremental_merge_sql", "{{ get_merge_sql() }}", "dbt"),
    macro("snapshot_check_strategy", "{{ get_merge_sql() }}", "dbt"),
    macro("get_merge_sql", "x", "dbt"),
)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("get_incremental_insert_only_sql", {"incremental"}),
        ("duckdb__get_incremental_merge_sql", {"incremental"}),
        ("snapshot_mine_strategy", {"snapshot"}),
        ("default__snapshot_mine_strategy", {"snapshot"}),
        ("duckdb__get_merge_sql", {"incremental", "snapshot"}),
    ],
)
def test_a_strategy_is_reached_by_every_kind_that_could_choose_it(name: str, kinds: set[str]) -> None:
    target = macro(name, "mine")
    for kind in ("incremental", "snapshot", "view"):
        assert reaches("", *CHOOSING, more=(kind,), target=target) is (kind in kinds)
        assert reaches(f"{{{{ config(materialized='{kind}') }}}}", *CHOOSING, target=target) is (kind in kinds)
    assert reaches("{{ config(materialized=var('kind')) }}", *CHOOSING, target=target)


def test_a_custom_materialization_may_choose_a_strategy_too() -> None:
    mine = macro("materialization_ledger_default", "{{ adapter.get_incremental_strategy_macro(context, 'append') }}")
    assert reaches("", *CHOOSING, mine, more=("ledger",), target=macro("get_incremental_append_sql", "mine"))
