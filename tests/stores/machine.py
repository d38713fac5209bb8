"""Any order of promotions, deaths, retries, expiries, clock steps and two owners, over any store: hypothesis drives it.

Whatever happens, the serial rises by one at each write, history never loses what it keeps, what is current is what the
promotions that ended have made it, and nothing is published twice by one promotion.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import InputError, MachineError, StateConflictError
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, Version
from airflow_dbt_promotion.core.ports import StateStore
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine import Engine, PromotionRequest, RunOrder
from airflow_dbt_promotion.failpoints import Failpoint, arm
from tests.fakes import FakeProcesses
from tests.kept_shop import PRODUCTION, KeptShop
from tests.scenarios import DAY, PACKAGE, defined, path

NAMES = ("raw_orders", "stg_orders", "orders", "revenue")
KEPT = 3
PLACES = [
    Failpoint.LOCKED,
    Failpoint.BEGUN,
    Failpoint.KEPT,
    Failpoint.PUBLISHING,
    Failpoint.MODEL_PUBLISHED,
    Failpoint.PUBLISHED,
    Failpoint.COMMITTED,
]


OnWrite = Callable[[EnvironmentState | None, EnvironmentState], None]
"""Takes what was there, and what was written."""


class Killed(BaseException):
    """A process ends here."""


class Watched:
    """A store as one process has it, which ends with the process; every write is checked against the one before."""

    def __init__(
        self, store: StateStore, on_write: Callable[[EnvironmentState | None, EnvironmentState], None]
    ) -> None:
        self._store, self._on_write, self.dead = store, on_write, False

    def read(self, environment: EnvironmentName) -> EnvironmentState | None:
        if self.dead:
            raise Killed
        return self._store.read(environment)

    def write(self, state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
        if self.dead:
            raise Killed
        before = self._store.read(state.environment)
        written = self._store.write(state, expected_serial)
        self._on_write(before, written)
        return written

    def where(self, environment: EnvironmentName) -> str:
        return self._store.where(environment)

    def environments(self) -> tuple[EnvironmentName, ...]:
        return self._store.environments()

    def warnings(self) -> tuple[str, ...]:
        return ()


class Owner:
    """One process after another that promotes, each a retry of the one before if that died."""

    def __init__(self, shop: KeptShop, watched: Watched, name: str, pid: int) -> None:
        self.name, self.store, self.run = name, watched, 0
        processes = FakeProcesses()
        processes.me = replace(processes.me, pid=pid)
        self.engine = Engine(
            path=path(keep_history=KEPT),
            store=watched,
            releases=shop.releases,
            workshop=shop.workshop,
            reader=shop.reader,
            processes=processes,
            clock=shop.clock,
            calendar=shop.calendar,
            project=PACKAGE,
        )


class Machine(RuleBasedStateMachine):
    """What is driven. A test sets `make_store`."""

    make_store: Callable[[], StateStore]

    def __init__(self) -> None:
        super().__init__()
        self.store = type(self).make_store()
        self.shop = KeptShop(defined())
        self.shop.store = self.store  # type: ignore[assignment]  # any store
        self.expected: dict[ModelId, Version] = {}
        self.pids = 100
        self.edits = 0

    @initialize()
    def begin(self) -> None:
        """Let staging hold everything, for long enough."""
        self.owners = {name: self.owner(name) for name in ("ann", "ben")}
        self.stage()

    def owner(self, name: str) -> Owner:
        self.pids += 1
        return Owner(self.shop, Watched(self.store, self.check_write), name, self.pids)

    def check_write(self, before: EnvironmentState | None, after: EnvironmentState) -> None:
        """Check one write against the document that it replaced, and follow what it says was done."""
        assert after.serial == (before.serial + 1 if before is not None else 1)
        if before is None or after.environment != PRODUCTION:
            return
        assert after.lineage == before.lineage
        assert after.epoch in {before.epoch, before.epoch + 1}
        if after.history != before.history:
            fresh = len(after.history) - len(before.history) if len(after.history) < KEPT else None
            new = 1 if fresh is None and after.history[1:] == before.history[: KEPT - 1] else fresh or 2
            assert after.history[new:] == before.history[: KEPT - new]
            for record in reversed(after.history[:new]):
                for model, told in record.models.items():
                    if told.result == "advanced" and told.to_version is not None:
                        self.expected[model] = told.to_version
        assert {model: entry.version for model, entry in after.current.items()} == self.expected

    def stage(self) -> None:
        """Build staging, and let it soak."""
        self.owners["ann"].engine.record("staging", self.shop.leave_run("staging"))
        self.shop.clock.pass_by(DAY)

    @rule(name=st.sampled_from(NAMES))
    def edit(self, name: str) -> None:
        """Another version of a model soaks."""
        self.edits += 1
        self.shop.edit(defined(code={name: f"select {self.edits}"}))
        self.stage()

    def promote(self, owner: Owner, *models: str) -> None:
        """Promote, whatever comes of it; what is bad input or a broken machine is told so."""
        request = PromotionRequest(
            target="production",
            models=models or None,
            include_upstream=True,
            include_downstream=True,
            include_macro_users=True,
            actor=owner.name,
            run=f"{owner.name} {owner.run}",
            lock_timeout=0,
        )
        try:
            owner.engine.promote(request)
        except (InputError, MachineError) as error:
            assert type(error).__name__ in {"LockHeldError", "ClockError", "LockLostError"}, error  # noqa: PT017
            return
        owner.run += 1

    @rule(who=st.sampled_from(["ann", "ben"]), models=st.sets(st.sampled_from(NAMES), max_size=2))
    def promote_something(self, who: str, models: set[str]) -> None:
        """Promote some models, or all that may go."""
        self.promote(self.owners[who], *sorted(models))

    @rule(who=st.sampled_from(["ann", "ben"]), place=st.sampled_from(PLACES), nth=st.integers(1, 3))
    def die(self, who: str, place: Failpoint, nth: int) -> None:
        """Promote everything, and die on the way; the next process of this owner is a retry."""
        owner, seen = self.owners[who], []

        def happen(reached: Failpoint) -> None:
            if reached is place:
                seen.append(reached)
            if len(seen) == nth:
                owner.store.dead = True
                raise Killed

        arm(happen)
        try:
            self.promote(owner)
        except Killed:
            again = self.owner(who)
            again.run = owner.run
            self.owners[who] = again
        finally:
            arm(None)

    @rule(who=st.sampled_from(["ann", "ben"]))
    def be_overtaken(self, who: str) -> None:
        """While one builds, its lock expires, and the other promotes."""
        other = self.owners["ben" if who == "ann" else "ann"]

        def meanwhile() -> None:
            self.shop.workshop.meanwhile = bool
            self.shop.clock.pass_by(timedelta(minutes=5))
            self.promote(other)

        self.shop.workshop.meanwhile = meanwhile
        self.promote(self.owners[who])
        self.shop.workshop.meanwhile = bool

    @rule(who=st.sampled_from(["ann", "ben"]))
    def run_what_is_promoted(self, who: str) -> None:
        """Build the environment as it is."""
        try:
            self.owners[who].engine.run(RunOrder(environment="production", actor=who, lock_timeout=0))
        except (InputError, MachineError) as error:
            assert error.code in {"locked", "unservable", "clock"}, error  # noqa: PT017

    @rule(minutes=st.sampled_from([-10, -1, 1, 5]))
    def let_time_pass(self, minutes: int) -> None:
        """Let locks expire, or step the clock back."""
        self.shop.clock.pass_by(timedelta(minutes=minutes))

    @rule(who=st.sampled_from(["ann", "ben"]))
    def unlock(self, who: str) -> None:
        """Open the lock by force."""
        try:
            self.owners[who].engine.unlock("production", who, "so it is")
        except InputError as error:
            assert error.code == "not_locked"  # noqa: PT017

    @rule(who=st.sampled_from(["ann", "ben"]))
    def resume(self, who: str) -> None:
        """Carry on what broke off."""
        try:
            self.owners[who].engine.resume(PromotionRequest(target="production", actor=who, lock_timeout=0))
        except (InputError, MachineError) as error:
            assert error.code in {"nothing_to_resume", "locked", "clock"}, error  # noqa: PT017

    @precondition(lambda self: self.store.read(PRODUCTION) is not None)
    @rule(back=st.integers(1, 3))
    def write_what_is_old(self, back: int) -> None:
        """Write over a document that somebody else has changed since."""
        there = self.store.read(PRODUCTION)
        assert there is not None
        try:
            self.store.write(replace(there, current={}), max(there.serial - back, 0))
        except StateConflictError:
            assert self.store.read(PRODUCTION) == there
        else:
            raise AssertionError("an old document was written over a newer one")

    @invariant()
    def what_is_current_was_promoted(self) -> None:
        """Check the document as anybody reads it."""
        state = self.store.read(PRODUCTION)
        if state is not None:
            assert {model: entry.version for model, entry in state.current.items()} == self.expected
            assert len(state.history) <= KEPT

    @invariant()
    def nothing_is_published_twice(self) -> None:
        """Check the marks: of the attempts at one promotion, each model is in one."""
        state = self.store.read(PRODUCTION)
        journal = state.journal if state is not None else None
        if journal is not None:
            marks = [self.shop.workshop.marks.get(("production", epoch), {}) for epoch in journal.epochs]
            assert len({model for found in marks for model in found}) == sum(len(found) for found in marks)


def machine_for(make_store: Callable[[], StateStore], *, examples: int) -> type:
    """Return the test case of a store."""
    case: type = type("Driven", (Machine,), {"make_store": staticmethod(make_store)}).TestCase
    case.settings = settings(max_examples=examples, stateful_step_count=25, deadline=None)
    return case
