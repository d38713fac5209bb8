"""What the functions return: how something ended, and the forms in which it is told."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.core.status import Drifted, ModelStatus
from airflow_dbt_promotion.engine import Promotion, Rollback, RunOutcome, ServedRun
from airflow_dbt_promotion.render import documents


class PromotionResult(Struct, frozen=True):
    """A promotion's plan and outcome.

    `to_dict()` is the document that `dbt-promote promote --output-format json` prints; its JSON Schema is in
    `airflow_dbt_promotion/schemas`.
    """

    promotion: Promotion

    @property
    def outcome(self) -> PromotionOutcome:
        """How it ended."""
        return self.promotion.outcome

    @property
    def plan(self) -> Plan:
        """What was planned, with every verdict."""
        return self.promotion.plan

    def to_dict(self) -> dict[str, object]:
        """Return the promotion as JSON-able values."""
        return documents.promotion_document(self.promotion)

    def to_text(self) -> str:
        """Return the promotion as text, as a log shows it."""
        from airflow_dbt_promotion.render import text  # noqa: PLC0415

        return text.promotion(self.promotion)

    def to_markdown(self) -> str:
        """Return the promotion as one would paste it into a pull request."""
        from airflow_dbt_promotion.render import markdown  # noqa: PLC0415

        return markdown.promotion(self.promotion)


class RunResult(Struct, frozen=True):
    """A run of what was promoted to an environment.

    `to_dict()` is the document that `dbt-promote run --output-format json` prints.
    """

    run: ServedRun

    @property
    def outcome(self) -> RunOutcome:
        """How it ended."""
        return self.run.outcome

    def to_dict(self) -> dict[str, object]:
        """Return the run as JSON-able values."""
        from airflow_dbt_promotion.render import serving  # noqa: PLC0415 - only who asks pays

        return serving.document(self.run)

    def to_text(self) -> str:
        """Return the run as text, as a log shows it."""
        from airflow_dbt_promotion.render import serving, table  # noqa: PLC0415 - as late

        return serving.text(self.run, table.Page())

    def to_markdown(self) -> str:
        """Return the run as markdown."""
        from airflow_dbt_promotion.render import serving  # noqa: PLC0415 - as late

        return serving.as_markdown(self.run)


class RollbackResult(Struct, frozen=True):
    """A rollback of an environment.

    `to_dict()` is the document that `dbt-promote rollback --output-format json` prints.
    """

    rollback: Rollback

    @property
    def outcome(self) -> PromotionOutcome:
        """How it ended."""
        return self.rollback.outcome

    @property
    def plan(self) -> Plan:
        """What was planned, with every verdict."""
        return self.rollback.promotion.plan

    def to_dict(self) -> dict[str, object]:
        """Return the rollback as JSON-able values."""
        from airflow_dbt_promotion.render import rolling_back  # noqa: PLC0415 - only who asks pays

        return rolling_back.document(self.rollback)

    def to_text(self) -> str:
        """Return the rollback as text, as a log shows it."""
        from airflow_dbt_promotion.render import rolling_back, table  # noqa: PLC0415 - as late

        return rolling_back.text(self.rollback, table.Page())

    def to_markdown(self) -> str:
        """Return the rollback as markdown."""
        from airflow_dbt_promotion.render import rolling_back  # noqa: PLC0415 - as late

        return rolling_back.as_markdown(self.rollback)


class PromotionStatus(Struct, frozen=True):
    """Where every model stands; iterates over `ModelStatus` values, in the order of the path and by unique id.

    `drift` is what others built at versions that were never promoted, of models that no environment holds, too.
    `environments` are the documents of the environments: their holds, their blocks, what they can go back to.
    """

    models: tuple[ModelStatus, ...]
    drift: tuple[Drifted, ...] = ()
    environments: tuple[EnvironmentState, ...] = ()

    def __iter__(self) -> Iterator[ModelStatus]:
        """Iterate over the models."""
        return iter(self.models)

    def __len__(self) -> int:
        """Return how many models there are, over all environments asked for."""
        return len(self.models)

    def to_dict(self) -> dict[str, object]:
        """Return the status as JSON-able values, the document of `dbt-promote status --output-format json`."""
        return documents.status_document(self.models, self.drift, self.environments)
