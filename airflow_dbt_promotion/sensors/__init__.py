"""Sensors: wait until a version has earned its way, and until it is the time."""

from __future__ import annotations
