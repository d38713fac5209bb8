"""What Redshift's catalog is asked, in what its leader node has: neither JSON nor lists are there, so texts are joined.

Every row is one column, a JSON list of texts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from airflow_dbt_promotion.dbt.publish.dialect import escaped

Query = Callable[[Collection[tuple[str, str]]], str]

_ESCAPES = (("chr(92)", "chr(92)"), ("chr(34)", "chr(34)"), ("chr(10)", "'n'"), ("chr(13)", "'r'"), ("chr(9)", "'t'"))
_MINE = """case when pg_get_userbyid({0}.relowner) = current_user
    or exists (select 1 from pg_user u where u.usename = current_user and u.usesuper) then '1' else '' end"""


def _row(*texts: str) -> str:
    """Return an expression for a JSON list of texts, none of them null."""
    return "'[' || " + " || ',' || ".join(_json(text) for text in texts) + " || ']'"


def _json(text: str) -> str:
    """Return an expression for a JSON text."""
    for plain, sign in _ESCAPES:
        text = f"replace({text}, {plain}, chr(92) || {sign})"
    return f"chr(34) || {text} || chr(34)"


def _among(spots: Collection[tuple[str, str]], schema: str, name: str) -> str:
    """Return a condition: a relation is one of these, in whatever case."""
    each = (f"lower({schema}) = {escaped(s)} and lower({name}) = {escaped(n)}" for s, n in spots)
    return f"({' or '.join(each)})"


def _named(alias: str) -> str:
    """Return a relation joined with its schema."""
    return f"pg_class {alias} join pg_namespace {alias}n on {alias}n.oid = {alias}.relnamespace"


def _kind(alias: str) -> str:
    """Return an expression for the kind of a relation: a materialized view is a view there that says what it is."""
    view = (
        f"case when coalesce(pg_get_viewdef({alias}.oid), '') ilike '%create materialized view%' then 'm' else 'v' end"
    )
    return f"case when {alias}.relkind = 'v' then {view} when {alias}.relkind = 'r' then 'r' else '' end"


def _relations(spots: Collection[tuple[str, str]]) -> str:
    """Ask what has these names, whose it is, and how views are written."""
    definition = "case when c.relkind = 'v' then coalesce(pg_get_viewdef(c.oid), '') else '' end"
    row = _row("cn.nspname", "c.relname", _kind("c"), "pg_get_userbyid(c.relowner)", _MINE.format("c"), definition)
    return f"""
select {row}
from {_named("c")}
where {_among(spots, "cn.nspname", "c.relname")} and c.relkind in ('r', 'v', 'm')"""


def _reading(spots: Collection[tuple[str, str]]) -> str:
    """Return what joins views with what they read by its identity."""
    return f"""
from pg_depend d
join pg_rewrite w on w.oid = d.objid
join {_named("v")} on v.oid = w.ev_class and v.relkind = 'v'
join {_named("s")} on s.oid = d.refobjid and s.oid <> v.oid
left join pg_attribute a on a.attrelid = s.oid and a.attnum = d.refobjsubid and a.attnum > 0
where {_among(spots, "sn.nspname", "s.relname")}"""


def _readers(spots: Collection[tuple[str, str]]) -> str:
    """Ask which views read these, which columns of them, and how they are written; a row for each column."""
    row = _row(
        "vn.nspname",
        "v.relname",
        "quote_ident(vn.nspname) || '.' || quote_ident(v.relname)",
        "coalesce(pg_get_viewdef(v.oid), '')",
        "pg_get_userbyid(v.relowner)",
        _MINE.format("v"),
        "sn.nspname",
        "s.relname",
        "coalesce(a.attname, '')",
    )
    return f"""
select distinct {row}{_reading(spots)}
  and coalesce(pg_get_viewdef(v.oid), '') not ilike '%create materialized view%'"""


def _tied(spots: Collection[tuple[str, str]]) -> str:
    """Ask which materialized views read these: they cannot be made to read what comes into place."""
    told = "'the materialized view ' || vn.nspname || '.' || v.relname"
    return f"""
select distinct {_row("sn.nspname", "s.relname", told)}{_reading(spots)}
  and coalesce(pg_get_viewdef(v.oid), '') ilike '%create materialized view%'"""


def _columns(spots: Collection[tuple[str, str]]) -> str:
    """Ask for the columns of these; a row for each."""
    return f"""
select {_row("cn.nspname", "c.relname", "a.attname")}
from {_named("c")}
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where {_among(spots, "cn.nspname", "c.relname")} and c.relkind in ('r', 'v')
order by cn.nspname, c.relname, a.attnum"""


def _additions(spots: Collection[tuple[str, str]]) -> str:
    """Ask for the grants on these, which a copy lacks."""
    grantee = "case identity_type when 'public' then 'public' when 'user' then quote_ident(identity_name)"
    grantee += " else identity_type || ' ' || quote_ident(identity_name) end"
    grant = f"'grant ' || privilege_type || ' on {{}} to ' || {grantee}"
    return f"""
select {_row("namespace_name", "relation_name", grant)}
from svv_relation_privileges
where {_among(spots, "namespace_name", "relation_name")} and identity_name <> current_user"""


ALL: Mapping[str, Query] = {
    "relations": _relations,
    "readers": _readers,
    "tied": _tied,
    "columns": _columns,
    "additions": _additions,
}
