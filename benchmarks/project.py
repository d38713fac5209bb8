"""A dbt project of any size, the same each time: seeds, four layers of models, macros, generic tests, descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

FORMAT = 1
"""Raised whenever the same size would make another project."""

NAME = "shop"

_FOLDER = 50
"""Models in one folder, with one schema file."""

_MACROS = 40
_STATUSES = ("open", "paid", "sent", "back")

_PROJECT = """\
name: {name}
version: "1.0"
profile: {name}
flags:
  send_anonymous_usage_stats: false
vars:
  start_date: "2024-01-01"
  currency: EUR
models:
  {name}:
    staging:
      +materialized: view
      +tags: [staging]
    core:
      +materialized: "{{{{ 'table' if target.name == 'production' else 'view' }}}}"
    marts:
      +materialized: table
      +meta: {{owner: analytics}}
    reports:
      +materialized: view
"""

_PROFILES = """\
{name}:
  target: development
  outputs:
    development: {{type: duckdb, path: "{path}", threads: 1, schema: dev}}
    staging: {{type: duckdb, path: "{path}", threads: 1, schema: stg}}
    production: {{type: duckdb, path: "{path}", threads: 1, schema: prd}}
"""

_DOCS = """\
{% docs status %}
Where an order stands: open, paid, sent or back. Whoever reads it should know that `back` may follow any other.
{% enddocs %}
"""


class Layered:
    """The models of a project by layer, the layer of each being above those that it reads."""

    def __init__(self, size: int) -> None:
        """Share `size` models out: 2 % seeds, 28 % staging, 35 % core, 25 % marts, the rest reports."""
        shares = {"seeds": 0.02, "staging": 0.28, "core": 0.35, "marts": 0.25}
        counts = {layer: max(1, int(size * share)) for layer, share in shares.items()}
        counts["reports"] = size - sum(counts.values())
        self.names = {layer: [f"{layer}_{index}" for index in range(count)] for layer, count in counts.items()}
        self._random = Random(size)  # noqa: S311 - the same project each time
        self.parents = {name: self._chosen(layer, index) for layer, index, name in self._built()}

    def models(self) -> Iterator[tuple[str, int, str]]:
        """Yield layer, index and name of every model but the seeds."""
        return self._built()

    def folder(self, layer: str, index: int) -> str:
        """Return the folder of a model."""
        return f"models/{layer}/part_{index // _FOLDER}"

    def _built(self) -> Iterator[tuple[str, int, str]]:
        for layer, names in self.names.items():
            if layer != "seeds":
                for index, name in enumerate(names):
                    yield layer, index, name

    def _chosen(self, layer: str, index: int) -> tuple[str, ...]:
        """Return the one to three models that a model reads, mostly of the layer below and mostly nearby."""
        layers = list(self.names)
        below = self.names[layers[layers.index(layer) - 1]]
        near = index * len(below) // len(self.names[layer])
        count = 1 if layer == "staging" else 1 + self._random.randrange(3)
        found = {below[min(len(below) - 1, near + self._random.randrange(5))] for _ in range(count)}
        if layer == "core" and index and self._random.random() < 0.3:  # noqa: PLR2004 - the share that chains on
            found.add(self.names[layer][index - 1 - self._random.randrange(min(index, 5))])
        return tuple(sorted(found))


def write_project(folder: Path, size: int, database: Path) -> Layered:
    """Write a project of `size` models into a folder; `database` is where the profile's DuckDB file would lie."""
    layered = Layered(size)
    _write(folder / "dbt_project.yml", _PROJECT.format(name=NAME))
    _write(folder / "profiles.yml", _PROFILES.format(name=NAME, path=database))
    _write(folder / "models/docs.md", _DOCS)
    for index in range(_MACROS):
        _write(folder / f"macros/money_{index}.sql", _macro(index))
    for index, name in enumerate(layered.names["seeds"]):
        rows = "".join(f"{row},{row * index},{_STATUSES[row % 4]},{row}\n" for row in range(10))
        _write(folder / f"seeds/{name}.csv", f"id,amount,status,parent_id\n{rows}")
    entries: dict[str, list[str]] = {}
    for layer, index, name in layered.models():
        place = layered.folder(layer, index)
        _write(folder / place / f"{name}.sql", _model(layer, index, layered.parents[name]))
        entries.setdefault(place, []).append(_entry(index, name, layered.parents[name][0]))
    for place, texts in entries.items():
        _write(folder / place / "schema.yml", "models:\n" + "".join(texts))
    return layered


def edit(folder: Path, layered: Layered, count: int) -> tuple[str, ...]:
    """Change the bodies of `count` models, spread evenly over the layers; return their unique ids."""
    every = list(layered.models())
    chosen = every[:: max(1, len(every) // count)][:count]
    for layer, index, name in chosen:
        path = folder / layered.folder(layer, index) / f"{name}.sql"
        text = path.read_text(encoding="utf-8")
        _write(path, text.replace("as share", "as portion"))
    return tuple(f"model.{NAME}.{name}" for _, _, name in chosen)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _macro(index: int) -> str:
    """Return a macro that most models reach, by way of one below it."""
    inner = f"{{{{ money_{index // 2}('x') }}}}" if index else "{{ var('currency') }}"
    dispatched = (
        "{% macro rounded(column) %}{{ return(adapter.dispatch('rounded')(column)) }}{% endmacro %}\n"
        "{% macro default__rounded(column) %}round({{ column }}, 2){% endmacro %}\n"
    )
    return (
        f"{{% macro money_{index}(column) %}}\n    coalesce({{{{ column }}}}, 0) -- {inner}\n{{% endmacro %}}\n"
        f"{dispatched if index == 0 else ''}"
    )


def _model(layer: str, index: int, parents: tuple[str, ...]) -> str:
    """Return the code of a model: one in ten of core is ephemeral, one in eight of marts incremental."""
    config = ""
    if layer == "core" and index % 10 == 0:
        config = "{{ config(materialized='ephemeral') }}\n"
    elif layer == "marts" and index % 8 == 0:
        config = "{{ config(materialized='incremental', unique_key='id') }}\n"
    tables = ",\n".join(
        f"from_{number} as (select * from {{{{ ref('{name}') }}}})"  # noqa: S608 - written, never run
        for number, name in enumerate(parents)
    )
    more = "".join(f"\nunion all select id, amount, status, parent_id from from_{n}" for n in range(1, len(parents)))  # noqa: S608
    cases = "\n".join(
        f"    case when status = '{status}' then {{{{ rounded('amount') }}}} else 0 end as {status}_amount,"
        for status in _STATUSES
    )
    since = (
        "\n{% if is_incremental() %}\nwhere id > (select max(id) from {{ this }})\n{% endif %}"
        if "incremental" in config
        else ""
    )
    return f"""\
{config}-- What this model is for, as somebody wrote it down: part {index} of the layer {layer}.
with {tables},
joined as (
    select id, amount, status, parent_id from from_0{more}
)
select
    id,
    parent_id,
    status,
    {{{{ money_{index % _MACROS}('amount') }}}} as amount,
{cases}
    amount / nullif(sum(amount) over (partition by status), 0) as share,
    '{{{{ var('start_date') }}}}' as valid_from
from joined{since}
"""  # noqa: S608


def _entry(index: int, name: str, parent: str) -> str:
    """Return what the schema file says of a model: descriptions, a config with Jinja here and there, four tests."""
    meta = '\n    config: {meta: {stage: "{{ target.name }}"}}' if index % 20 == 0 else "\n    config: {tags: [daily]}"
    return f"""\
  - name: {name}
    description: The model {name}, one row for each order that was seen there.{meta}
    columns:
      - name: id
        description: The number of the row, unique within this model.
        data_tests: [unique, not_null]
      - name: status
        description: "{{{{ doc('status') }}}}"
        data_tests:
          - accepted_values: {{arguments: {{values: [open, paid, sent, back]}}}}
      - name: amount
        description: What was paid, in the currency of the shop.
      - name: parent_id
        description: The row of {parent} that this one comes from.
        data_tests:
          - relationships: {{arguments: {{to: "ref('{parent}')", field: id}}}}
"""
