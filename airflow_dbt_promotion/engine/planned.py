"""A plan with what it was computed from."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.core.plan import Plan, Question, Situation
from airflow_dbt_promotion.core.relations import KeptRelation
from airflow_dbt_promotion.engine.shelf import Shelf


class Planned(Struct, frozen=True, kw_only=True):
    """A plan with what it was computed from.

    `composition` is what the target runs once the plan is carried out; None where nothing is built, or not from kept
    releases. `aligned` are models of the target that are the same in a release that comes. `kept` are relations that
    are there from before, and are not built.
    """

    plan: Plan
    situation: Situation
    question: Question
    shelf: Shelf
    composition: Composition | None = None
    aligned: Mapping[ModelId, ReleaseId] = {}
    kept: Mapping[ModelId, KeptRelation] = {}
