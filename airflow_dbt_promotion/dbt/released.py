"""Kept releases, parsed for a target: the sources are the truth, a parse of theirs is a cache."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import Checksum, Definition, Node, Origin
from airflow_dbt_promotion.core.errors import ArtifactError, DbtProjectError, ReleaseError
from airflow_dbt_promotion.core.identity import ReleaseId, short
from airflow_dbt_promotion.core.kept import SourceTree
from airflow_dbt_promotion.core.ports import ReleaseStore
from airflow_dbt_promotion.dbt import kept_parse, manifest, project_file
from airflow_dbt_promotion.dbt.artifacts import read_definition
from airflow_dbt_promotion.dbt.circumstances import Circumstances, circumstances
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject, DbtRunner
from airflow_dbt_promotion.dbt.layout import Layout
from airflow_dbt_promotion.dbt.sources import seed_digest

_MOST_IN_MEMORY = 16
_FILES = (kept_parse.FILE, manifest.FILE)
_READ_BACK = (project_file.FILE, project_file.VARS_FILE)


class Parsed(Struct, frozen=True, kw_only=True):
    """A kept release, parsed for one target: what it says, dbt's own form of it, and the environment that it read."""

    definition: Definition
    packed: bytes
    env_vars: Mapping[str, str]


class _Read(msgspec.Struct):
    """The part of dbt's kept parse that tells which environment variables were read."""

    env_vars: dict[str, str] = {}


_decoder = msgspec.msgpack.Decoder(_Read)


class Releases:
    """The kept releases of one project, as dbt parses them.

    dbt stands in the project at hand while it parses, since paths in its profile begin there, and writes nothing there.
    """

    def __init__(self, store: ReleaseStore, project: DbtProject, runner: DbtRunner) -> None:
        """Take where releases are kept, the project at hand (for its profile), and how dbt is run."""
        self._store, self._project, self._runner = store, project, runner
        self._memory: OrderedDict[tuple[ReleaseId, str], Parsed] = OrderedDict()

    def parsed(self, release: ReleaseId, target: str, vars_: Mapping[str, object], *, dry: bool) -> Parsed:
        """Return a release as dbt parses it for a target: from memory, the store's cache, or now.

        `dry` leaves nothing in the store. Raises ReleaseError and its kin, DbtProjectError, DbtError.
        """
        now = circumstances(self._project, self._runner.versions(), target, vars_)
        here = release, now.key_here()
        found = self._memory.get(here)
        if found is None or not now.still_hold(found.env_vars):
            found = self._memory[here] = self._load(release, now, dry=dry)
        self._memory.move_to_end(here)
        while len(self._memory) > _MOST_IN_MEMORY:
            self._memory.popitem(last=False)
        return found

    def layout(self, release: ReleaseId) -> Layout:
        """Return how the files of a release lie. Raises ReleaseError and its kin."""
        return Layout(self._store.tree(release), self._store.read)

    def _load(self, release: ReleaseId, now: Circumstances, *, dry: bool) -> Parsed:
        """Return a release from the store's cache, else parse it."""
        tree = self._store.tree(release)
        key = now.key(self._project_files(tree))
        files = self._store.parse(release, key) if key is not None else None
        found = self._from_cache(release, tree, now, files) if files is not None else None
        if found is None:
            found, files = self._parse(release, tree, now)
            if key is not None and not dry and found.definition.origin is Origin.PARSE:
                self._store.keep_parse(release, key, files)
        return found

    def _from_cache(
        self, release: ReleaseId, tree: SourceTree, now: Circumstances, files: Mapping[str, bytes]
    ) -> Parsed | None:
        """Return a cached parse, None where it cannot be read, is of other files or of another environment."""
        if files.keys() != set(_FILES):
            return None
        with _folder() as folder:
            self._write(tree, folder / "project", (path for path in tree.files if _name(path) in _READ_BACK))
            target_path = folder / "target"
            target_path.mkdir()
            for name, data in files.items():
                (target_path / name).write_bytes(data)
            try:
                found = self._parsed(release, tree, now, folder)
            except (ArtifactError, msgspec.MsgspecError, UnicodeDecodeError):
                return None
        usable = found.definition.origin is Origin.PARSE and now.still_hold(found.env_vars)
        return found if usable else None

    def _parse(self, release: ReleaseId, tree: SourceTree, now: Circumstances) -> tuple[Parsed, Mapping[str, bytes]]:
        """Have dbt parse the files of a release, in a folder of their own."""
        with _folder() as folder:
            self._write(tree, folder / "project", tree.files)
            project = replace(
                self._project,
                project_dir=folder / "project",
                target_path=folder / "target",
                working_dir=self._project.stands_in,
            )
            invocation = DbtInvocation(command=DbtCommand.PARSE, target=now.target, vars=now.vars)
            try:
                self._runner.invoke(project, invocation, None)
            except DbtProjectError as error:
                words = [word.replace(f"{folder / 'project'}/", "") for word in error.words]
                raise DbtProjectError(self._told(release, now.target), words) from error
            files = {name: (folder / "target" / name).read_bytes() for name in _FILES}
            return self._parsed(release, tree, now, folder), files

    def _parsed(self, release: ReleaseId, tree: SourceTree, now: Circumstances, folder: Path) -> Parsed:
        """Read a parse that lies in a folder beside the files that it is of."""
        packed = (folder / "target" / kept_parse.FILE).read_bytes()
        definition = read_definition(folder / "target", folder / "project")
        return Parsed(
            definition=replace(
                definition,
                where=self._told(release, now.target),
                nodes=self._with_big_seeds(definition.nodes, tree),
            ),
            packed=packed,
            env_vars=_decoder.decode(packed).env_vars,
        )

    def _with_big_seeds(self, nodes: Mapping[str, Node], tree: SourceTree) -> Mapping[str, Node]:
        """Return nodes with the content's digest for the seeds that dbt finds too big to read."""
        big = [node for node in nodes.values() if node.checksum.is_of_path]
        if not big:
            return nodes
        layout = Layout(tree, self._store.read)
        found = {node.unique_id: layout.file_of(node.package_name, node.original_file_path) for node in big}
        return {
            **nodes,
            **{
                node.unique_id: replace(
                    node, checksum=Checksum("sha256", seed_digest(self._store.read(tree.files[path], path)))
                )
                for node in big
                if (path := found[node.unique_id]) is not None
            },
        }

    def _project_files(self, tree: SourceTree) -> list[str]:
        """Return the text of each dbt_project.yml in a tree."""
        return [
            self._store.read(digested, path).decode("utf-8", errors="replace")
            for path, digested in sorted(tree.files.items())
            if _name(path) in _READ_BACK
        ]

    def _write(self, tree: SourceTree, folder: Path, paths: Iterable[str]) -> None:
        """Write files of a tree into a folder."""
        folder.mkdir()
        made = {folder}
        for path in paths:
            file = folder / path
            if file.parent not in made:
                file.parent.mkdir(parents=True, exist_ok=True)
                made.add(file.parent)
            file.write_bytes(self._store.read(tree.files[path], path))

    def _told(self, release: ReleaseId, target: str) -> str:
        """Return what people are told that a release is, with the dbt that it was kept with."""
        try:
            provenance = self._store.provenance(release)
        except ReleaseError:
            return f"release {short(release)} for target {target}"
        kept_with = " ".join(part for part in ("dbt", provenance.dbt_version, provenance.adapter_type) if part)
        return f"release {short(release)} (kept with {kept_with}) for target {target}"


def _name(path: str) -> str:
    return PurePosixPath(path).name


@contextmanager
def _folder() -> Iterator[Path]:
    """Yield a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="dbt-promote-") as folder:
        yield Path(folder).resolve()
