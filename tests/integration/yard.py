"""A dbt project on a real warehouse, promoted by a swap, and what can be asked of the relations that readers see."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine import Engine, Promotion, PromotionRequest
from airflow_dbt_promotion.wiring import Place, engine_for
from tests.integration.warehouse import DuckDb, Warehouse

MADE = "__(next|was)_[0-9a-f]{8}"
"""What the names of relations have in common that a swap made."""

CONFIG: Mapping[str, str] = {
    "dbt_project.yml": """
        name: yard
        version: "1.0"
        profile: yard
        flags: {send_anonymous_usage_stats: false}
        models:
          yard:
            +materialized: table
    """,
    "promotion.yml": """
        version: 1
        state: states
        environments:
          development: {target: development}
          production: {target: production, promotes_from: development}
          plain: {target: plain, promotes_from: development, strategy: build}
    """,
}
"""What people work on goes straight to production; `plain` gets the same by `dbt build`, for comparison."""


class Yard:
    """A project in a folder, whose models are promoted as they are at hand, and whose tests run in production alone.

    Staging is left out: what is promoted from where is asked elsewhere, and it would double the runs of dbt.
    """

    def __init__(self, folder: Path, warehouse: Warehouse, files: Mapping[str, str], user: str | None = None) -> None:
        self.folder, self.warehouse = folder, warehouse
        for name, text in {**CONFIG, **files}.items():
            self.write(name, dedent(text).lstrip())
        self.connect_as(user)

    @property
    def is_duckdb(self) -> bool:
        return isinstance(self.warehouse, DuckDb)

    def connect_as(self, user: str | None) -> None:
        """Let dbt connect as somebody (None: who owns the server)."""
        lines = [f"    {name}: {self.warehouse.output(name)}" for name in ("development", "production", "plain")]
        if user is not None:
            lines = [line.replace("user: postgres", f"user: {user}") for line in lines]
        outputs = "\n".join(lines)
        self.write("profiles.yml", f"yard:\n  target: development\n  outputs:\n{outputs}\n")
        self.engine: Engine = engine_for(Place(project_dir=self.folder))

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def promote(self, *models: str, target: str = "production", tested: bool = False, **more: object) -> Promotion:
        """Promote; without `tested` no test runs anywhere."""
        asked: dict[str, object] = {} if tested else {"require_tests": False, "reason": "not what is asked here"}
        request = PromotionRequest(target=target, models=models or None, actor="tests", **asked, **more)  # type: ignore[arg-type] - any field
        return self.engine.promote(request)

    def state(self) -> EnvironmentState:
        state = self.engine.observer.state("production")
        assert state is not None
        return state

    def execute(self, *statements: str) -> None:
        self.warehouse.execute("; ".join(statements))

    def column(self, sql: str) -> list[object]:
        """Return the first column of a query."""
        return [first for first, *_ in self.warehouse.rows(sql)]

    def value(self, sql: str) -> object:
        (value,) = self.column(sql)
        return value
