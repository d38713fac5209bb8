"""The tests of a release: which models need them, and what each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from airflow_dbt_promotion.core import flags
from airflow_dbt_promotion.core.definition import Definition, Node, TestMetadata, UnitTest
from airflow_dbt_promotion.core.described import unix, value_of
from airflow_dbt_promotion.core.graph import Graph
from airflow_dbt_promotion.core.identity import Digest, TestId, digest_of
from airflow_dbt_promotion.core.macros import MacroIndex, Reached, jinja, jinja_of
from airflow_dbt_promotion.core.release import NO_TESTS, Test
from airflow_dbt_promotion.core.vars import DeclaredVars, vars_read

_MATERIALIZED = "test"
"""How dbt materializes a data test."""

_MODEL = "get_where_subquery"
"""The macro by which dbt names the model in the arguments of every generic test."""

_OF_MODEL = f"{{{{ {_MODEL}("


class Testing:
    """The data and unit tests of one definition."""

    def __init__(self, definition: Definition, graph: Graph, macros: MacroIndex, declared: DeclaredVars) -> None:
        """Take the definition with what is known of it."""
        self._definition, self._graph, self._macros, self._vars = definition, graph, macros, declared
        self._flags = flags.of_tests(definition.flags)
        self._reached_by: dict[str, Sequence[object]] = {}

    def tests(self) -> dict[TestId, Test]:
        """Return every data and unit test that some model needs, with the models that it depends on.

        Raises MissingParentError.
        """
        found = (
            *(self._test(node, node.fqn) for node in self._definition.nodes.values() if node.resource_type == "test"),
            *(self._test(unit, ()) for unit in self._definition.unit_tests.values()),
        )
        return {test.id: test for test in found if test.models}

    def _test(self, test: Node | UnitTest, fqn: tuple[str, ...]) -> Test:
        """Return one test with the models that it depends on."""
        return Test(
            id=TestId(test.unique_id),
            name=test.name,
            unit=isinstance(test, UnitTest),
            models=self._graph.nearest(test.unique_id, test.depends_on.nodes),
            fqn=fqn,
            package=test.package_name,
        )

    def digest(self, required: Iterable[TestId]) -> Digest:
        """Return tests(n): the digest of all tests that a model needs, in the order in which they are given."""
        found: list[object] = [self._what(id_) for id_ in required]
        if found and self._flags:
            found.append(self._flags)
        return digest_of(found) if found else NO_TESTS

    def _what(self, id_: TestId) -> Sequence[object]:
        """Return what one test is: definition, arguments, severity, macros, vars."""
        node = self._definition.nodes.get(id_)
        if node is None:
            return _unit_test(self._definition.unit_tests[id_])
        written = self._definition.written.get(id_) if self._definition.written else None
        config = value_of(node.unrendered_config) if written is None else [written.config, written.test]
        if node.test_metadata is not None:
            return self._generic_test(id_, node.test_metadata, config)
        return id_, unix(node.raw_code), config, self._reached(f"{jinja(node.raw_code)} {jinja_of(config)}")

    def _generic_test(self, id_: TestId, test: TestMetadata, config: object) -> Sequence[object]:
        """Return what a generic test is.

        Most have no Jinja of their own but for the name of their model: what those reach by their macro is asked once.
        """
        kwargs = value_of(test.kwargs)
        blocks = jinja_of(config) if config else ""
        if _has_own_jinja(kwargs):
            blocks = f"{blocks} {jinja_of(kwargs)}"
        if blocks:
            return id_, test.namespace, test.name, kwargs, config, self._reached(blocks, f"test_{test.name}", _MODEL)
        if test.name not in self._reached_by:
            self._reached_by[test.name] = self._reached("", f"test_{test.name}", _MODEL)
        return id_, test.namespace, test.name, kwargs, config, self._reached_by[test.name]

    def reached(self, id_: TestId) -> Reached:
        """Return the macros that a data test reaches."""
        node = self._definition.nodes[id_]
        written = self._definition.written.get(id_) if self._definition.written else None
        config = value_of(node.unrendered_config) if written is None else [written.config, written.test]
        code = value_of(node.test_metadata.kwargs) if node.test_metadata is not None else None
        own = jinja(node.raw_code) if node.test_metadata is None else jinja_of(code)
        name = (f"test_{node.test_metadata.name}", _MODEL) if node.test_metadata is not None else ()
        return self._macros.reach(f"{own} {jinja_of(config)}", (*name, _MATERIALIZED))

    def _reached(self, blocks: str, *macros: str) -> Sequence[object]:
        """Return the macros and vars that a data test reaches."""
        reached = self._macros.reach(blocks, (*macros, _MATERIALIZED))
        return reached.digest, self._vars.of(vars_read(blocks) | reached.vars)


def _unit_test(unit: UnitTest) -> Sequence[object]:
    """Return what a unit test is: inputs, expectation, overrides."""
    return unit.unique_id, unit.model, value_of(unit.given), value_of(unit.expect), value_of(unit.overrides)


def _has_own_jinja(kwargs: object) -> bool:
    """Say whether there is Jinja in the arguments of a generic test beside the one that names its model."""
    if not isinstance(kwargs, dict):
        return False
    for value in kwargs.values():
        if isinstance(value, str):
            if "{" in value and not value.startswith(_OF_MODEL):
                return True
        elif jinja_of(value):
            return True
    return False
