"""Where the seconds of a promotion go: its milestones, and its time by what is being done, no second counted twice."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_dbt_promotion.dbt import desk, runner, serving, workshop
from airflow_dbt_promotion.dbt.publish import operations
from airflow_dbt_promotion.failpoints import Failpoint, arm

PARTS = {
    "compose": "the composition is put together and laid ready",
    "macros": "the parse of macros alone is made and written",
    "read": "dbt reads that parse",
    "start": "dbt starts and ends: flags, profile, adapter, events",
    "connect": "connections are opened and closed",
    "ask": "the catalog's answers",
    "transaction": "the transaction",
    "manifest": "the manifest is kept for whoever draws it",
    "rest": "deciding what to swap, writing the state, and whatever else",
}
"""What the publish step consists of, in the order in which it is printed."""

_SWAP, _RENAMES = "dbt_promotion_do", " rename to "


class Spans:
    """The time between milestones, and within the publish step the time by part."""

    def __init__(self) -> None:
        """Begin now."""
        self._began = time.perf_counter()
        self.reached: dict[Failpoint, float] = {}
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.starts = 0
        self._stack: list[tuple[str, float]] = []
        self._doing = False
        self._transaction: list[float] = []
        self._locks: list[float] = []

    def at(self, point: Failpoint) -> None:
        """Note a milestone; the parts are those between TESTED and COMMITTED."""
        now = time.perf_counter()
        self.reached.setdefault(point, now - self._began)
        if point is Failpoint.TESTED:
            self._stack = [("rest", now)]
        elif point is Failpoint.COMMITTED and self._stack:
            self._passed(now)
            self._stack = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time that passes within as that of a part, and not as that of what is around it."""
        if not self._stack:
            yield
            return
        self._passed(time.perf_counter())
        self._stack.append((name, time.perf_counter()))
        try:
            yield
        finally:
            self._passed(time.perf_counter())
            self._stack.pop()
            name, _since = self._stack[-1]
            self._stack[-1] = (name, time.perf_counter())

    @contextmanager
    def statement(self, sql: str) -> Iterator[None]:
        """Count a statement: as the transaction's where the swap is on, as a question else."""
        began = time.perf_counter()
        if self._doing and _RENAMES in sql:
            self._locks.append(began)
        with self.part("transaction" if self._doing else "ask"):
            yield
        if self._doing:
            self._transaction += [began, time.perf_counter()]

    @contextmanager
    def invocation(self, doing: bool) -> Iterator[None]:  # noqa: FBT001 - whether it is the swap
        """Count an invocation of dbt."""
        self._doing, self.starts = doing, self.starts + (1 if self._stack else 0)
        with self.part("start"):
            yield
        self._doing = False

    @property
    def transaction(self) -> tuple[float, float]:
        """The seconds from the first statement of the swap's transaction until it was committed, and those from the
        first rename on: as long as these, readers may have to wait.
        """
        ended = max(self._transaction, default=0.0)
        return ended - min(self._transaction, default=0.0), ended - min(self._locks, default=ended)

    def told(self) -> Mapping[str, float]:
        """Return the seconds of every milestone and part."""
        at = self.reached
        swapped = {"swapped": at[Failpoint.PUBLISHED] - at[Failpoint.TESTED]} if Failpoint.TESTED in at else {}
        return {
            "visible": at[Failpoint.PUBLISHED],
            "whole": at[Failpoint.COMMITTED],
            "state": at[Failpoint.COMMITTED] - at[Failpoint.PUBLISHED],
            **swapped,
            "transaction": self.transaction[0],
            "waiting": self.transaction[1],
            "starts": self.starts,
            **{f"part {name}": self.seconds[name] for name in PARTS},
        }

    def _passed(self, now: float) -> None:
        name, since = self._stack[-1]
        self.seconds[name] += now - since


@contextmanager
def watched() -> Iterator[Spans]:
    """Yield what is found out about the one promotion that is made within."""
    from dbt.adapters.base.impl import BaseAdapter  # noqa: PLC0415 - costs two seconds
    from dbt.adapters.contracts.connection import LazyHandle  # noqa: PLC0415 - as above
    from dbt.adapters.sql.connections import SQLConnectionManager  # noqa: PLC0415 - as above

    spans = Spans()
    before: list[tuple[Any, str, Any]] = []

    def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:  # noqa: ANN401 - a class or a module
        inner = getattr(owner, name)
        before.append((owner, name, inner))

        def wrapped(*args: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever the inner one takes
            with around(*args, **more):
                return inner(*args, **more)

        setattr(owner, name, wrapped)

    def invoked(_self: object, _project: object, invocation: Any, *_more: object, **__: object) -> Any:  # noqa: ANN401 - a context
        return spans.invocation(invocation.operation is not None and invocation.operation.name == _SWAP)

    wrap(serving, "composed", lambda *_, **__: spans.part("compose"))
    wrap(serving.Releases, "parsed", lambda *_, **__: spans.part("compose"))
    wrap(serving.Workspace, "__init__", lambda *_, **__: spans.part("compose"))
    wrap(serving.Workspace, "write", lambda *_, **__: spans.part("compose"))
    wrap(operations, "macros_alone", lambda *_, **__: spans.part("macros"))
    wrap(desk.Desk, "lay", lambda *_, **__: spans.part("macros"))
    wrap(runner.InProcessRunner, "invoke", invoked)
    wrap(runner, "_handed", lambda *_, **__: spans.part("read"))
    wrap(LazyHandle, "resolve", lambda *_, **__: spans.part("connect"))
    wrap(BaseAdapter, "cleanup_connections", lambda *_, **__: spans.part("connect"))
    wrap(SQLConnectionManager, "add_query", lambda _manager, sql, *_, **__: spans.statement(sql))
    wrap(SQLConnectionManager, "commit", lambda *_, **__: spans.statement("commit"))
    wrap(workshop.DbtWorkshop, "_keep_manifest", lambda *_, **__: spans.part("manifest"))
    arm(spans.at)
    try:
        yield spans
    finally:
        arm(None)
        for owner, name, inner in reversed(before):
            setattr(owner, name, inner)
