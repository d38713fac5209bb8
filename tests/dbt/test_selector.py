"""Our small part of dbt's node selection is held to a real dbt's own answers."""

from __future__ import annotations

from pathlib import Path

from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.labels import labels_of
from airflow_dbt_promotion.core.selector import selector
from airflow_dbt_promotion.dbt.artifacts import read_definition
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject
from airflow_dbt_promotion.dbt.runner import InProcessRunner

SCHEMA = """
groups:
  - {name: finance, owner: {name: somebody}}
models:
  - name: orders
    config: {tags: [critical, nightly], group: finance, meta: {tier: 1, pii: true, owner: {team: sales}}}
  - name: lines.sold
    config: {tags: critical, meta: {areas: [money, tills, true]}}
  - name: many
    latest_version: 2
    config: {meta: {pii: false, tier: "1"}}
    versions: [{v: 1}, {v: 2, config: {materialized: table}}]
"""
FILES = {
    "models/marts/orders.sql": "select 1 as id",
    "models/marts/deep/lines.sold.sql": "select 1 as id",
    "models/staging/stg_orders.sql": "select 1 as id",
    "models/staging/many_v1.sql": "select 1 as id",
    "models/staging/many_v2.sql": "select 1 as id",
    "models/schema.yml": SCHEMA,
    "seeds/marts/prices.csv": "id\n1\n",
    "dbt_project.yml": (
        "{name: shop, version: '1.0', profile: shop, flags: {require_resource_names_without_spaces: false},"
        " models: {shop: {staging: {+tags: [raw], +meta: {owner: {team: platform}}}}}}"
    ),
    "profiles.yml": "shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb}}}",
}
SELECTORS = (  # what is joined means other models each, so that few questions tell all
    "tag:*ly tag:raw,many.v1 config.meta.areas:tills",
    "tag:critical,path:models/marts/deep config.meta.tier:1 stg_orders.sql",
    "path:models/*/orders.sql file:many_v? package:this,resource_type:seed",
    "path:**/marts",
    "models/schema.yml",
    "group:fin* config.materialized:table config.meta.areas:true",
    "config.meta.pii:True config.meta.owner.team:platform,stg*",
    "config.meta.pii:false",
    "marts many_v2",
    "m*y marts.*.sold",
    "lines.sold fqn:sh?p.staging.*",
)


def test_a_selector_means_what_it_means_to_dbt(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    project, runner = DbtProject(project_dir=tmp_path, target_path=tmp_path / "target"), InProcessRunner()
    runner.invoke(project, DbtInvocation(command=DbtCommand.PARSE))
    parsed = read_definition(project.target_path, tmp_path)
    known = [labels for node in parsed.nodes if (labels := labels_of(parsed, ModelId(node))) is not None]

    theirs = {
        text: set(runner.invoke(project, DbtInvocation(command=DbtCommand.LS, select=tuple(text.split()))).listed)
        for text in SELECTORS
    }

    ours = {text: {labels.unique_id for labels in known if selector(text).selects(labels)} for text in SELECTORS}
    assert ours == theirs
    assert all(theirs.values())
