"""Faults of the machine: stored state, the clock, locks, and dbt itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_dbt_promotion.core.errors.family import InputError, MachineError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class StateError(MachineError):
    """The stored state cannot be used; it is left as it is."""

    code = "state_error"

    def __init__(self, where: str, problem: str) -> None:
        """Take the file or address, and the complaint."""
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


class CorruptStateError(StateError):
    """State that is truncated, has a wrong type, or breaks an invariant."""

    code = "corrupt_state"


class FutureSchemaError(StateError):
    """State that a newer release of this package wrote."""

    code = "future_schema"


class StateConflictError(StateError):
    """Somebody else wrote the state between our read and our write."""

    code = "state_conflict"

    def __init__(self, where: str, expected: int | None, found: int | None) -> None:
        """Take the address, the serial that was read, and the serial that is there now; None is no document at all."""
        self.expected, self.found = expected, found
        now, before = ("nothing" if serial is None else f"serial {serial}" for serial in (found, expected))
        told = "deleted and made anew" if found == expected else f"changed: {now} is there, {before} was read"
        super().__init__(where, f"somebody else wrote it meanwhile ({told}); try again")


class StateUnwritableError(StateError):
    """A state root that cannot be written."""

    code = "state_unwritable"


class LockHeldError(MachineError):
    """Another promotion, or a run, of the same environment is going on."""

    code = "locked"

    def __init__(self, environment: str, owner: str) -> None:
        """Take the environment and what is known of the owner."""
        self.environment, self.owner = environment, owner
        super().__init__(
            f"another promotion or run of {environment} is going on ({owner or 'owner unknown'}); wait for it, or "
            f"raise the lock timeout; if it is surely dead: `dbt-promote unlock --environment {environment} --force "
            f"--reason TEXT`"
        )


class LockLostError(MachineError):
    """The lock is not ours any more: we were taken for dead, or somebody opened it by force."""

    code = "lock_lost"

    def __init__(self, environment: str, owner: str) -> None:
        """Take the environment and what is known of who has the lock now."""
        self.environment, self.owner = environment, owner
        super().__init__(
            f"the lock of {environment} is not ours any more (held by {owner}): this attempt gave no sign of life for "
            f"too long, or somebody opened the lock, so it may not write; `dbt-promote status` tells what came of it"
        )


class NotLockedError(InputError):
    """A lock that was to be opened, and that nobody holds."""

    code = "not_locked"

    def __init__(self, environment: str) -> None:
        """Take the environment."""
        self.environment = environment
        super().__init__(f"nobody holds the lock of {environment}; there is nothing to open")


class NotHeldError(InputError):
    """A hold that was to be lifted, and that nobody set."""

    code = "not_held"

    def __init__(self, environment: str) -> None:
        """Take the environment."""
        self.environment = environment
        super().__init__(f"{environment} is not held; there is nothing to release")


class NotFrozenError(InputError):
    """A freeze that was to be lifted, where none holds."""

    code = "not_frozen"

    def __init__(self, environment: str) -> None:
        """Take the environment."""
        self.environment = environment
        super().__init__(f"{environment} is not frozen; there is nothing to thaw")


class NotBlockedError(InputError):
    """Blocks that were to be lifted, where there are none."""

    code = "not_blocked"

    def __init__(self, environment: str) -> None:
        """Take the environment."""
        self.environment = environment
        super().__init__(f"no version is blocked in {environment}; there is nothing to unblock")


class NotAskedError(InputError):
    """A plan that somebody has a word on, or promotes, and that nobody was asked about."""

    code = "not_asked"

    def __init__(self, environment: str, asked: str, known: Iterable[str]) -> None:
        """Take the environment, the plan id that was given, and those that people were asked about, newest first."""
        self.environment, self.asked, self.known = environment, asked, tuple(known)
        super().__init__(
            f"nobody was asked about a plan {asked!r} for {environment} (six letters of its id are enough); there are, "
            f"newest first: {listed(one[:8] for one in self.known) or 'none'}; "
            f"`dbt-promote ask --target-environment {environment}` puts a plan before people"
        )


class NotInPlanError(InputError):
    """Models of a rejection that the plan does not change."""

    code = "not_in_plan"

    def __init__(self, plan_id: str, asked: Iterable[str], known: Iterable[str]) -> None:
        """Take the plan, the models that are not in it, and those that are."""
        self.plan_id, self.asked, self.known = plan_id, tuple(asked), tuple(known)
        super().__init__(
            f"plan {plan_id[:8]} does not change {listed(self.asked)}; it changes {listed(self.known) or 'nothing'}"
        )


class AskedOtherwiseError(InputError):
    """A word on a plan about which people were asked with other choices since it was shown to the one who says it."""

    code = "asked_otherwise"

    def __init__(self, environment: str, plan_id: str, by: str) -> None:
        """Take the environment, the plan, and who asked with other choices."""
        self.environment, self.plan_id, self.by = environment, plan_id, by
        super().__init__(
            f"{by} asked people about the plan {plan_id[:8]} for {environment} with other choices since it was shown, "
            "so this word is not recorded; look at it again"
        )


class NoCheckpointError(InputError):
    """A rollback of an environment that has nothing to go back to."""

    code = "no_checkpoint"

    def __init__(self, environment: str, broken: int) -> None:
        """Take the environment, and how many checkpoints it has that are not whole."""
        self.environment, self.broken = environment, broken
        unwhole = (
            f"it has {broken}, and none is whole, since it held nothing then or a promotion had gone only part of the "
            "way; promote what is right from its source instead"
        )
        why = unwhole if broken else "a promotion that changes it makes one"
        super().__init__(f"{environment} has no checkpoint to go back to: {why}")


class UnknownCheckpointError(InputError):
    """A checkpoint that an environment does not have, or not any more."""

    code = "unknown_checkpoint"

    def __init__(self, environment: str, asked: str, known: Iterable[str]) -> None:
        """Take the environment, what was asked for, and the checkpoints that there are, newest first."""
        self.environment, self.asked, self.known = environment, asked, tuple(known)
        super().__init__(
            f"{environment} has no checkpoint {asked!r}; there are, newest first: {listed(self.known) or 'none'}"
        )


class UnknownVersionError(InputError):
    """A version of a model that an environment neither holds nor remembers with its sources."""

    code = "unknown_version"

    def __init__(self, model: str, environment: str, asked: str, known: Iterable[str]) -> None:
        """Take the model, the environment, what was asked for, and the versions that there are, newest first."""
        self.model, self.environment, self.asked, self.known = model, environment, asked, tuple(known)
        super().__init__(
            f"{environment} has no version {asked!r} of {model}; there are, newest first: "
            f"{listed(self.known) or 'none'}"
        )


class MoveRefusedError(InputError):
    """A state that cannot be copied from, or to, a place."""

    code = "move_refused"

    def __init__(self, where: str, problem: str) -> None:
        """Take the place and the complaint."""
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}; nothing was written there")


class NothingToResumeError(InputError):
    """A promotion that was to be carried on, where none is open."""

    code = "nothing_to_resume"

    def __init__(self, environment: str) -> None:
        """Take the environment."""
        self.environment = environment
        super().__init__(f"no promotion into {environment} broke off: there is nothing to resume")


class NotOpenError(InputError):
    """A promotion that was opened to be built in parts, and is not open any more, or never was."""

    code = "not_open"

    def __init__(self, environment: str, how: str = "") -> None:
        """Take the environment, and how it ended, where that is known."""
        self.environment, self.how = environment, how
        told = f"the promotion into {environment} has ended: {how}" if how else f"no such promotion into {environment}"
        super().__init__(
            f"{told}; nothing is open to be built or finished. To promote again, begin again: clear the task that "
            f"opens it, with all that follow; `dbt-promote history` tells what came of it"
        )


class PlanMovedError(InputError):
    """An open promotion that cannot go on: its plan is another one by now, or a gate has shut."""

    code = "plan_moved"

    def __init__(self, environment: str, reason: str) -> None:
        """Take the environment, and what has moved."""
        self.environment, self.reason = environment, reason
        super().__init__(
            f"the open promotion into {environment} cannot go on: {reason}. The task that finishes it will refuse it; "
            f"begin again with a new plan then"
        )


class PartsMissingError(InputError):
    """A promotion that was to be finished before all of its parts were built."""

    code = "parts_missing"

    def __init__(self, environment: str, missing: Iterable[str]) -> None:
        """Take the environment, and the parts that are missing, by name."""
        self.environment, self.missing = environment, tuple(missing)
        several = f"part {self.missing[0]} was" if len(self.missing) == 1 else f"parts {listed(self.missing)} were"
        super().__init__(
            f"{several} not built; readers of {environment} see what they saw before. See why in the tasks that build "
            f"them, then begin again: clear the task that opens the promotion, with all that follow"
        )


class ClockError(MachineError):
    """An instant on record that lies in the future."""

    code = "clock"

    def __init__(self, what: str, recorded: datetime, now: datetime) -> None:
        """Take what the instant stands for, the instant, and the clock's time (both UTC)."""
        self.recorded, self.now = recorded, now
        super().__init__(
            f"{what} is recorded at {recorded.isoformat()}, but the clock says {now.isoformat()}; set the clock right "
            f"and try again"
        )


class DbtError(MachineError):
    """dbt could not be started, or ended without saying what it did."""

    code = "dbt_error"

    def __init__(self, problem: str, words: Iterable[str] = ()) -> None:
        """Take the complaint and dbt's own words."""
        self.problem, self.words = problem, tuple(words)
        told = "; dbt says: " + " | ".join(self.words) if self.words else ""
        super().__init__(problem + told)


class NotSwappedError(DbtError):
    """A swap that did not take place: readers see what they saw before."""

    code = "not_swapped"


class DbtProjectError(InputError):
    """dbt refuses the project or the profile."""

    code = "dbt_project"

    def __init__(self, where: str, words: Iterable[str]) -> None:
        """Take the project folder and dbt's own words."""
        self.where, self.words = where, tuple(words)
        super().__init__(f"{where}: dbt cannot use this project: {' | '.join(self.words) or 'it gave no reason'}")


class ExecutedElseError(MachineError):
    """dbt executed something else than what was planned."""

    code = "executed_else"

    def __init__(self, missing: Iterable[str], extra: Iterable[str]) -> None:
        """Take the planned ids that did not run, and the ids that ran unplanned."""
        self.missing, self.extra = tuple(missing), tuple(extra)
        super().__init__(
            "dbt did not execute what was planned: "
            f"missing {listed(self.missing) or 'nothing'}; unplanned {listed(self.extra) or 'nothing'}"
        )
