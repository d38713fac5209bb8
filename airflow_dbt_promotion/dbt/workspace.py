"""The folder that dbt reads from beside a parse that it is handed: project files, and the seeds' bytes.

dbt asks the project folder for vars, dispatch, quoting and flags (dbt_project.yml, of each installed package too), for
named selectors, for how many packages there are, and for the rows of seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.definition import Node
from airflow_dbt_promotion.core.errors import UnservableError
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.dbt.layout import ROOT, Layout
from airflow_dbt_promotion.dbt.project_file import FILE, VARS_FILE, key_text

_SEED = "seed"
_YAML = frozenset({".yml", ".yaml"})


class Workspace:
    """What one composition needs in its project folder, by path: bytes, or documents to be written as YAML."""

    def __init__(self, environment: str, composition: Composition, layouts: Mapping[ReleaseId, Layout]) -> None:
        """Put together what is needed; `layouts` has every release of the composition.

        Raises UnservableError where two seeds need different bytes at one path, or a seed's file is not kept.
        """
        self._environment, self._composition, self._layouts = environment, composition, layouts
        self._base = layouts[composition.base]
        self.folders = {**self._base.folders, **dict(self._more_packages())}
        self.files: dict[str, bytes] = {}
        self._add_project_files()
        self._add_vars()
        self._add_seeds()

    def write(self, folder: Path) -> None:
        """Write everything into a folder that is not there yet."""
        folder.mkdir()
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def changes(self, folder: Path) -> Mapping[str, Mapping[str, object]]:
        """Return what seeds have to say of where their file is: dbt remembers the folder in which it parsed them."""
        return {seed.unique_id: {"root_path": str(folder / self.folders[seed.package_name])} for seed in self._seeds()}

    def _more_packages(self) -> Iterator[tuple[str, str]]:
        """Yield the folder of each package that is needed and not the base's."""
        for node in self._composition.definition.nodes.values():
            layout = self._layouts[self._composition.origins[node.unique_id]]
            if node.package_name not in self._base.folders and node.package_name in layout.folders:
                yield node.package_name, layout.folders[node.package_name]

    def _holder(self, package: str) -> Layout:
        """Return the release whose project file a package has here."""
        if package in self._base.folders:
            return self._base
        return next(
            layout for release, layout in sorted(self._layouts.items()) if layout.folders.get(package) is not None
        )

    def _add_project_files(self) -> None:
        """Add the YAML files in the project's own folder, and each package's project file."""
        for path in self._base.tree.files:
            pure = PurePosixPath(path)
            if pure.name == FILE or (len(pure.parts) == 1 and pure.suffix in _YAML):
                self.files[path] = self._base.read(path)
        for package, folder in self.folders.items():
            path = str(PurePosixPath(folder) / FILE)
            if path not in self.files:
                layout = self._holder(package)
                self.files[path] = layout.read(str(PurePosixPath(layout.folders[package]) / FILE))

    def _add_vars(self) -> None:
        """Let vars be declared as in their releases, where those differ from the base."""
        if not self._composition.vars:
            return
        for package, folder in self.folders.items():
            holder = self._holder(package)
            for name in (FILE, VARS_FILE) if folder == ROOT else (FILE,):
                path = str(PurePosixPath(folder) / name)
                document = holder.document(str(PurePosixPath(holder.folders[package]) / name))
                vars_ = self._vars(package, name, _mapping(document.get("vars")))
                if vars_ != _mapping(document.get("vars")):
                    text = yaml.safe_dump({**document, "vars": vars_}, sort_keys=False, allow_unicode=True)
                    self.files[path] = text.encode()

    def _vars(self, package: str, name: str, held: dict[Any, Any]) -> dict[Any, Any]:
        """Return the vars that one file of a package declares, each as in its release."""
        for var, release in self._composition.vars.items():
            layout = self._layouts[release]
            folder = layout.folders.get(package)
            document = layout.document(str(PurePosixPath(folder) / name)) if folder is not None else {}
            said, scopes = _mapping(document.get("vars")), {*self.folders, *layout.folders}
            held = {**_without(held, var, scopes), **_only(said, var, scopes)}
            for scope in sorted(scopes):
                there, here = said.get(scope), held.get(scope, {})
                if isinstance(here, dict) and (scope in held or isinstance(there, dict)):
                    inner = {**_without(here, var), **_only(_mapping(there), var)}
                    held = {**held, scope: inner} if inner or here else held
        return held

    def _add_seeds(self) -> None:
        """Add each seed's file, from its own release."""
        needed: dict[str, tuple[Node, bytes]] = {}
        for seed in self._seeds():
            layout = self._layouts[self._composition.origins[seed.unique_id]]
            source = layout.file_of(seed.package_name, seed.original_file_path)
            if source is None or seed.package_name not in self.folders:
                problem = f"{seed.original_file_path} is not among the kept sources of its release"
                raise self._unservable([seed], problem)
            path = str(PurePosixPath(self.folders[seed.package_name]) / seed.original_file_path.replace("\\", "/"))
            data = layout.read(source)
            if path in needed and needed[path][1] != data:
                raise self._unservable([needed[path][0], seed], f"two seeds need different bytes in {path}")
            needed[path] = seed, data
        self.files.update((path, data) for path, (_, data) in needed.items())

    def _seeds(self) -> Iterator[Node]:
        """Yield the seeds of the composition."""
        return (node for node in self._composition.definition.nodes.values() if node.resource_type == _SEED)

    def _unservable(self, seeds: list[Node], problem: str) -> UnservableError:
        return UnservableError(self._environment, (ModelId(seed.unique_id) for seed in seeds), problem)


def _mapping(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _is(key: object, value: object, var: str, scopes: set[str]) -> bool:
    """Say whether an entry declares a var, and is no package's scope."""
    return key_text(key) == var and not (key in scopes and isinstance(value, dict))


def _without(vars_: Mapping[Any, Any], var: str, scopes: set[str] | None = None) -> dict[Any, Any]:
    return {key: value for key, value in vars_.items() if not _is(key, value, var, scopes or set())}


def _only(vars_: Mapping[Any, Any], var: str, scopes: set[str] | None = None) -> dict[Any, Any]:
    return {key: value for key, value in vars_.items() if _is(key, value, var, scopes or set())}
