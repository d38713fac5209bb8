"""What can be wrong, as one family of exceptions.

Expected answers of the gates are values (`Verdict`), not exceptions. An exception here means that somebody handed in
something unusable (`InputError`), or that the machine, dbt or the stored state let us down (`MachineError`). Every leaf
carries its facts as attributes and says what is wrong, where, and what to do.
"""

from __future__ import annotations

from airflow_dbt_promotion.core.errors.artifacts import (
    ArtifactError,
    CyclicGraphError,
    ForeignProjectError,
    ImportedStateError,
    InvocationMismatchError,
    MissingArtifactError,
    MissingParentError,
    OverriddenVarsError,
    ParentNotBuiltError,
    RunRefusedError,
    TargetMismatchError,
    UnsupportedSchemaError,
)
from airflow_dbt_promotion.core.errors.family import (
    InputError,
    MachineError,
    PromotionError,
)
from airflow_dbt_promotion.core.errors.faults import (
    ClockError,
    CorruptStateError,
    DbtError,
    DbtProjectError,
    ExecutedElseError,
    FutureSchemaError,
    LockHeldError,
    LockLostError,
    NothingToResumeError,
    NotLockedError,
    StateConflictError,
    StateError,
    StateUnwritableError,
)
from airflow_dbt_promotion.core.errors.naming import (
    AmbiguousModelError,
    ConfigError,
    CyclicPathError,
    EmptySelectionError,
    InvalidDurationError,
    InvalidNameError,
    ReasonRequiredError,
    SkippedEnvironmentError,
    TooManyNamesError,
    UnknownEnvironmentError,
    UnknownModelError,
)
from airflow_dbt_promotion.core.errors.releases import (
    CorruptReleaseError,
    MissingReleaseError,
    ReleaseError,
    ReleaseUnwritableError,
    SourcesError,
    UnservableError,
    VersionsMovedError,
)

__all__ = [
    "AmbiguousModelError",
    "ArtifactError",
    "ClockError",
    "ConfigError",
    "CorruptReleaseError",
    "CorruptStateError",
    "CyclicGraphError",
    "CyclicPathError",
    "DbtError",
    "DbtProjectError",
    "EmptySelectionError",
    "ExecutedElseError",
    "ForeignProjectError",
    "FutureSchemaError",
    "ImportedStateError",
    "InputError",
    "InvalidDurationError",
    "InvalidNameError",
    "InvocationMismatchError",
    "LockHeldError",
    "LockLostError",
    "MachineError",
    "MissingArtifactError",
    "MissingParentError",
    "MissingReleaseError",
    "NotLockedError",
    "NothingToResumeError",
    "OverriddenVarsError",
    "ParentNotBuiltError",
    "PromotionError",
    "ReasonRequiredError",
    "ReleaseError",
    "ReleaseUnwritableError",
    "RunRefusedError",
    "SkippedEnvironmentError",
    "SourcesError",
    "StateConflictError",
    "StateError",
    "StateUnwritableError",
    "TargetMismatchError",
    "TooManyNamesError",
    "UnknownEnvironmentError",
    "UnknownModelError",
    "UnservableError",
    "UnsupportedSchemaError",
    "VersionsMovedError",
]
