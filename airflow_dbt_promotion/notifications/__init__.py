"""Telling people through Airflow's notifiers."""

from __future__ import annotations
