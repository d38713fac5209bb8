"""A build of exactly what was planned: how dbt is asked for it, and whether it did that and nothing else."""

from __future__ import annotations

from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.errors import DbtError, ExecutedElseError, VersionsMovedError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.orders import BuildRequest
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, IndirectSelection
from airflow_dbt_promotion.dbt.publish.relocation import CHOSEN
from airflow_dbt_promotion.dbt.selection import selectors_in

_HOOKS = "operation."
_SHOWN = 8


def build_invocation(request: BuildRequest, definition: Definition, target: str) -> DbtInvocation:
    """Return what dbt is asked for; `definition` is all that it could be asked for.

    What is built beside has a tag in the parse that dbt is handed, and is selected by it. Raises ExecutedElseError
    where something is not in it, and UnselectableError.
    """
    wanted = [*(model.id for model in request.models), *(test.id for test in request.tests)]
    return DbtInvocation(
        command=DbtCommand.BUILD if request.models else DbtCommand.TEST,
        target=target,
        select=selectors_in(definition, wanted) if request.arrangement is None else (CHOSEN,),
        indirect_selection=IndirectSelection.EMPTY,
        full_refresh=request.full_refresh and bool(request.models),
        vars=request.environment.vars,
    )


def check_executed(request: BuildRequest, run: Run, *, success: bool) -> None:
    """Refuse a run that executed anything else; hooks aside. Raises ExecutedElseError."""
    executed = {result.id for result in run.results if not result.id.startswith(_HOOKS)}
    planned = {*(model.id for model in request.models), *(test.id for test in request.tests)}
    if executed - planned or (success and planned - executed):
        raise ExecutedElseError(sorted(planned - executed), sorted(executed - planned))


def check_unmoved(request: BuildRequest, release: Release) -> None:
    """Refuse a run on code that changed between plan and run: somebody edited the project meanwhile."""
    moved = _moved(request, release)
    if moved:
        raise DbtError(
            f"the project changed between the plan and the run ({', '.join(moved[:_SHOWN])}); nothing of it counts as "
            f"promoted. Let the checkout be still while a promotion runs, and promote again"
        )


def check_versions(request: BuildRequest, release: Release) -> None:
    """Refuse to run code whose versions are not the planned ones. Raises VersionsMovedError."""
    moved = _moved(request, release)
    if moved:
        raise VersionsMovedError(f"what {request.environment.name} runs", moved, "it is other code than was planned")


def _moved(request: BuildRequest, release: Release) -> list[ModelId]:
    """Return the planned models that a release holds at another version, or not at all."""
    return [
        model.id
        for model in request.models
        if model.id not in release.models or release.models[model.id].version != model.version
    ]
