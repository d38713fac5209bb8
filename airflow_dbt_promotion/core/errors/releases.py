"""What can be wrong with kept sources, and with putting them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_dbt_promotion.core.errors.family import InputError, MachineError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable


class SourcesError(InputError):
    """Sources that cannot be kept."""

    code = "sources"

    def __init__(self, where: str, problem: str) -> None:
        """Take the file or folder, and the complaint."""
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


class ReleaseError(MachineError):
    """Kept sources that cannot be used; what is there is left as it is."""

    code = "release_error"

    def __init__(self, where: str, problem: str) -> None:
        """Take the address, and the complaint."""
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


class MissingReleaseError(ReleaseError):
    """Kept sources, or a file of theirs, that are not there."""

    code = "release_missing"


class CorruptReleaseError(ReleaseError):
    """Kept sources whose bytes are not those that were kept."""

    code = "release_corrupt"


class ReleaseUnwritableError(ReleaseError):
    """A release store that cannot be written."""

    code = "release_unwritable"


class VersionsMovedError(ReleaseError):
    """Kept sources that no longer make the versions that they were kept for, as after an upgrade of dbt."""

    code = "versions_moved"

    def __init__(self, where: str, models: Iterable[str], why: str) -> None:
        """Take what was parsed or put together, the models that come out otherwise, and why."""
        self.models = tuple(models)
        super().__init__(where, f"the versions of {listed(self.models)} do not come out as promoted: {why}")


class UnservableError(ReleaseError):
    """An environment whose promoted models cannot be put together."""

    code = "unservable"

    def __init__(self, environment: str, models: Iterable[str], problem: str) -> None:
        """Take the environment, the models that it is about, and the complaint."""
        self.models = tuple(models)
        super().__init__(f"what {environment} runs", f"{problem} ({listed(self.models)})" if self.models else problem)
