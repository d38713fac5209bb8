"""Sensors: wait until a version has earned its way."""

from __future__ import annotations
