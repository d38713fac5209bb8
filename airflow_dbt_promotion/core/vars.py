"""Vars: which of them some code reads, told from its text alone, and what the project declares for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from airflow_dbt_promotion.core.definition import DeclaredVar
from airflow_dbt_promotion.core.identity import Digest, digest_of

ALL_VARS = "*"
"""Stands for every declared var, where code reads one by a name that is computed."""

_VAR = re.compile(r"var(?<!\wvar)\b(?:\s*(?:\.\s*has_var\s*)?\(\s*(?:'([^'\\]+)'|\"([^\"\\]+)\")\s*[,)])?")


def vars_read(blocks: str) -> frozenset[str]:
    """Return the names of the vars that some Jinja reads; `ALL_VARS` among them where a name is computed."""
    if "var" not in blocks:
        return frozenset()
    return frozenset(single or double or ALL_VARS for single, double in _VAR.findall(blocks))


class DeclaredVars:
    """Every var that a project and its packages declare, as written."""

    def __init__(self, declared: Iterable[DeclaredVar]) -> None:
        """Index the declarations by name, each in the order of the projects and scopes that they stand in."""
        self._values: dict[str, list[tuple[str, str, object]]] = {}
        for var in sorted(declared, key=lambda var: (var.name, var.declared_in, var.scope)):
            self._values.setdefault(var.name, []).append((var.declared_in, var.scope, var.value))

    @property
    def names(self) -> frozenset[str]:
        """Return every name that is declared."""
        return frozenset(self._values)

    def single(self, project: str) -> Mapping[str, Digest]:
        """Return the vars that the root project declares for all, and nobody declares otherwise, with their digests."""
        return {
            name: digest_of(values[0][2])
            for name, values in self._values.items()
            if (project, "") in {(declared_in, scope) for declared_in, scope, _ in values}
            and len({digest_of(value) for _, _, value in values}) == 1
        }

    def of(self, names: frozenset[str]) -> list[tuple[str, list[tuple[str, str, object]]]]:
        """Return what is declared for some vars, sorted; for every var where one is read by a computed name."""
        if not names:
            return []
        chosen = self._values.keys() if ALL_VARS in names else names & self._values.keys()
        return [(name, self._values[name]) for name in sorted(chosen)]
