"""What Airflow asks a provider about itself.

Every Airflow process imports this module, so it imports nothing.
"""

from __future__ import annotations


def get_provider_info() -> dict[str, object]:
    """Say who this provider is, in the form of Airflow's `provider_info.schema.json`.

    `package-name` has to equal the name of the distribution, or Airflow refuses the provider.
    """
    return {
        "package-name": "airflow-dbt-promotion",
        "name": "dbt promotion",
        "description": "Promotes dbt models from development to staging to production: tested, soaked and recorded.",
        "connection-types": [
            {
                "connection-type": "dbt_promotion",
                "hook-class-name": "airflow_dbt_promotion.hooks.promotion.PromotionHook",
                "hook-name": "dbt promotion",
            }
        ],
        "extra-links": [
            "airflow_dbt_promotion.links.promotion.ApprovalLink",
            "airflow_dbt_promotion.links.promotion.PromotionLink",
            "airflow_dbt_promotion.links.promotion.RunLink",
        ],
        "notifications": ["airflow_dbt_promotion.notifications.promotion.PromotionNotifier"],
        "cli": ["airflow_dbt_promotion.airflow_cli.get_commands"],
    }
