"""The rules of promotion, pure: no clock, no files, no network, no dbt, no Airflow."""
