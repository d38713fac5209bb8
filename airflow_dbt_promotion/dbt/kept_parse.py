"""partial_parse.msgpack: what dbt keeps of its last parse, schema files unrendered among it.

dbt rewrites it only when it parsed something again, while every command writes a manifest of its own, maybe of a parse
that lies elsewhere (`--partial-parse-file-path`). So it is used only where it provably is the parse of the manifest
beside it: dbt notes of each thing when it was parsed, and both have to say the same of every one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Raw

from airflow_dbt_promotion.core.definition import Checksum
from airflow_dbt_promotion.dbt.artifact_file import collector_off
from airflow_dbt_promotion.dbt.manifest import Manifest, utc
from airflow_dbt_promotion.dbt.schema_file import NOTHING, SchemaFile, holds_jinja, unpacked

_INCLUDED = ("dbt", "include")
"""Where dbt and adapters keep the projects that they bring along."""

FILE = "partial_parse.msgpack"

_HOOK = "operation."


class _Path(msgspec.Struct, gc=False):
    """Where a file lay when it was parsed."""

    project_root: str = ""


class _File(msgspec.Struct, gc=False):
    """One file that dbt read; `dfy` is the YAML of a schema file, packed."""

    checksum: Checksum
    path: _Path | None = None
    project_name: str | None = None
    dfy: Raw = NOTHING


class _Metadata(msgspec.Struct, gc=False):
    """What the kept parse says of itself."""

    dbt_version: str = ""
    generated_at: datetime | None = None
    invocation_id: str | None = None
    project_id: str | None = None


class _StateCheck(msgspec.Struct, gc=False):
    """What dbt compares before it goes on from the kept parse: the digest of each dbt_project.yml among it, and of what
    it connects to.
    """

    project_hashes: dict[str, Checksum] = {}
    profile_hash: Checksum = Checksum()


class _Checks(msgspec.Struct):
    """The part of a kept parse that says what it was made for."""

    state_check: _StateCheck = msgspec.field(default_factory=_StateCheck)


class _Made(msgspec.Struct, gc=False):
    """When dbt parsed one thing, and in which file it is written; models of other projects are in none."""

    created_at: float | None = None
    original_file_path: str = ""


class _Things(msgspec.Struct, gc=False):
    """Everything that dbt notes the time of its parsing of, by unique id; the same in a parse and in a manifest."""

    nodes: dict[str, _Made] = {}
    functions: dict[str, _Made] = {}
    sources: dict[str, _Made] = {}
    macros: dict[str, _Made] = {}
    exposures: dict[str, _Made] = {}
    unit_tests: dict[str, _Made] = {}


class KeptParse(_Things):
    """The part of a kept parse that is read."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    files: dict[str, _File] = {}
    state_check: _StateCheck = msgspec.field(default_factory=_StateCheck)

    def is_of(self, manifest: Manifest, data: bytes) -> bool:
        """Say whether this is the parse of a manifest, whose bytes are `data`.

        It is of the same project and dbt, not of later, and of everything in the manifest dbt says that it was parsed
        at the same instant. Hooks and models of other projects do
        not count: dbt makes them for each command.
        """
        kept, written = self.metadata, manifest.metadata
        if kept.project_id != written.project_id or kept.dbt_version != written.dbt_version:
            return False
        if kept.invocation_id != written.invocation_id and not _not_after(kept.generated_at, written.generated_at):
            return False
        patches = {node.patch_path for node in manifest.nodes.values() if node.patch_path is not None}
        return patches <= self.files.keys() and _made(self) == _made(_things.decode(data))

    def internal(self, root: str) -> frozenset[str]:
        """Return the packages that lie in a folder of dbt's own or of an adapter's, not in the project."""
        roots = dict(self._roots())
        return frozenset(
            name
            for name, folder in roots.items()
            if name != root and Path(folder).parent.parts[-2:] == _INCLUDED and not _is_in(folder, roots.get(root))
        )

    @property
    def connection(self) -> str | None:
        """Dbt's digest of the connection, which holds who connects but no password; None where there is none."""
        return self.state_check.profile_hash.checksum or None

    def schema_file(self, file_id: str) -> SchemaFile | None:
        """Return a schema file as dbt parsed it."""
        file = self.files.get(file_id)
        return SchemaFile(file.dfy) if file is not None and file.dfy != NOTHING else None

    def yaml(self) -> Iterator[object]:
        """Yield every schema file in which Jinja may read a var."""
        for file in self.files.values():
            if file.dfy != NOTHING and holds_jinja(file.dfy) and b"var" in bytes(file.dfy):
                yield unpacked(file.dfy)

    def read_files(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield every file that dbt read: its package, its path there, and dbt's checksum of the stripped text.

        The checksum is None for a seed over 1 MiB, of which dbt took none.
        """
        for id_, file in self.files.items():
            package, _, path = id_.partition("://")
            if path:
                yield (
                    package,
                    path.replace(os.sep, "/"),
                    file.checksum.checksum if file.checksum.name == "sha256" else None,
                )

    def project_digests(self) -> Mapping[str, str]:
        """Return the SHA-256 of each package's dbt_project.yml, as text that was read with universal newlines."""
        return {name: checksum.checksum for name, checksum in self.state_check.project_hashes.items()}

    def folders(self, root: str, project_dir: Path | None) -> Mapping[str, tuple[Path, ...]]:
        """Return where each package may lie: in the project at hand as it lay in the parsed one, or where it lay."""
        lay = dict(self._roots())
        found: dict[str, tuple[Path, ...]] = {}
        for name, folder in lay.items():
            moved = (
                (project_dir / os.path.relpath(folder, lay[root]),) if project_dir is not None and root in lay else ()
            )
            found[name] = (*moved, Path(folder))
        return {**found, root: (project_dir,)} if project_dir is not None else found

    def _roots(self) -> Iterator[tuple[str, str]]:
        """Yield the folder of each package that has a file."""
        seen = set()
        for file in self.files.values():
            if file.project_name and file.project_name not in seen and file.path and file.path.project_root:
                seen.add(file.project_name)
                yield file.project_name, file.path.project_root


def _is_in(folder: str, other: str | None) -> bool:
    """Say whether a folder lies in another."""
    return other is not None and Path(folder).is_relative_to(other)


def _not_after(kept: datetime | None, written: datetime | None) -> bool:
    """Say whether a parse was kept no later than a manifest was written."""
    first, second = utc(kept), utc(written)
    return first is not None and second is not None and first <= second


def _made(things: _Things) -> dict[str, float | None]:
    """Return when each thing of a parse or of a manifest was parsed."""
    sections = (things.nodes, things.functions, things.sources, things.macros, things.exposures, things.unit_tests)
    return {
        id_: made.created_at
        for section in sections
        for id_, made in section.items()
        if made.original_file_path and not id_.startswith(_HOOK)
    }


_decoder = msgspec.msgpack.Decoder(KeptParse)
_checks = msgspec.msgpack.Decoder(_Checks)
_things = msgspec.json.Decoder(_Things)


def connection_in(packed: bytes) -> str | None:
    """Return dbt's digest of the connection in a packed parse. Raises MsgspecError."""
    return _checks.decode(packed).state_check.profile_hash.checksum or None


def read_kept_parse(target_path: Path) -> KeptParse | None:
    """Return the kept parse of a target folder, or None where none can be read: dbt makes a new one then, too.

    Schema files are copied out of the file's bytes, so that those (as large as the manifest) are gone when the
    manifest is decoded.
    """
    try:
        with collector_off():
            kept = _decoder.decode((target_path / FILE).read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    for file in kept.files.values():
        if file.dfy is not NOTHING:
            file.dfy = file.dfy.copy()
    return kept
