"""dbt_project.yml as written: config by folder, vars, dispatch. Nothing in it is ever rendered here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from airflow_dbt_promotion.core.definition import DeclaredVar
from airflow_dbt_promotion.core.errors import ArtifactError

FILE = "dbt_project.yml"

VARS_FILE = "vars.yml"
"""dbt 1.12 takes the root project's vars from here as well."""

SECTIONS = {
    "model": "models",
    "seed": "seeds",
    "snapshot": "snapshots",
    "function": "functions",
    "test": "data_tests",
}
"""What dbt_project.yml and schema files call each kind of node."""

_JOINED = frozenset({"pre_hook", "post_hook", "tags", "packages"})
"""Config that dbt collects over its levels, instead of taking the nearest."""

_SOURCE_PATHS = {
    "model-paths": "models",
    "macro-paths": "macros",
    "seed-paths": "seeds",
    "snapshot-paths": "snapshots",
    "test-paths": "tests",
    "analysis-paths": "analyses",
    "function-paths": "functions",
    "docs-paths": None,
}
"""Where dbt looks for sources, and its defaults. Docs are looked for in all of them."""

_OLD_NAMES = {"model-paths": "source-paths", "seed-paths": "data-paths"}
"""What dbt still takes where the present name is not written."""

_Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The fast loader, where PyYAML was built with it."""


def _date_as_text(loader: Any, node: Any) -> str:  # noqa: ANN401 - PyYAML does not say what a constructor takes
    """Return a YAML timestamp in ISO 8601, as dbt's kept parse holds it."""
    return str(yaml.SafeLoader.construct_yaml_timestamp(loader, node).isoformat())


_Loader = type(
    "_Loader", (_Base,), {"__doc__": "Loads YAML as dbt does, but dates as text, so that every value can be JSON."}
)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date_as_text)  # type: ignore[attr-defined]  # every loader has it


def load_yaml(path: Path, text: str) -> dict[str, Any]:
    """Return the mapping that a YAML file holds, maybe empty. Raises ArtifactError with line and column."""
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader by descent
    except (yaml.YAMLError, ValueError) as error:
        raise ArtifactError(str(path), f"is no YAML: {' '.join(str(error).split())}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ArtifactError(str(path), "holds no mapping at its top level")
    return value


def load_plain_yaml(path: str, data: bytes) -> dict[str, Any]:
    """Return the mapping that a YAML file holds, with every value as dbt has it, dates too, so that it can be written
    again. Raises ArtifactError.
    """
    try:
        value = yaml.load(data, Loader=_Base)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError) as error:
        raise ArtifactError(path, f"is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict | None):
        raise ArtifactError(path, "holds no mapping at its top level")
    return value or {}


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever YAML can hold
    """Return a YAML value with text keys at every depth, as JSON needs them."""
    match value:
        case dict():
            return {key_text(key): plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def key_text(key: object) -> str:
    """Return a key as JSON writes it."""
    match key:
        case str():
            return key
        case bool():
            return "true" if key else "false"
        case None:
            return "null"
        case _:
            return str(key)


def merged(levels: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return config merged over its levels, the nearest last.

    Hooks, tags and packages are joined as dbt joins them, mappings are laid over each other, anything else is taken
    from the nearest.
    """
    result: dict[str, Any] = {}
    for level in levels:
        for written, value in level.items():
            key = written.replace("-hook", "_hook") if written in {"pre-hook", "post-hook"} else written
            held = result.get(key)
            if key in _JOINED:
                result[key] = [*_listed(held), *_listed(value)]
            elif isinstance(held, dict) and isinstance(value, dict):
                result[key] = {**held, **value}
            else:
                result[key] = value
    return result


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - whatever YAML can hold
    """Return a value as the list that dbt makes of it."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


class ProjectFile:
    """One dbt_project.yml."""

    def __init__(self, document: Mapping[str, Any], extra_vars: Mapping[str, Any] | None = None) -> None:
        """Take the mapping that the file holds, and the vars of a file beside it."""
        self.name = str(document.get("name", ""))
        profile = document.get("profile")
        self.profile = profile if isinstance(profile, str) and "{" not in profile else None
        self.dispatch = plain(document.get("dispatch")) or None
        self.quoting = plain(document.get("quoting")) or None
        self.packages_path = str(document.get("packages-install-path") or "dbt_packages")
        self.source_paths = {key: paths for key in _SOURCE_PATHS if (paths := _paths(document, key)) is not None}
        self.document = document
        flags = plain(document.get("flags") or document.get("config"))
        self.flags: Mapping[str, object] = flags if isinstance(flags, dict) else {}
        self._vars = {**_mapping(document.get("vars")), **(extra_vars or {})}
        self._levels: dict[tuple[str, ...], tuple[Mapping[str, Any], ...]] = {}

    def levels(self, section: str, fqn: tuple[str, ...]) -> tuple[Mapping[str, Any], ...]:
        """Return the config of each folder level that applies to a node, the nearest last; one tuple for one place."""
        node = self._section(section)
        path = [section]
        nodes = [node]
        for part in fqn:
            below = node.get(part)
            if not isinstance(below, dict):
                break
            node = below
            path.append(part)
            nodes.append(node)
        key = tuple(path)
        if key not in self._levels:
            found = (_own_config(level) for level in nodes)
            self._levels[key] = tuple(level for level in found if level)
        return self._levels[key]

    def _section(self, section: str) -> Mapping[str, Any]:
        """Return the config of one kind of node; `tests` is the old name of `data_tests`."""
        if section == "data_tests" and section not in self.document:
            section = "tests"
        return _mapping(self.document.get(section))

    def vars(self, packages: Iterable[str]) -> Iterator[DeclaredVar]:
        """Yield what the file declares; a mapping under a package's name is that package's scope."""
        known = {*packages, self.name}
        for name, value in self._vars.items():
            if name in known and isinstance(value, dict):
                for inner, scoped in value.items():
                    yield DeclaredVar(declared_in=self.name, scope=name, name=key_text(inner), value=plain(scoped))
            else:
                yield DeclaredVar(declared_in=self.name, scope="", name=key_text(name), value=plain(value))


def read_project(folder: Path, text: str, *, vars_file: bool) -> ProjectFile:
    """Return the project file with this text; `vars_file` says whether the dbt at hand reads a vars.yml beside it."""
    document = load_yaml(folder / FILE, text)
    beside = folder / VARS_FILE
    extra = (
        _mapping(load_yaml(beside, beside.read_text(encoding="utf-8")).get("vars"))
        if vars_file and beside.is_file()
        else None
    )
    return ProjectFile(document, extra)


def reads_vars_file(dbt_version: str) -> bool:
    """Say whether a dbt reads vars.yml, which came with 1.12."""
    return _is_at_least(dbt_version, (1, 12))


def reads_functions(dbt_version: str) -> bool:
    """Say whether a dbt reads functions, which came with 1.11."""
    return _is_at_least(dbt_version, (1, 11))


def _is_at_least(dbt_version: str, least: tuple[int, int]) -> bool:
    numbers = dbt_version.split(".")[:2]
    return len(numbers) > 1 and all(number.isdigit() for number in numbers) and tuple(map(int, numbers)) >= least


def _mapping(value: object) -> dict[str, Any]:
    """Return a mapping of a YAML file; dbt refuses a project in which it is anything else, so that is empty."""
    return value if isinstance(value, dict) else {}


def _own_config(level: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Return what one level sets itself: keys with a `+`, and those whose value is no mapping (that is a folder)."""
    own: dict[str, Any] = {}
    for key, value in level.items():
        if isinstance(key, str) and key.startswith("+"):
            own[key[1:].strip()] = plain(value)
        elif not isinstance(value, dict):
            own[key_text(key)] = plain(value)
    return own


def _paths(document: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    """Return the folders that one key names, else dbt's default, None where there is none."""
    written = document.get(key if key in document else _OLD_NAMES.get(key, key))
    if isinstance(written, list):
        return tuple(str(path) for path in written)
    default = _SOURCE_PATHS[key]
    return (default,) if default is not None else None
