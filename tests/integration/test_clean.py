"""Cleaning on a real PostgreSQL: what a foreign key refers to is dropped after what has the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dbt_promotion.core.place import Place
from tests.integration.warehouse import a_postgres
from tests.integration.yard import Yard

pytestmark = [pytest.mark.dbt, pytest.mark.postgres, pytest.mark.slow]

TABLES = """
create schema production;
create table production.a_parent__was_1a2b3c4d (id int primary key);
create table production.b_child__was_1a2b3c4d (id int primary key references production.a_parent__was_1a2b3c4d);
create table production.c_child__was_1a2b3c4d (id int references production.b_child__was_1a2b3c4d);
create table production.d_kept (id int primary key);
create table production.e_stays (id int references production.d_kept);
"""


def test_children_are_dropped_before_their_parents(tmp_path: Path) -> None:
    project = tmp_path / "yard"
    project.mkdir()
    with a_postgres(tmp_path / "pg") as postgres:
        yard = Yard(project, postgres, {"models/shops.sql": "select 1 as id"})
        postgres.execute(TABLES)
        names = ("a_parent__was_1a2b3c4d", "b_child__was_1a2b3c4d", "c_child__was_1a2b3c4d", "d_kept")
        places = [Place(database="postgres", schema="production", identifier=name) for name in names]
        workshop = yard.engine.server._workshop
        stay = workshop.drop(yard.engine.path.get("production"), None, places)
        left = postgres.rows("select tablename from pg_tables where schemaname = 'production' order by 1")
    assert list(left) == [("d_kept",), ("e_stays",)]
    assert list(stay) == [places[-1]]
    assert "depend" in stay[places[-1]]
