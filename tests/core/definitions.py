"""Small dbt projects as definitions: by hand, and drawn at random with the knowledge of what calls what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from msgspec import Raw, json
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import (
    AsWritten,
    Checksum,
    DeclaredVar,
    Definition,
    Lineage,
    Macro,
    Node,
    NodeConfig,
    Origin,
    Other,
    ProjectIdentity,
    TestMetadata,
    UnitTest,
)

_MATERIALIZED = {"model": "view", "seed": "seed", "snapshot": "snapshot", "test": "test", "function": "function"}


def node(name: str, *parents: str, kind: str = "model", materialized: str | None = None, **more: Any) -> Node:
    """Return a node of the package `shop`; parents are unique ids."""
    checksum = Checksum("sha256", f"content of {name}") if kind == "seed" else Checksum()
    fields: dict[str, Any] = {
        "fqn": ("shop", name),
        "original_file_path": f"{kind}s/{name}.sql",
        "raw_code": "" if kind == "seed" else f"select '{name}'",
        "checksum": checksum,
        "relation_name": f'"dev"."{name}"',
    }
    return Node(
        unique_id=f"{kind}.shop.{name}",
        name=name,
        resource_type=kind,
        package_name="shop",
        depends_on=Lineage(nodes=parents),
        config=NodeConfig(materialized=materialized or _MATERIALIZED[kind]),
        **{**fields, **more},
    )


def generic_test(name: str, kind: str, *parents: str, kwargs: Mapping[str, object] | None = None, **more: Any) -> Node:
    """Return a generic data test."""
    metadata = TestMetadata(name=kind, kwargs=Raw(json.encode(kwargs or {})))
    return node(
        name, *parents, kind="test", raw_code=f"{{{{ test_{kind}(**kwargs) }}}}", test_metadata=metadata, **more
    )


def unit_test(name: str, model: str, **more: Any) -> UnitTest:
    """Return a unit test of one model."""
    fields = {"given": Raw(b"[]"), "expect": Raw(b'{"rows":[]}'), "depends_on": Lineage(nodes=(model,))}
    id_ = f"unit_test.shop.{model.rsplit('.', 1)[-1]}.{name}"
    return UnitTest(unique_id=id_, name=name, package_name="shop", model=model.rsplit(".", 1)[-1], **{**fields, **more})


def macro(name: str, body: str = "x", package: str = "shop") -> Macro:
    """Return a macro with a body."""
    kind = name.removeprefix("materialization_").rsplit("_", 1)[0]
    head = f"materialization {kind}, default" if name.startswith("materialization_") else f"macro {name}()"
    return Macro(
        unique_id=f"macro.{package}.{name}",
        name=name,
        package_name=package,
        macro_sql=f"{{% {head} %}}{body}{{% end{head.split(maxsplit=1)[0]} %}}",
    )


def definition(
    nodes: Iterable[Node],
    *,
    macros: Iterable[Macro] = (),
    units: Iterable[UnitTest] = (),
    written: Mapping[str, AsWritten] | None = None,
    others: Iterable[str] = (),
    declared: Mapping[str, object] | None = None,
) -> Definition:
    """Return one parse of these; `written` None means that nothing is written beside the nodes' own code."""
    return Definition(
        project=ProjectIdentity(name="shop"),
        origin=Origin.PARSE,
        where="target/manifest.json",
        manifest="0" * 32,
        invocation_id="invocation",
        generated_at=None,
        dbt_version="1.11.16",
        adapter_type="duckdb",
        nodes={found.unique_id: found for found in nodes},
        macros={found.unique_id: found for found in macros},
        unit_tests={unit.unique_id: unit for unit in units},
        exposures={},
        others={other: Other() for other in others},
        written=written or {},
        vars=tuple(
            DeclaredVar(declared_in="shop", scope="", name=name, value=value)
            for name, value in (declared or {}).items()
        ),
    )


def from_manifest_alone(known: Definition) -> Definition:
    """Return the same project where nothing but the manifest was at hand."""
    return replace(known, origin=Origin.MANIFEST, written=None, vars=(), dispatch=None)


def with_node(known: Definition, id_: str, **changes: Any) -> Definition:
    """Return the definition with one node changed."""
    return replace(known, nodes={**known.nodes, id_: replace(known.nodes[id_], **changes)})


def with_written(known: Definition, id_: str, **config: object) -> Definition:
    """Return the definition with more config written for one node."""
    assert known.written is not None
    before = known.written.get(id_, AsWritten())
    return replace(known, written={**known.written, id_: replace(before, config={**before.config, **config})})


def touched(known: Definition, id_: str) -> Definition:
    """Return the definition with one node's code (or a seed's content) edited."""
    found = known.nodes[id_]
    if found.resource_type == "seed":
        return with_node(known, id_, checksum=Checksum("sha256", found.checksum.checksum + "!"))
    return with_node(known, id_, raw_code=found.raw_code + " -- edited")


def descendants(known: Definition, ids: Iterable[str]) -> set[str]:
    """Return some nodes with everything that is built of them: models, seeds and snapshots, ephemeral ones too."""
    found = set(ids)
    while True:
        more = {
            id_ for id_, one in known.nodes.items() if one.resource_type != "test" and found & set(one.depends_on.nodes)
        } - found
        if not more:
            return found
        found |= more


# --- drawn projects ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """A project that was drawn, and who calls which macro and reads which var, as the drawing knows."""

    definition: Definition
    node_calls: Mapping[str, frozenset[str]]
    macro_calls: Mapping[str, frozenset[str]]
    node_vars: Mapping[str, frozenset[str]]
    macro_vars: Mapping[str, frozenset[str]]

    def macros_of(self, id_: str) -> set[str]:
        """Return every macro that a node comes to."""
        found: set[str] = set()
        waiting = list(self.node_calls[id_])
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting.extend(self.macro_calls[one])
        return found

    def users(self, macro_id: str) -> set[str]:
        """Return the nodes, tests among them, that come to a macro."""
        return {id_ for id_ in self.node_calls if macro_id in self.macros_of(id_)}

    def readers(self, var: str) -> set[str]:
        """Return the nodes, tests among them, that read a var, themselves or by a macro."""
        return {
            id_
            for id_ in self.node_calls
            if var in self.node_vars[id_] or any(var in self.macro_vars[found] for found in self.macros_of(id_))
        }

    def built(self) -> list[str]:
        """Return every node that has a version."""
        return [id_ for id_, found in self.definition.nodes.items() if found.resource_type != "test"]

    def tests(self) -> list[str]:
        """Return the data tests."""
        return [id_ for id_, found in self.definition.nodes.items() if found.resource_type == "test"]


@dataclass(slots=True)
class _Drawing:
    """What is drawn so far."""

    nodes: list[Node] = field(default_factory=list)
    written: dict[str, AsWritten] = field(default_factory=dict)
    calls: dict[str, frozenset[str]] = field(default_factory=dict)
    vars: dict[str, frozenset[str]] = field(default_factory=dict)


VARS = ("cutoff", "region", "limit")
_CALLS = {
    "plain": (
        "{{{{ {0}('x') }}}}",
        "{{{{ shop.{0}() }}}}",
        "{{% if execute %}}{{{{ {0}() }}}}{{% endif %}}",
        "{{{{ context['{0}']() }}}}",
    ),
    "dispatched": ("{{{{ adapter.dispatch('{0}', 'shop')() }}}}", "{{{{ adapter.dispatch(macro_name='{0}')() }}}}"),
}


@st.composite
def _texts(draw: st.DrawFn, called: Iterable[Macro], read: Iterable[str]) -> str:
    """Return Jinja that calls some macros and reads some vars."""
    parts = []
    for found in called:
        kind, name = (
            ("dispatched", found.name.removeprefix("default__")) if "__" in found.name else ("plain", found.name)
        )
        parts.append(draw(st.sampled_from(_CALLS[kind])).format(name))
    parts += [
        draw(st.sampled_from(("{{{{ var('{0}') }}}}", '{{{{ var("{0}", none) }}}}'))).format(name) for name in read
    ]
    return " ".join(draw(st.permutations(parts)))


def _some(values: Iterable[Any], most: int = 2) -> st.SearchStrategy[list[Any]]:
    """Return a few of some values, each once."""
    found = list(values)
    return st.lists(st.sampled_from(found), unique_by=repr, max_size=most) if found else st.just([])


@st.composite
def _macros(draw: st.DrawFn) -> tuple[list[Macro], dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """Return macros (plain, dispatched, materializations) that call each other, in rings too, and read vars."""
    names = [
        draw(st.sampled_from((f"mac{number}", f"default__mac{number}", f"materialization_kind{number}_default")))
        for number in range(draw(st.integers(0, 5)))
    ]
    bare = [macro(name) for name in names]
    callable_ = [found for found in bare if not found.name.startswith("materialization_")]
    made, calls, read = [], {}, {}
    for found in bare:
        called, variables = draw(_some(callable_)), draw(_some(VARS, 1))
        made.append(macro(found.name, "select 1 " + draw(_texts(called, variables))))
        calls[found.unique_id], read[found.unique_id] = (
            frozenset(other.unique_id for other in called),
            frozenset(variables),
        )
    return made, calls, read


@st.composite
def _built(draw: st.DrawFn, drawing: _Drawing, number: int, macros: list[Macro]) -> Node:
    """Return one more model, seed or snapshot on some of the earlier ones, and note what it calls."""
    kind = draw(st.sampled_from(("model", "model", "model", "seed", "snapshot")))
    parents = [] if kind == "seed" else draw(_some((found.unique_id for found in drawing.nodes), 3))
    called = draw(_some(found for found in macros if not found.name.startswith("materialization_")))
    variables = draw(_some(VARS, 1))
    text = draw(_texts(called, variables))
    config: dict[str, object] = {"tags": ["nightly"], "persist_docs": {"relation": True}}
    custom = (
        draw(_some((found for found in macros if found.name.startswith("materialization_")), 1))
        if kind == "model"
        else []
    )
    materialized = draw(st.sampled_from(("view", "table", "incremental", "ephemeral"))) if kind == "model" else None
    own_code = ""
    if custom:
        materialized = custom[0].name.removeprefix("materialization_").removesuffix("_default")
        if draw(st.booleans()):
            own_code = f"{{{{ config(meta={{'owner': {{'name': 'x'}}}}, materialized='{materialized}') }}}} "
    if materialized is not None and not own_code:
        config["materialized"] = materialized
    hooked = kind == "seed" or draw(st.booleans())
    if hooked and text:
        config["post_hook"] = [{"sql": text}]
    code = "" if kind == "seed" else f"{own_code}select {number} {'' if hooked else text}"
    found = node(f"n{number}", *parents, kind=kind, materialized=materialized, raw_code=code)
    drawing.written[found.unique_id] = AsWritten(config=config)
    drawing.calls[found.unique_id] = frozenset(other.unique_id for other in (*called, *custom))
    drawing.vars[found.unique_id] = frozenset(variables)
    return found


@st.composite
def _test(draw: st.DrawFn, drawing: _Drawing, number: int, macros: list[Macro]) -> Node:
    """Return a data test on one or two nodes: singular, or generic with a macro of the project or of dbt."""
    parents = draw(
        st.lists(st.sampled_from([found.unique_id for found in drawing.nodes]), min_size=1, max_size=2, unique=True)
    )
    called = draw(_some(found for found in macros if not found.name.startswith("materialization_")))
    text = draw(_texts(called, ()))
    if draw(st.booleans()):
        found = node(f"t{number}", *parents, kind="test", raw_code=f"select {text} where false")
    else:
        found = generic_test(f"t{number}", "unique", *parents, kwargs={"column_name": "id", "filter": text})
    drawing.calls[found.unique_id], drawing.vars[found.unique_id] = (
        frozenset(other.unique_id for other in called),
        frozenset(),
    )
    return found


@st.composite
def projects(draw: st.DrawFn, *, fewest: int = 1) -> Drawn:
    """Return a random project without rings: nodes of every kind, macros on macros, vars, data and unit tests."""
    macros, macro_calls, macro_vars = draw(_macros())
    drawing = _Drawing()
    for number in range(draw(st.integers(fewest, 7))):
        drawing.nodes.append(draw(_built(drawing, number, macros)))
    tests = [draw(_test(drawing, number, macros)) for number in range(draw(st.integers(0, 4)))]
    models = [found.unique_id for found in drawing.nodes if found.resource_type == "model"]
    units = [
        unit_test(f"u{number}", draw(st.sampled_from(models)))
        for number in range(draw(st.integers(0, 2)) if models else 0)
    ]
    known = definition(
        [*drawing.nodes, *tests],
        macros=[*macros, macro("statement", "x", "dbt")],
        units=units,
        written=drawing.written,
        declared={name: f"value of {name}" for name in VARS},
    )
    return Drawn(
        definition=known,
        node_calls=drawing.calls,
        macro_calls=macro_calls,
        node_vars=drawing.vars,
        macro_vars=macro_vars,
    )


def shuffled(draw: st.DataObject, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same mapping in another order."""
    return dict(draw.draw(st.permutations(list(values.items()))))
