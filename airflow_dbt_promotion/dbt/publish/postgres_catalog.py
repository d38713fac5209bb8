"""What PostgreSQL's catalog is asked. Every row is one column, a JSON list of texts: dbt would guess at types else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from airflow_dbt_promotion.dbt.publish.dialect import literal
from airflow_dbt_promotion.dbt.publish.postgres_features import features, privileges

Query = Callable[[Collection[tuple[str, str]]], str]

_MINE = "case when pg_has_role({}.relowner, 'USAGE') then '1' else '' end"


def _among(alias: str, spots: Collection[tuple[str, str]]) -> str:
    """Return a condition: a relation is one of these."""
    listed = ", ".join(f"({literal(schema)}, {literal(name)})" for schema, name in spots)
    return f"({alias}n.nspname, {alias}.relname) in ({listed})"


def _named(alias: str) -> str:
    """Return a relation joined with its schema."""
    return f"pg_class {alias} join pg_namespace {alias}n on {alias}n.oid = {alias}.relnamespace"


def _relations(spots: Collection[tuple[str, str]]) -> str:
    """Ask what has these names, and whose it is."""
    return f"""
select json_build_array(cn.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner), {_MINE.format("c")},
  case when c.relowner = u.oid or u.rolsuper or has_schema_privilege(c.relowner, cn.oid, 'CREATE') then '1' else '' end,
  c.oid::text || ' ' || c.relkind::text
)::text
from {_named("c")}
join pg_roles u on u.rolname = current_user
where {_among("c", spots)}"""


def _readers(spots: Collection[tuple[str, str]]) -> str:
    """Ask which views read these, which columns of them, and how they are written."""
    return f"""
select json_build_array(
  vn.nspname, v.relname, quote_ident(vn.nspname) || '.' || quote_ident(v.relname), pg_get_viewdef(v.oid),
  coalesce(array_to_string(v.reloptions, ', '), ''), pg_get_userbyid(v.relowner), {_MINE.format("v")},
  sn.nspname, s.relname, coalesce(json_agg(distinct a.attname) filter (where a.attname is not null), '[]'::json)::text
)::text
from pg_depend d
join pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
join {_named("v")} on v.oid = w.ev_class and v.relkind = 'v'
join {_named("s")} on d.refclassid = 'pg_class'::regclass and s.oid = d.refobjid and s.oid <> v.oid
left join pg_attribute a on a.attrelid = s.oid and a.attnum = d.refobjsubid and a.attnum > 0
where {_among("s", spots)}
group by v.oid, vn.nspname, v.relname, v.reloptions, v.relowner, sn.nspname, s.relname"""


def _tied(spots: Collection[tuple[str, str]]) -> str:
    """Ask what else depends on these, or on the type of their rows: foreign keys, functions, rules, policies,
    materialized views, children. What is their own comes along, or is not carried.
    """
    return f"""
select distinct json_build_array(
  sn.nspname, s.relname,
  case when w.rulename = '_RETURN' then pg_describe_object('pg_class'::regclass, w.ev_class, 0)
  else pg_describe_object(d.classid, d.objid, 0) end,
  hn.nspname, h.relname
)::text
from {_named("s")}
left join pg_type t on t.oid = s.reltype
join pg_depend d on (d.refclassid = 'pg_class'::regclass and d.refobjid = s.oid)
  or (d.refclassid = 'pg_type'::regclass and d.refobjid in (t.oid, t.typarray))
left join pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
left join pg_policy p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
left join pg_attrdef e on d.classid = 'pg_attrdef'::regclass and e.oid = d.objid
left join {_named("h")} on h.oid = coalesce(
  w.ev_class, k.conrelid, p.polrelid, e.adrelid, case when d.classid = 'pg_class'::regclass then d.objid end
)
where {_among("s", spots)} and d.deptype = 'n' and h.oid is distinct from s.oid
  and d.classid not in ('pg_publication_rel'::regclass, 'pg_statistic_ext'::regclass)
  and not exists (
    select from pg_trigger g where d.classid = 'pg_trigger'::regclass and g.oid = d.objid and g.tgrelid = s.oid
  )
  and not (w.oid is not null and h.relkind = 'v' and d.refclassid = 'pg_class'::regclass)"""


def _columns(spots: Collection[tuple[str, str]]) -> str:
    """Ask for the columns of these."""
    return f"""
select json_build_array(cn.nspname, c.relname, json_agg(a.attname order by a.attnum)::text)::text
from {_named("c")}
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where {_among("c", spots)} and c.relkind in ('r', 'v', 'm')
group by cn.nspname, c.relname"""


def _additions(spots: Collection[tuple[str, str]]) -> str:
    """Ask how the rows of these are copied, and what `like` leaves out that can be said again.

    Where a statement names the copy, it has `{{}}`.
    """
    return f"""
select json_build_array(
  cn.nspname, c.relname,
  'insert into {{}} (' || x.columns || ') overriding system value select ' || x.columns || ' from ' || c.oid::regclass
)::text
from {_named("c")}
cross join lateral (
  select string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns from pg_attribute a
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
) x
where {_among("c", spots)} and c.relkind = 'r'
union all
select json_build_array(
  cn.nspname, c.relname, 'select setval(pg_get_serial_sequence($name${{}}$name$, ' || quote_literal(a.attname)
  || '), last_value, is_called) from ' || pg_get_serial_sequence(c.oid::regclass::text, a.attname)
)::text
from {_named("c")}
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and a.attidentity <> ''
where {_among("c", spots)}
union all
select json_build_array(
  cn.nspname, c.relname,
  'alter table {{}} add constraint ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid)
)::text
from {_named("c")}
join pg_constraint k on k.conrelid = c.oid and k.contype = 'f'
where {_among("c", spots)}
union all
select json_build_array(cn.nspname, c.relname, 'alter table {{}} set unlogged')::text
from {_named("c")}
where {_among("c", spots)} and c.relkind = 'r' and c.relpersistence = 'u'
union all
select json_build_array(
  cn.nspname, c.relname, 'alter table {{}} set (' || array_to_string(c.reloptions, ', ') || ')'
)::text
from {_named("c")}
where {_among("c", spots)} and c.relkind = 'r' and c.reloptions is not null
union all
select json_build_array(
  cn.nspname, c.relname, 'comment on table {{}} is ' || quote_literal(obj_description(c.oid, 'pg_class'))
)::text
from {_named("c")}
where {_among("c", spots)} and c.relkind = 'r' and obj_description(c.oid, 'pg_class') is not null
union all
select json_build_array(
  cn.nspname, c.relname, 'revoke all on {{}} from '
  || string_agg(distinct case when e.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(e.grantee)) end, ', ')
)::text
from {_named("c")}
join pg_default_acl d on d.defaclobjtype = 'r' and d.defaclnamespace in (0, c.relnamespace)
  and d.defaclrole = current_user::regrole
cross join lateral aclexplode(d.defaclacl) e
where {_among("c", spots)} and c.relkind = 'r' and e.grantee <> d.defaclrole
group by cn.nspname, c.relname
union all
select json_build_array(cn.nspname, c.relname, 'alter table {{}} set tablespace ' || quote_ident(ts.spcname))::text
from {_named("c")} join pg_tablespace ts on ts.oid = c.reltablespace
where {_among("c", spots)} and c.relkind = 'r'"""


def _foreign(spots: Collection[tuple[str, str]]) -> str:
    """Ask for the foreign keys of these, and what they refer to."""
    return f"""
select json_build_array(
  cn.nspname, c.relname, quote_ident(k.conname), pg_get_constraintdef(k.oid), rn.nspname, r.relname
)::text
from {_named("c")}
join pg_constraint k on k.conrelid = c.oid and k.contype = 'f'
join {_named("r")} on r.oid = k.confrelid
where {_among("c", spots)}"""


def _uncopied(spots: Collection[tuple[str, str]]) -> str:
    """Ask what a copy of these would do without while it is built: triggers, rules, numbers of a sequence."""
    return f"""
select json_build_array(cn.nspname, c.relname, 'the sequence ' || q.oid::regclass)::text
from {_named("c")}
join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.deptype = 'a'
join pg_class q on d.classid = 'pg_class'::regclass and q.oid = d.objid and q.relkind = 'S'
where {_among("c", spots)}
union all
select json_build_array(cn.nspname, c.relname, 'forced row level security')::text
from {_named("c")}
where {_among("c", spots)} and c.relforcerowsecurity
union all
select json_build_array(cn.nspname, c.relname, 'rule ' || w.rulename)::text
from {_named("c")} join pg_rewrite w on w.ev_class = c.oid and w.rulename <> '_RETURN'
where {_among("c", spots)} and c.relkind = 'r'
union all
select json_build_array(cn.nspname, c.relname, 'trigger ' || t.tgname)::text
from {_named("c")} join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
where {_among("c", spots)}
union all
select json_build_array(cn.nspname, c.relname, 'partitions')::text
from {_named("c")}
where {_among("c", spots)} and (c.relispartition or c.relhassubclass)"""


ALL: Mapping[str, Query] = {
    "relations": _relations,
    "readers": _readers,
    "tied": _tied,
    "columns": _columns,
    "additions": _additions,
    "uncopied": _uncopied,
    "foreign": _foreign,
    "features": features,
    "privileges": privileges,
}
