"""Links from a task to where a person can look further."""

from __future__ import annotations
