"""What is wrong with adopting an environment that existed before."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_dbt_promotion.core.errors.family import InputError, listed

_MOST_NAMED = 20


class NothingToAdoptError(InputError):
    """An adoption of models of which none stands in the environment's warehouse."""

    code = "nothing_to_adopt"

    def __init__(self, environment: str, models: Sequence[str]) -> None:
        """Take the environment and the models that would have been adopted."""
        self.environment, self.models = environment, tuple(models)
        super().__init__(
            f"{environment}: none of {len(models)} models can be adopted, for their relations (or those of their "
            f"parents) are not in its warehouse: {_names(models)}; promote them instead"
        )


class AdoptionRefusedError(InputError):
    """An adoption that would bypass what the environment asks of everything that enters it."""

    code = "adoption_refused"

    def __init__(self, environment: str, why: str, hint: str) -> None:
        """Take the environment, what forbids it, and what to do instead."""
        self.environment, self.why = environment, why
        super().__init__(f"nothing is adopted into {environment}: {why}; {hint}")


class AdoptionUnconfirmedError(InputError):
    """An adoption of the checkout as what a warehouse holds, which nobody has confirmed."""

    code = "adoption_unconfirmed"

    def __init__(self, environment: str, models: Sequence[str]) -> None:
        """Take the environment and the models that would be adopted."""
        self.environment, self.models = environment, tuple(models)
        super().__init__(
            f"the next run of {environment} would build the checkout's code of {len(models)} models: {_names(models)}; "
            f"if this is what {environment} was built from, confirm it with `--yes`; else name the manifest of its "
            f"last run with `--target-path DIR`"
        )


def _names(models: Sequence[str]) -> str:
    """Return the names of some models for a sentence."""
    return listed((model.split(".", 2)[-1] for model in models), _MOST_NAMED)
