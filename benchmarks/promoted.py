"""A project that stands in staging and production of a real warehouse, and is promoted again and again.

Where both stand at the beginning is made by bare SQL and told by artifacts that are made here: building a thousand
models twice to begin with would measure nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.engine import PromotionRequest, RollbackRequest
from airflow_dbt_promotion.engine.adopter import AdoptionRequest
from airflow_dbt_promotion.wiring import Place, engine_for
from benchmarks.warehouses import Warehouse, connected, execute, relations
from benchmarks.yard import GROUP, index_of, kind_of, parents_of, select, write_model, write_project


class Promoted:
    """A project of `size` models, all of them in staging and in production."""

    def __init__(self, folder: Path, warehouse: Warehouse, size: int) -> None:
        """Write the project, make its relations, and let both environments remember them."""
        self.folder, self.warehouse, self.size = folder, warehouse, size
        self.names = [f"m_{index}" for index in range(size)]
        self._edition = 0
        write_project(folder, warehouse, self.names)
        self.edit(self.names)
        for schema in ("staging", "production"):
            statements = [f"create {kind_of(index)} {schema}.m_{index} as {select(index)}" for index in range(size)]
            execute(warehouse, [f"create schema {schema}", *(one.format(schema=schema) for one in statements)])
        self.engine = engine_for(Place(project_dir=folder))
        self.parse("production")
        self.engine.baseline(AdoptionRequest(environment="production", target_path=self.target_path("production")))
        self.tested(self.names)

    def chosen(self, count: int) -> list[str]:
        """Return `count` models on which nothing else stands: whole groups, or one table by itself."""
        return self.names[:count] if count >= GROUP else self.names[1:2]

    @property
    def tables(self) -> list[str]:
        """Every table on which a view stands."""
        return [name for index, name in enumerate(self.names) if index % GROUP == 3]  # noqa: PLR2004 - in each group

    def edit(self, names: Sequence[str]) -> None:
        """Change the bodies of some models, each to what it never was before."""
        self._edition += 1
        for name in names:
            write_model(self.folder, name, self._edition)

    def tested(self, names: Sequence[str]) -> None:
        """Let staging remember that some models, as they are now, were built and tested well there."""
        self.parse("staging")
        target_path = self.target_path("staging")
        manifest = json.loads((target_path / "manifest.json").read_bytes())
        chosen = {f"model.yard.{name}" for name in names}
        now = datetime.now(tz=UTC).isoformat()
        results = [
            {"unique_id": id_, "status": "success" if id_ in chosen else "pass", "timing": _timing(now)}
            for id_, node in manifest["nodes"].items()
            if id_ in chosen or chosen & set(node["depends_on"]["nodes"] if node["resource_type"] == "test" else ())
        ]
        metadata = {
            **{name: manifest["metadata"][name] for name in ("invocation_id", "dbt_version")},
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
            "generated_at": now,
        }
        document = {"metadata": metadata, "results": results, "args": {"which": "build", "target": "staging"}}
        told = target_path / "run_results.json"
        told.write_text(json.dumps(document), encoding="utf-8")
        self.engine.record("staging", target_path)
        # It has what a recording reads, and less than dbt does.
        told.unlink()

    def changed(self, names: Sequence[str]) -> None:
        """Edit some models, and let staging remember that they are well."""
        self.edit(names)
        self.tested(names)

    def target_path(self, target: str) -> Path:
        """Return where dbt, as anybody would run it, writes for a target."""
        return self.folder / "dbt" / target

    def dbt(self, target: str) -> DbtProject:
        """Return the project as anybody would let dbt run it for a target."""
        return DbtProject(project_dir=self.folder, target_path=self.target_path(target), profiles_dir=self.folder)

    def parse(self, target: str) -> None:
        """Let dbt parse the project for a target; it goes on from its last parse."""
        self._done(DbtInvocation(command=DbtCommand.PARSE, target=target))

    def build(self, names: Sequence[str]) -> None:
        """Let dbt build and test models in production, without this package."""
        self._done(DbtInvocation(command=DbtCommand.BUILD, target="production", select=tuple(names)))

    def clone(self, names: Sequence[str]) -> None:
        """Let dbt clone models from staging into a schema of their own, over what is there."""
        from dbt.adapters.factory import reset_adapters  # noqa: PLC0415 - as late as dbt
        from dbt.cli.main import dbtRunner  # noqa: PLC0415 - costs two seconds

        place = ["--project-dir", str(self.folder), "--profiles-dir", str(self.folder), "--target", "cloned"]
        kept = ["--target-path", str(self.target_path("cloned")), "--state", str(self.target_path("staging"))]
        found = dbtRunner().invoke(
            ["--log-level", "none", "clone", *place, *kept, "--full-refresh", "--select", *names]
        )
        reset_adapters()
        if not found.success:
            raise SystemExit(f"dbt clone failed: {found.exception or found.result}")

    def promote(self, strategy: Strategy, names: Sequence[str] | None = None) -> None:
        """Promote models into production, whatever is new in staging where none are named.

        Models of other code that stand on named ones stay as they are.
        """
        request = PromotionRequest(
            target="production",
            models=tuple(names) if names is not None else None,
            actor="benchmarks",
            strategy=strategy,
            allow_stale_downstream=names is not None,
        )
        found = self.engine.promote(request)
        if found.outcome is not PromotionOutcome.PROMOTED:
            raise SystemExit(f"not promoted: {found.message or found.plan.refusals}")

    def roll_back(self) -> None:
        """Go back to what production held before, without building anything anew."""
        request = RollbackRequest(environment="production", reason="measured", rebuild=False, actor="benchmarks")
        found = self.engine.roll_back(request)
        if found.outcome is not PromotionOutcome.PROMOTED:
            raise SystemExit(f"not rolled back: {found.promotion.message or found.promotion.plan.refusals}")

    def release(self) -> None:
        """Lift the hold that a rollback leaves."""
        self.engine.release("production", "benchmarks", "measured")

    def plan(self) -> None:
        """Plan what `promote` does, as whoever approves sees it."""
        if not self.engine.plan(PromotionRequest(target="production", actor="benchmarks")).allowed:
            raise SystemExit("the plan is refused")

    def swap(self, names: Sequence[str]) -> float:
        """Swap models by bare SQL in one transaction on an open connection; return its seconds.

        What is built beside is built before. On DuckDB a view finds its table by name: it is made as it will be.
        """
        beside = "" if self.warehouse.kind == "duckdb" else "__bare"
        for name in names:
            index = index_of(name)
            query = select(index, self._edition).format(schema="production")
            for parent in parents_of(index):
                query = query.replace(parent, f"{parent}{beside}")
            execute(self.warehouse, [f"create {kind_of(index)} production.{name}__bare as {query}"])
        aside = [f"alter {kind_of(index_of(n))} production.{n} rename to {n}__was_bare" for n in names]
        into = [f"alter {kind_of(index_of(n))} production.{n}__bare rename to {n}" for n in names]
        with connected(self.warehouse) as cursor:
            cursor.execute("select 1")
            began = time.perf_counter()
            cursor.execute(";\n".join(("begin", *aside, *into, "commit")))
            return time.perf_counter() - began

    def relations(self) -> set[str]:
        """Return the names of production's relations."""
        return relations(self.warehouse, "production")

    def forget(self) -> None:
        """Drop what swaps have kept, so that each begins alike."""
        kept = sorted(name for name in self.relations() if "__was_" in name)
        kinds = {name: kind_of(index_of(name)) for name in kept}
        kept.sort(key=index_of, reverse=True)
        for start in range(0, len(kept), 50):
            execute(self.warehouse, [f"drop {kinds[n]} production.{n}" for n in kept[start : start + 50]])

    def _done(self, invocation: DbtInvocation) -> None:
        outcome = InProcessRunner().invoke(self.dbt(invocation.target or ""), invocation)
        if not outcome.success:
            raise SystemExit(f"dbt {invocation.command} failed: {outcome.messages}")


def _timing(now: str) -> list[dict[str, str]]:
    """Return when a node ran, as dbt writes it."""
    return [{"name": "execute", "started_at": now, "completed_at": now}]
