"""The project that is promoted again and again: small models in groups, as files and as bare SQL."""

from __future__ import annotations

from pathlib import Path

from benchmarks.warehouses import Warehouse

_TARGETS = ("staging", "production", "cloned")

GROUP = 5
"""Models in one group: three tables, a table that reads the first of them, and a view that reads that one."""

_PROJECT = """\
name: yard
version: "1.0"
profile: yard
flags: {send_anonymous_usage_stats: false}
models: {yard: {+materialized: table}}
"""
_PROMOTION = """\
version: 1
state: states
environments:
  staging: {target: staging}
  production: {target: production, promotes_from: staging}
"""


def write_project(folder: Path, warehouse: Warehouse, names: list[str]) -> None:
    """Write the project, but for its models."""
    (folder / "models").mkdir(parents=True)
    outputs = "\n".join(f"    {name}: {warehouse.output(name)}" for name in _TARGETS)
    entries = "".join(f"  - name: {name}\n    columns: [{{name: id, data_tests: [not_null]}}]\n" for name in names)
    for name, text in {
        "dbt_project.yml": _PROJECT,
        "promotion.yml": _PROMOTION,
        "profiles.yml": f"yard:\n  target: staging\n  outputs:\n{outputs}\n",
        "models/schema.yml": f"models:\n{entries}",
    }.items():
        (folder / name).write_text(text, encoding="utf-8")


def write_model(folder: Path, name: str, edition: int) -> None:
    """Write one model as it is in an edition."""
    index = index_of(name)
    text = select(index, edition).format(schema="{{ target.schema }}")
    for parent in parents_of(index):
        text = text.replace(f"{{{{ target.schema }}}}.{parent}", f"{{{{ ref('{parent}') }}}}")
    config = "{{ config(materialized='view') }}\n" if kind_of(index) == "view" else ""
    (folder / "models" / f"{name}.sql").write_text(config + text, encoding="utf-8")


def index_of(name: str) -> int:
    """Return the number of a model, by its name or that of something made for it."""
    return int(name.partition("__")[0].removeprefix("m_"))


def kind_of(index: int) -> str:
    """Return what a model is."""
    return "view" if index % GROUP == GROUP - 1 else "table"


def parents_of(index: int) -> tuple[str, ...]:
    """Return the models that one reads."""
    return {3: (f"m_{index - 3}",), 4: (f"m_{index - 1}",)}.get(index % GROUP, ())


def select(index: int, edition: int = 1) -> str:
    """Return the query of a model: two rows; `{schema}` is where its parents lie."""
    read = [f" from {{schema}}.{parent}" for parent in parents_of(index)]
    if read:
        return f"select id, {edition} as edition{read[0]}"
    return f"select 1 as id, {edition} as edition union all select 2, {edition}"
