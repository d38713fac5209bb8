"""Hooks: from a connection, Airflow configuration and arguments to an engine."""

from __future__ import annotations
