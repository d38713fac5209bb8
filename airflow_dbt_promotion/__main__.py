"""`python -m airflow_dbt_promotion` is `dbt-promote`."""

from __future__ import annotations

import sys

from airflow_dbt_promotion.cli import main

if __name__ == "__main__":
    sys.exit(main())
