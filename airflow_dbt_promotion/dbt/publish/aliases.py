"""Names that a query takes from the relations that it reads: `select orders.id from {{ ref('orders') }}`.

What is built beside has another name, so that such a query would not find its columns. It is given the name that the
relation has in place as an alias, which is what the warehouse takes it for there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from airflow_dbt_promotion.core.identity import ModelId

_REF = re.compile(
    r"""(?P<before>\b(?:from|join)\s+)
    (?P<ref>\{\{-?\s*ref\(\s*
      (?:(?P<q1>['"])(?P<package>[^'"]+)(?P=q1)\s*,\s*)?
      (?P<q2>['"])(?P<name>[^'"]+)(?P=q2)\s*
      (?:,\s*(?:v|version)\s*=\s*['"]?(?P<version>[\w.]+)['"]?\s*)?
    \)\s*-?\}\})""",
    re.IGNORECASE | re.VERBOSE,
)
_NO_ALIAS = re.compile(
    r"""(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\{\#.*?\#\}|\{%.*?%\})*
    (?:$|[),;]|(?:where|join|inner|left|right|full|cross|natural|on|using|group|order|having|limit|offset|union
      |intersect|except|window|qualify|fetch)\b)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def aliased(code: str, parents: Collection[ModelId], names: Mapping[ModelId, tuple[str, str]]) -> str:
    """Return a query in which every relation has the name by which the query calls its columns.

    `names` has, of each model that is built beside, its name in place, bare and as SQL has it. Left alone is whatever
    has an alias, or is nothing that is certain to have none, and what is called by its whole name, as in
    `{{ ref('orders') }}.id`.
    """

    def named(found: re.Match[str]) -> str:
        model = _model(found, parents)
        if model not in names or not _NO_ALIAS.match(code, found.end()):
            return found.group()
        bare, sql = names[model]
        called = re.compile(rf"""(?<![\w."`$])["`]?{re.escape(bare)}["`]?\s*\.""", re.IGNORECASE)
        if not called.search(code) or re.search(rf"{re.escape(found['ref'])}\s*\.", code):
            return found.group()
        return f"{found.group()}{{{{ {f' as {sql}'!r} }}}}"

    return _REF.sub(named, code)


def _model(found: re.Match[str], parents: Collection[ModelId]) -> ModelId:
    """Return the parent that a `ref` names, an empty one where that is not certain."""
    package, name, version = found["package"], found["name"], found["version"]
    fits = []
    for parent in parents:
        _type, of, called, *rest = parent.split(".", 3)
        if called == name and package in {None, of} and (version is None or rest == [f"v{version}"]):
            fits.append(parent)
    return fits[0] if len(fits) == 1 else ModelId("")
