"""Operators: promote, and record what others ran."""

from __future__ import annotations
