"""What this package adds to Airflow's own processes. Each of them imports this module, so it loads next to nothing."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from airflow_dbt_promotion.plugin import notes


class PromotionPlugin(AirflowPlugin):
    """Writes the outcome of promotions into the notes of their DAG runs."""

    name = "dbt_promotion"
    listeners = [notes]  # noqa: RUF012 - as Airflow declares it
