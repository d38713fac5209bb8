"""Edits of every kind on dbt projects, and what each of them has to move; written from docs/versions.md."""
