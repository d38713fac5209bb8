"""Generated histories of real dbt runs on DuckDB: what the ledger calls validated was built and tested so.

The oracle looks into the warehouse: each table says by which code it and its parent were built. It keeps which tests
passed on the tables that stand there. Runs are partial, failing, cut short, narrowed, and recorded in any order.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from random import Random

import duckdb
import pytest

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.errors import PromotionError
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId
from tests.integration.test_evidence_of_runs import Shop

pytestmark = pytest.mark.dbt

STAGING = EnvironmentName("staging")
NAMES = ("stg", "orders", "marts")
PARENT = {"orders": "stg", "marts": "orders"}
SQL = """{{{{ config(materialized='table') }}}}
select {code} as code, {chain} as chain, uuid() as stamp,
    (select case when broken then error('broken') else 0 end from flags where name = '{name}') as fails {source}"""
TEST = "select 1 from {{{{ ref('{name}') }}}} where (select wrong from flags where name = '{name}')"
NARROWED = ("--empty",)
WAYS = ((), (), ("--fail-fast",), NARROWED)
Table = tuple[str, str]


class History:
    """One project, what was done to its warehouse, and what is known of it."""

    def __init__(self, folder: Path, random: Random) -> None:
        """Write the project."""
        self.shop, self.random = Shop(folder), random
        whole_path = str(folder / "wh.duckdb")  # dbt-duckdb goes on with an open connection to a path of the same words
        self.shop.write("profiles.yml", self.shop.profile(path=whole_path))
        (folder / "models/orders.sql").unlink()
        (folder / "models/schema.yml").unlink()
        self.codes = dict.fromkeys(NAMES, 1)
        for name in NAMES:
            self.write(name)
            self.shop.write(f"tests/of_{name}.sql", TEST.format(name=name))
        self.tables: dict[str, Table] = {}
        self.good: dict[str, Table] = {}
        self.runs = 0
        self.flag()

    def write(self, name: str) -> None:
        """Write a model with its present code."""
        parent, code = PARENT.get(name), self.codes[name]
        chain = f"'{code}'" if parent is None else f"chain || '-{code}'"
        source = "" if parent is None else f"from {{{{ ref('{parent}') }}}}"
        self.shop.write(f"models/{name}.sql", SQL.format(code=code, chain=chain, name=name, source=source))

    def edit(self) -> None:
        """Change the code of a model, or return to what it was."""
        name = self.random.choice(NAMES)
        self.codes[name] = self.random.randint(1, 2)
        self.write(name)

    def flag(self, *broken: str, wrong: tuple[str, ...] = ()) -> None:
        """Choose which models cannot be built now, and which tests fail."""
        with duckdb.connect(str(self.shop.folder / "wh.duckdb")) as connection:
            connection.execute("create or replace table flags (name varchar, broken boolean, wrong boolean)")
            for name in NAMES:
                connection.execute("insert into flags values (?, ?, ?)", [name, name in broken, name in wrong])

    def standing(self) -> dict[str, Table]:
        """Return of each table by which code it and what it was made of were built, and its stamp."""
        found: dict[str, Table] = {}
        for name in NAMES:
            with contextlib.suppress(duckdb.CatalogException):
                rows = self.shop.rows(f"select chain, stamp from staging.{name}")  # noqa: S608 - a name of ours
                found.update((name, (str(chain), str(stamp))) for chain, stamp in rows)
        return found

    def run(self, *words: str) -> Path:
        """Run dbt, look at what it did, and return where it left its artifacts."""
        from dbt.cli.main import dbtRunner  # noqa: PLC0415 - as late as it can be

        self.runs += 1
        target = self.shop.folder / f"target-{self.runs}"
        with contextlib.chdir(self.shop.folder):
            said = (*words, "--target", "staging", "--vars", "{limit: 100}", "--target-path", str(target))
            dbtRunner().invoke(["--quiet", *said])
        if not set(NARROWED).intersection(words):
            self.look(target)
        return target

    def look(self, target: Path) -> None:
        """Note what stands in the warehouse after a run, and which tests passed on it."""
        results = json.loads((target / "run_results.json").read_text())["results"]
        said = {result["unique_id"]: result["status"] for result in results}
        self.tables = self.standing()
        for name in NAMES:
            status = said.get(f"test.shop.of_{name}")
            if status == "pass" and name in self.tables:
                self.good[name] = self.tables[name]
            elif status == "fail" or said.get(f"model.shop.{name}") == "error":
                self.good.pop(name, None)

    def phase(self) -> bool:
        """Run dbt some times on one state of the project, record it in any order, and say whether all counts."""
        left: list[tuple[Path, bool]] = []
        for _ in range(self.random.randint(1, 2)):
            some = self.random.sample(NAMES, 1)
            self.flag(
                *(some if self.random.random() < 0.25 else ()), wrong=tuple(some) if self.random.random() < 0.25 else ()
            )
            command, way = self.random.choice(("build", "build", "run", "test")), self.random.choice(WAYS)
            start = self.random.choice(NAMES)
            select = self.random.choice(((), ("--select", f"{start}+"), ("--select", start)))
            way = () if command == "test" and way == NARROWED else way
            left.append((self.run(command, *way, *select), way == NARROWED))
        self.random.shuffle(left)
        again = [target for target, narrowed in left if not self.records(target) and not narrowed]
        return all(self.records(target) for target in again)

    def records(self, target: Path) -> bool:
        """Record a run; say whether it counts."""
        try:
            self.shop.engine.record("staging", target, "ann")
        except PromotionError:
            return False
        return True

    def validated(self) -> set[str]:
        """Return the models whose present version the ledger calls validated."""
        state = self.shop.engine.store.read(STAGING)
        found: set[str] = set()
        for name in NAMES if state is not None else ():
            model = ModelId(f"model.shop.{name}")
            held = state.current.get(model)  # type: ignore[union-attr]
            evidence = held and ledger.of_version(state, model, held.version)  # type: ignore[arg-type]
            if evidence and evidence.built_at and not evidence.missing and not ledger.revoked(evidence):
                found.add(name)
        return found

    def whole(self) -> set[str]:
        """Return the models whose test passed on the table that stands there."""
        return {name for name in NAMES if name in self.tables and self.good.get(name) == self.tables[name]}


def _tried(folder: Path, seed: int) -> None:
    """Make a history, and hold the ledger against the warehouse after each step and at its end."""
    folder.mkdir()
    history = History(folder, Random(seed))  # noqa: S311 - a history, not a secret
    for step in range(3):
        if step:
            history.edit()
        if not history.phase():
            break  # it stood on what was not on record, and that was said
        assert history.validated() <= history.whole(), (seed, step)
    history.flag()
    assert history.records(history.run("build"))
    assert history.validated() == history.whole() == set(NAMES), seed


@pytest.mark.parametrize("seed", range(5))
def test_what_real_runs_did_not_build_and_test_is_not_validated(tmp_path: Path, seed: int) -> None:
    _tried(tmp_path / "shop", seed)


@pytest.mark.thorough
def test_nor_is_it_in_many_histories(tmp_path: Path) -> None:
    for seed in range(100, 160):
        _tried(tmp_path / str(seed), seed)
