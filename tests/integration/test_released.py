"""Released code on real warehouses: production runs exactly what was promoted, however far the checkout has moved."""

# ruff: noqa: S608 - the SQL of a fixture, made of its own names

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import PromotionRequest, RunOrder, RunOutcome
from airflow_dbt_promotion.wiring import Place, engine_for
from tests.integration.warehouse import BOTH, DuckDb, Mill, a_warehouse

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

DAY = timedelta(days=1)
REPOSITORY = Path(__file__).parents[2]
MARTS = 20
PROMOTED = {f"mart_{index}" for index in range(4)}


def files_of_works() -> dict[str, str]:
    """Return 40 models in three layers; staging and production differ in schema, vars and materialization."""
    files = {
        "dbt_project.yml": """
            name: works
            version: "1.0"
            profile: mill
            clean-targets: [dbt_packages]
            vars: {cutoff: 10, place: nowhere}
            models:
              works:
                +materialized: "{{ 'table' if target.name == 'production' else 'view' }}"
                marts: {+schema: marts}
        """,
        "promotion.yml": """
            version: 1
            state: states
            environments:
              staging: {target: staging, vars: {place: home}}
              production: {target: production, promotes_from: staging, min_days_in_staging: 1, vars: {place: abroad}}
        """,
        "seeds/pieces.csv": "id,kilos\n1,25\n",
        "macros/label.sql": "{% macro label() %}'old label'{% endmacro %}",
        "macros/tone.sql": "{% macro tone() %}'old tone'{% endmacro %}",
        "macros/rare.sql": "{% macro rare() %}'old rare'{% endmacro %}",
    }
    tested = []
    for index in range(10):
        files[f"models/staging/stg_{index}.sql"] = "select id from {{ ref('pieces') }}"
        files[f"models/mids/mid_{index}.sql"] = f"select id, 'old' as edition from {{{{ ref('stg_{index}') }}}}"
        tested += [f"stg_{index}", f"mid_{index}"]
    for index in range(MARTS):
        tested.append(f"mart_{index}")
        files[f"models/marts/mart_{index}.sql"] = mart(index, "old")
    rows = "".join(
        f"  - name: {name}\n    columns: [{{name: id, data_tests: [unique, not_null]}}]\n" for name in sorted(tested)
    )
    files["models/schema.yml"] = f"models:\n{rows}"
    files["tests/marts_agree.sql"] = (
        "select one.id from {{ ref('mart_0') }} as one join {{ ref('mart_7') }} as two on one.id <> two.id"
    )
    return files


def mart(index: int, edition: str) -> str:
    """Return the code of one mart: four use the macro label, five the macro tone, five the var cutoff."""
    extra = "'none'"
    if index < 4:
        extra = "{{ label() }}"
    elif index < 9:
        extra = "{{ tone() }}"
    elif index < 14:
        extra = "'{{ var(\"cutoff\") }}'"
    columns = f"id, '{edition}' as edition, {extra} as extra, '{{{{ var(\"place\") }}}}' as place"
    return f"select {columns} from {{{{ ref('mid_{index % 10}') }}}}"


@pytest.fixture(params=BOTH)
def works(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mill]:
    folder = tmp_path / "works"
    folder.mkdir()
    with a_warehouse(request.param, tmp_path) as warehouse:
        yield Mill(folder, warehouse, files_of_works())


def promote(mill: Mill, *models: str, **more: object) -> PromotionOutcome:
    done = mill.engine.promote(
        PromotionRequest(target="production", models=models or None, actor="tests", **more)  # type: ignore[arg-type]
    )
    assert done.outcome is PromotionOutcome.PROMOTED, (done.message, done.plan.refusals)
    return done.outcome


def nightly(mill: Mill) -> None:
    """Run production, and insist that everything it holds was built, and that every test of it ran and passed."""
    told = mill.engine.run(RunOrder(environment="production", actor="cron"))
    assert told.outcome is RunOutcome.PASSED, (told.failed, told.words)
    state = mill.engine.observer.state("production")
    assert state is not None
    ran = set(told.nodes)
    assert state.current.keys() <= ran
    composition = mill.engine.server.composition(mill.engine.path.get("production"), dry=True)
    made = release_of(composition.definition)
    assert made.tests.keys() <= ran
    assert told.counts[ResultStatus.PASS] >= len(made.tests) > 0
    versions = {model: entry.version for model, entry in state.current.items()}
    assert {model: found.version for model, found in made.models.items()} == versions


def marts(mill: Mill) -> Mapping[str, tuple[object, ...]]:
    """Return what every mart of production says."""
    names = mill.warehouse.rows(
        "select table_name from information_schema.tables where table_schema = 'production_marts' "
        "and table_type = 'BASE TABLE' order by 1"
    )
    return {
        str(name): mill.warehouse.rows(f"select edition, extra, place from production_marts.{name}")[0]
        for (name,) in names
    }


def test_four_of_twenty_edited_models_go_and_the_nightly_run_builds_these_four_and_the_rest_as_it_was(
    works: Mill,
) -> None:
    assert works.build_staging()
    works.ahead = DAY
    promote(works)
    before = marts(works)
    assert before["mart_0"] == ("old", "old label", "abroad")
    assert before["mart_10"] == ("old", "10", "abroad")

    for index in range(MARTS - 1):
        works.write(f"models/marts/mart_{index}.sql", mart(index, "new"))
    (works.folder / f"models/marts/mart_{MARTS - 1}.sql").unlink()
    works.write("models/marts/mart_added.sql", "select id, 'new' as edition from {{ ref('mid_0') }}")
    for name in ("label", "tone", "rare"):
        works.edit(f"macros/{name}.sql", "old", "new")
    works.edit("dbt_project.yml", "cutoff: 10", "cutoff: 20")
    works.edit("models/schema.yml", f"  - name: mart_{MARTS - 1}\n    columns", "  - name: mart_added\n    columns")
    assert works.build_staging()
    works.ahead = 2 * DAY
    promote(works, *sorted(PROMOTED))

    leave_no_checkout(works)
    for schema in ("production", "production_marts"):
        works.warehouse.execute(f"drop schema {schema} cascade")
    nightly(works)
    after = marts(works)
    assert after.keys() == before.keys()
    expected = {name: ("new", "new label", "abroad") if name in PROMOTED else before[name] for name in before}
    assert after == expected
    added = (
        "select 1 from information_schema.tables where table_name = 'mart_added' and table_schema like 'production%'"
    )
    assert not works.warehouse.rows(added)


def leave_no_checkout(mill: Mill) -> None:
    """Leave nothing of the project but what says where to and how: promotion.yml, the profile, the state."""
    for path in mill.folder.iterdir():
        if path.is_dir() and path.name != "states":
            shutil.rmtree(path)
        elif path.is_file() and path.name not in {"promotion.yml", "profiles.yml"}:
            path.unlink()
    mill.engine = engine_for(Place(project_dir=mill.folder, clock=mill.now))


WRAPPED = ("marts/shop_ranking", "marts/price_changes", "marts/regulars", "marts/customers", "staging/stg_cards")


def test_the_project_of_the_examples(tmp_path: Path) -> None:
    folder = tmp_path / "coffee_shop"
    ignore = shutil.ignore_patterns("target", "logs", ".user.yml", "profiles.yml")
    shutil.copytree(REPOSITORY / "example_dags/dbt/coffee_shop", folder, ignore=ignore)
    said = (folder / "dbt_project.yml").read_text(encoding="utf-8").replace("profile: coffee_shop", "profile: mill")
    shop = Mill(
        folder,
        DuckDb(tmp_path),
        {
            "dbt_project.yml": said,
            "promotion.yml": """
                version: 1
                state: states
                environments:
                  staging: {target: staging}
                  production: {target: production, promotes_from: staging, min_days_in_staging: 1}
            """,
            "macros/loyal.sql": "{% macro loyal() %}'old loyal'{% endmacro %}",
        },
    )
    wrap(shop, "marts/customers", "{{ loyal() }}")
    assert shop.build_staging()
    shop.ahead = DAY
    promote(shop)

    for name in WRAPPED:
        wrap(shop, name, "'new'")
    wrap(shop, "marts/drink_sales", "{{ fresh() }}")
    shop.write("models/marts/added.sql", "select 1 as id, {{ fresh() }} as edition")
    shop.write("macros/fresh.sql", "{% macro fresh() %}'fresh'{% endmacro %}")
    shop.edit("macros/loyal.sql", "old", "new")
    shop.edit("macros/tills.sql", "{% macro", "{# Edited. #}{% macro")
    assert shop.build_staging()
    shop.ahead = 2 * DAY
    promote(shop, "shop_ranking", "price_changes", "drink_sales", "added")

    shutil.rmtree(folder / "models")
    shop.warehouse.execute("drop schema production cascade")
    nightly(shop)
    assert shop.warehouse.rows("select distinct edition from production.shop_ranking") == [("new",)]
    assert shop.warehouse.rows("select distinct edition from production.drink_sales") == [("fresh",)]
    assert shop.warehouse.rows("select edition from production.added") == [("fresh",)]
    assert shop.warehouse.rows("select distinct edition from production.customers") == [("old loyal",)]
    columns = shop.warehouse.rows(
        "select table_name from information_schema.columns "
        "where table_schema = 'production' and column_name = 'edition'"
    )
    assert {name for (name,) in columns} == {"shop_ranking", "price_changes", "drink_sales", "added", "customers"}


def wrap(mill: Mill, name: str, edition: str) -> None:
    """Edit a model: one more column around all that it was."""
    text = (mill.folder / f"models/{name}.sql").read_text(encoding="utf-8")
    inner = text.split("from (\n", 1)[1].rsplit("\n) as inner_", 1)[0] if ") as inner_" in text else text
    mill.write(f"models/{name}.sql", f"select *, {edition} as edition from (\n{inner}\n) as inner_\n")
