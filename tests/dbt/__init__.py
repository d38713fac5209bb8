"""Tests of the adapter to dbt, most of them on a real dbt."""
