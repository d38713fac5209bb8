"""What PostgreSQL's catalogs hold of a relation that no dbt config made: found, and how the next one comes to it.

Each row has a statement that is carried out once the next relation has its name, or none where nothing can be done.
Whatever else refers to a relation is a row without one, so that nothing is lost that nobody thought of.
"""

from __future__ import annotations

from collections.abc import Collection

from airflow_dbt_promotion.dbt.publish.dialect import literal

WAS, TOKEN = "{promotion_was}", "{promotion_token}"
"""What statements have for the name of what was replaced, and for the token of a swap."""

_KNOWN = ("class", "type", "attrdef", "constraint", "trigger", "policy", "rewrite", "statistic_ext", "publication_rel")

_COLUMN = "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"

_FEATURES = {
    "row level security": """
select '', '', case when c.relrowsecurity then format('alter table %s enable row level security; ', r) else '' end
  || case when c.relforcerowsecurity then format('alter table %s force row level security', r) else '' end
{from} where c.relrowsecurity or c.relforcerowsecurity""",
    "policy": """
select p.polname::text, '', format(
  'create policy %I on %s as %s for %s to %s', p.polname, r,
  case when p.polpermissive then 'permissive' else 'restrictive' end,
  case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
  else 'all' end,
  (select string_agg(case when u.o = 0 then 'public' else quote_ident(pg_get_userbyid(u.o)) end, ', ')
   from unnest(p.polroles) as u (o))
) || coalesce(' using (' || pg_get_expr(p.polqual, c.oid) || ')', '')
  || coalesce(' with check (' || pg_get_expr(p.polwithcheck, c.oid) || ')', '')
{from} join pg_policy p on p.polrelid = c.oid""",
    "trigger": """
select t.tgname::text, '', pg_get_triggerdef(t.oid) || case when t.tgenabled = 'O' then '' else format(
  '; alter table %s %s trigger %I', r,
  case t.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, t.tgname
) end
{from} join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal""",
    "rule": """
select w.rulename::text, '', pg_get_ruledef(w.oid) || case when w.ev_enabled = 'O' then '' else format(
  '; alter table %s %s rule %I', r,
  case w.ev_enabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, w.rulename
) end
{from} join pg_rewrite w on w.ev_class = c.oid and w.rulename <> '_RETURN'""",
    "publication": """
select b.pubname::text, '', format('alter publication %I drop table {was}; alter publication %I add table only %s',
  b.pubname, b.pubname, r)
  || coalesce(' (' || (select string_agg(quote_ident(q.n), ', ') from jsonb_array_elements_text(
    case when coalesce(to_jsonb(pr) ->> 'prattrs', '') <> '' then to_jsonb(pt) -> 'attnames' end) as q (n)) || ')', '')
  || coalesce(' where (' || (to_jsonb(pt) ->> 'rowfilter') || ')', '')
{from} join pg_publication_rel pr on pr.prrelid = c.oid join pg_publication b on b.oid = pr.prpubid
left join pg_publication_tables pt
  on pt.pubname = b.pubname and pt.schemaname = cn.nspname and pt.tablename = c.relname""",
    "replica identity": """
select '', '', case c.relreplident when 'f' then format('alter table %s replica identity full', r)
  when 'n' then format('alter table %s replica identity nothing', r) end
{from} where c.relkind = 'r' and c.relreplident <> 'd'""",
    "statistics": """
select s.stxname::text, '', format('alter statistics %I.%I rename to %I; ', sn.nspname, s.stxname,
  left(s.stxname, 40) || '__was_' || '{token}') || pg_get_statisticsobjdef(s.oid)
  || coalesce(format('; alter statistics %I.%I set statistics ', sn.nspname, s.stxname)
    || nullif(to_jsonb(s) ->> 'stxstattarget', '-1'), '')
{from} join pg_statistic_ext s on s.stxrelid = c.oid join pg_namespace sn on sn.oid = s.stxnamespace""",
    "statistics target of column": """
select a.attname::text, a.attname::text,
  format('alter table %s alter column %I set statistics %s', r, a.attname, a.attstattarget)
{from} {column} where coalesce(a.attstattarget, -1) >= 0""",
    "options of column": """
select a.attname::text, a.attname::text,
  format('alter table %s alter column %I set (%s)', r, a.attname, array_to_string(a.attoptions, ', '))
{from} {column} where a.attoptions is not null""",
    "privileges on column": """
select a.attname::text, a.attname::text, string_agg(format('grant %s (%I) on %s to %s%s', g.privilege_type, a.attname,
  r, case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
  case when g.is_grantable then ' with grant option' else '' end), '; ')
{from} {column} cross join lateral aclexplode(a.attacl) g group by cn.nspname, c.relname, a.attname""",
    "security label": """
select l.provider || coalesce(' on ' || a.attname, ''), coalesce(a.attname::text, ''),
  format('security label for %I on %s %s is %L', l.provider, case when l.objsubid > 0 then 'column'
  when c.relkind = 'r' then 'table' when c.relkind = 'v' then 'view' else 'materialized view' end,
  r || coalesce('.' || quote_ident(a.attname), ''), l.label)
{from} join pg_seclabel l on l.classoid = 'pg_class'::regclass and l.objoid = c.oid
left join pg_attribute a on a.attrelid = c.oid and a.attnum = l.objsubid and l.objsubid > 0""",
    "options": """
select '', '', format('alter %s %s set (%s)', case c.relkind when 'r' then 'table' when 'v' then 'view'
  else 'materialized view' end, r, array_to_string(c.reloptions, ', '))
{from} where c.reloptions is not null""",
    "tablespace": """
select ts.spcname::text, '', null::text {from} join pg_tablespace ts on ts.oid = c.reltablespace""",
    "access method": """
select am.amname::text, '', null::text
{from} join pg_am am on am.oid = c.relam and am.amname <> current_setting('default_table_access_method')""",
    "parent": """
select i.inhparent::regclass::text, '', null::text {from} join pg_inherits i on i.inhrelid = c.oid""",
    "type": "select c.reloftype::regtype::text, '', null::text {from} where c.reloftype <> 0",
    "subscription": """
select u.subname::text, '', null::text
{from} join pg_subscription_rel sr on sr.srrelid = c.oid join (select oid, subname from pg_subscription) u
  on u.oid = sr.srsubid""",
    "extension": """
select pg_describe_object(d.refclassid, d.refobjid, 0), '', null::text
{from} join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('e', 'x')""",
    "unknown": """
select pg_describe_object(d.classid, d.objid, d.objsubid), '', null::text
{from} join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.deptype <> 'n'
  and d.classid not in ({known})""",
}


def features(spots: Collection[tuple[str, str]]) -> str:
    """Ask for what no dbt config made: the kind of it, what it is called, its column, and the statement."""
    listed = ", ".join(f"({literal(schema)}, {literal(name)})" for schema, name in spots)
    known = ", ".join(f"'pg_{name}'::regclass" for name in _KNOWN)
    source = f"""
from pg_class c
join pg_namespace cn on cn.oid = c.relnamespace and (cn.nspname, c.relname) in ({listed})
  and c.relkind in ('r', 'v', 'm')
cross join lateral (select format('%I.%I', cn.nspname, c.relname) as r) as named"""
    found = []
    for kind, query in _FEATURES.items():
        text = query.replace("{from}", source).replace("{column}", _COLUMN).replace("{known}", known)
        text = text.replace("{was}", WAS).replace("{token}", TOKEN)
        text = text.replace("select ", "select cn.nspname::text, c.relname::text, ", 1)
        grouped = text.replace("c.relname, a.attname", "c.relname, r, a.attname") if "group by" in text else text
        row = f"json_build_array(s, n, {literal(kind)}, told, col, statement)::text"
        found.append(f"select {row} from ({grouped}) as f (s, n, told, col, statement)")
    return "\nunion all\n".join(found)


def privileges(spots: Collection[tuple[str, str]]) -> str:
    """Ask for every privilege on these that is not the owner's, and whether default privileges give it."""
    listed = ", ".join(f"({literal(schema)}, {literal(name)})" for schema, name in spots)
    return f"""
select json_build_array(
  cn.nspname, c.relname, case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
  g.privilege_type, case when g.is_grantable then '1' else '' end,
  case when exists (
    select from pg_default_acl d cross join lateral aclexplode(d.defaclacl) e
    where d.defaclobjtype = 'r' and d.defaclrole = c.relowner and d.defaclnamespace in (0, c.relnamespace)
      and e.grantee = g.grantee and e.privilege_type = g.privilege_type
  ) then '1' else '' end
)::text
from pg_class c join pg_namespace cn on cn.oid = c.relnamespace
cross join lateral aclexplode(c.relacl) g
where (cn.nspname, c.relname) in ({listed}) and c.relkind in ('r', 'v', 'm') and g.grantee <> c.relowner"""
