"""Needs: one change that another cannot go without."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from airflow_dbt_promotion.core.identity import ModelId


class Direction(Enum):
    """Why one model needs another."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    TEST = "test"
    MACRO = "macro"
    PROJECT = "project"


class Need(Struct, frozen=True, gc=False):
    """One change that must come along.

    `possible` is False where the source does not hold it at a version that would do. `still` needs the opposite: the
    target holds the model as it is needed, so it must not change. `thing` is what both rely on, where that is why.
    """

    model: ModelId
    direction: Direction
    possible: bool = True
    still: bool = False
    thing: str = ""
