"""Versions of format 1: what the versions of a project were before format 2, frozen.

Documents of schema 7 and earlier hold them. They are computed only to recognise them (see `core/recognition.py`).
Nothing here may change, since every byte enters digests that are on record.
"""

from __future__ import annotations

from airflow_dbt_promotion.core.definition import Definition, Node
from airflow_dbt_promotion.core.fingerprint import Fingerprinting, column_types
from airflow_dbt_promotion.core.identity import Digest, digest_of
from airflow_dbt_promotion.core.macros import MacroIndex, sounds_internal
from airflow_dbt_promotion.core.release import ModelKind, Release


def release_of_format_one(definition: Definition) -> Release:
    """Return the release that a parse makes, its versions and digests of format 1. Raises as `release_of` does."""
    return _FormatOne(definition).release()


class _FormatOne(Fingerprinting):
    """One pass over one definition, by the rules of format 1."""

    format = 1

    def _index_macros(self, definition: Definition) -> MacroIndex:
        """Return the macros as their files have them; a package was dbt's own by its name alone."""
        packages = {macro.package_name for macro in definition.macros.values()}
        named = {package for package in packages if sounds_internal(package, definition.adapter_type)}
        return MacroIndex(definition.macros, named)

    def _code(self, node: Node) -> Digest:
        """Return the digest of the source, the config that applies to it, types of columns, macros and vars."""
        config, columns = self._config_of(node), _unquoted(self._columns_of(node))
        reached, read = self._reach(node, config, columns)
        seed = node.resource_type == ModelKind.SEED.value
        return digest_of(
            [
                node.language,
                (node.checksum_of_format_one or node.checksum.checksum) if seed else node.raw_code,
                config.code,
                column_types(node) if columns is None else columns,
                reached.digest,
                self._vars.of(read),
                self._definition.dispatch if reached.dispatched else None,
            ]
        )

    def _meta(self, node: Node) -> Digest:
        """Return the digest of what people know of a model, and where it goes."""
        columns = sorted([(name, column.description) for name, column in node.columns.items() if column.description])
        return digest_of([node.description, self._config_of(node).known, columns, node.group, node.access])


def _unquoted(columns: object) -> object:
    """Return columns as written without `quote`, which was left out."""
    if not isinstance(columns, list):
        return columns
    return [{k: v for k, v in one.items() if k != "quote"} if isinstance(one, dict) else one for one in columns]
