"""State in Airflow Variables: `airflow-variable://<prefix>`, one Variable `<prefix>:<environment>` for each document.

For small teams that have nothing but Airflow. A Variable cannot be compared and set: a write reads, agrees, writes over
whatever is there, waits until whoever read before that has written, too, and reads back. So a write that another wrote
over is an error, and is tried again, unless that other took longer between reading and writing than was waited; then
the next look of the same store finds out, or nobody does.

A Variable holds one line of ours and then the document as it is everywhere else. The line names the newest writes by
random ids, so that a writer who reads back another's document can tell whether it was built on its own.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import parse_qs

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.errors import (
    ConfigError,
    CorruptStateError,
    StateConflictError,
    StateError,
    StateUnwritableError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName, environment_name, is_environment_name
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.stores.agreement import agree, risen
from airflow_dbt_promotion.stores.airflow_variables import ALONE, Variables, address, at_hand, keys_of, told, value_of

PAUSE = 0.25
"""Seconds, at the least, from a write to its reading back: what others need between reading and writing, many times."""

_TIMES = 3
"""And at the least so many times what it took this writer."""

REMEMBERED = 20
"""How many of the newest writes a Variable names."""

_ROOT = re.compile(r"airflow-variable://([A-Za-z0-9][A-Za-z0-9_.-]{0,99})(?:\?([^#]*))?", re.IGNORECASE)
_HIDDEN = ("secret", "password", "token")
_LINE = re.compile(r"# airflow-dbt-promotion keeps this, do not edit it; writes: ([0-9a-f]{16}(?: [0-9a-f]{16})*)")
_ENCRYPTED = "gAAAA"
"""How what Fernet made begins, which Airflow hands out as it is where it has no key."""

SHADOWED = (
    "a secrets backend or an environment variable (AIRFLOW_VAR_...) of that name may stand before it, or Airflow "
    "refused it (its log says why); take that away, or choose another prefix"
)


class Root(NamedTuple):
    """What a root says: the prefix of the keys, and where sources are kept if not in Variables, too."""

    prefix: str
    releases: str | None

    @classmethod
    def of(cls, root: str) -> Self:
        """Parse `airflow-variable://prefix[?releases=<another root>]`. Raises ConfigError."""
        found, shown = _ROOT.fullmatch(root), root.partition("?")[0]  # the address of a database holds a password
        asked = parse_qs(found[2] or "", keep_blank_values=True) if found else {}
        if found is None or asked.keys() - {"releases"} or asked.get("releases") == [""]:
            raise ConfigError(
                "state",
                f"{shown!r} names no Variables; write airflow-variable://prefix, the prefix of letters, digits, `_`, "
                f"`-` and `.`, and maybe ?releases=FOLDER_OR_ADDRESS",
            )
        if hidden := next((word for word in _HIDDEN if word in found[1].lower()), None):
            problem = f"Airflow hides what Variables with {hidden!r} in their name hold, and takes seconds for it"
            raise ConfigError("state", f"{shown!r}: {problem}; choose another prefix")
        return cls(found[1], asked["releases"][-1] if asked else None)


class Held(NamedTuple):
    """What a Variable holds: the newest writes, newest first, and the document."""

    writes: tuple[str, ...]
    document: bytes


class _Written(NamedTuple):
    """A write of this store's own that was read back."""

    write: str
    lineage: str
    serial: int


class VariableStore:
    """Keeps documents in Airflow Variables, in a task and outside of one."""

    def __init__(
        self, prefix: str, reach: Callable[[], Variables] = at_hand, wait: Callable[[float], None] = time.sleep
    ) -> None:
        """Take the prefix of the keys, what reaches Variables from where it is called, and what lets time pass."""
        self._prefix, self._reach, self._wait = prefix, reach, wait
        self._ours: dict[str, _Written] = {}

    @classmethod
    def open(cls, root: str, base: Path, endangered: tuple[Path, ...]) -> Self:  # noqa: ARG003 - no folder
        """Return the store of a prefix; Airflow is not imported yet."""
        return cls(Root.of(root).prefix)

    def read(self, environment: EnvironmentName) -> EnvironmentState | None:
        """Return the newest document, None where there is none; StateError where it cannot be read, or was lost."""
        key = self._key(environment)
        with ALONE:
            held = _held(self._reach(), key)
            if held is not None:
                self._miss(key, held, codec.head(held.document, address(key), environment))
        return None if held is None else codec.decode(held.document, address(key), environment)

    def write(self, state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
        """Write over a document that has the expected serial, and our lineage, and read it back; see the module."""
        key = self._key(state.environment)
        written = risen(state, expected_serial)
        data = codec.encode(written)
        with ALONE:
            variables, began = self._reach(), time.monotonic()
            before = _held(variables, key)
            if before is not None:
                self._miss(key, before, codec.head(before.document, address(key), state.environment))
            agree(before.document if before else None, state, expected_serial, address(key))
            after = Held((secrets.token_hex(8), *(before.writes if before else ()))[:REMEMBERED], data)
            refusal = _refusal(variables, key, after, state.environment)
            self._wait(max(PAUSE, _TIMES * (time.monotonic() - began)))
            try:
                found = _held(variables, key)
            except StateError as error:
                problem = f"whether serial {written.serial} was written is not known; look at what is there"
                raise StateError(address(key), f"{problem} ({error.problem})") from error
            _settle(key, (before, after, found), refusal, written)
            self._ours[key] = _Written(after.writes[0], written.lineage, written.serial)
        return written

    def where(self, environment: EnvironmentName) -> str:
        """Return which Variable holds a document."""
        return address(self._key(environment))

    def environments(self) -> tuple[EnvironmentName, ...]:
        """Return the environments of which there is a Variable, as Airflow's database lists them."""
        names = (key.removeprefix(f"{self._prefix}:") for key in keys_of(self._reach(), f"{self._prefix}:"))
        return tuple(EnvironmentName(name) for name in names if is_environment_name(name))

    def warnings(self) -> tuple[str, ...]:
        """Say what is not promised."""
        place = f"the promotion state is in Airflow Variables ({self._prefix}:*), which cannot be compared and set"
        risk = "of two who write at the same instant one may lose what it wrote, and not notice"
        return (f"{place}: {risk}; where several promote or record at once, keep state in a database or a bucket",)

    def _key(self, environment: EnvironmentName) -> str:
        """Return the key of a document."""
        return f"{self._prefix}:{environment_name(environment)}"

    def _miss(self, key: str, held: Held, head: codec.Head) -> None:
        """Raise StateError where our last write is no part of what is there; again, whenever this store is asked.

        Past the writes that are remembered, and where the document was made anew, that cannot be told.
        """
        ours = self._ours.get(key)
        if ours is None or ours.write in held.writes:
            return
        if head.lineage != ours.lineage or head.serial >= ours.serial + REMEMBERED:
            return
        raise StateError(
            address(key),
            f"serial {ours.serial}, which was written from here, is lost: somebody else wrote over it at the same "
            f"instant, and serial {head.serial} is there now. Variables cannot prevent that. Look at what is there "
            f"(`dbt-promote status`), do again what is missing, and keep state in a database or a bucket",
        )


def _refusal(variables: Variables, key: str, after: Held, environment: EnvironmentName) -> Exception | None:
    """Write; return what was raised. Whether it is there all the same, reading back will tell."""
    line = f"# airflow-dbt-promotion keeps this, do not edit it; writes: {' '.join(after.writes)}"
    value = f"{line}\n{after.document.decode()}"
    try:
        variables.set(key, value, f"What is promoted to {environment}, by airflow-dbt-promotion: do not edit it.")
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - an API server, a database: whatever it is, it is settled
        return error
    return None


def _held(variables: Variables, key: str) -> Held | None:
    """Return what a Variable holds, None where there is none."""
    value = value_of(variables, key)
    if value is None:
        return None
    if value.startswith(_ENCRYPTED):
        raise StateError(address(key), "is encrypted; set the same [core] fernet_key here as everywhere else")
    line, _, document = value.partition("\n")
    if (found := _LINE.fullmatch(line)) is None:
        problem = "its first line is not ours: somebody edited it, or another writes to it"
        hint = "it is left as it is; restore it from a backup, or move it away and record anew"
        raise CorruptStateError(address(key), f"{problem}; {hint}")
    return Held(tuple(found[1].split()), document.encode("utf-8", "surrogatepass"))


def _settle(
    key: str,
    seen: tuple[Held | None, Held, Held | None],
    refusal: Exception | None,
    written: EnvironmentState,
) -> None:
    """Return where what was read back says that the write is there: it holds it, or was built on it."""
    before, after, found = seen
    if found == after or (found is not None and after.writes[0] in found.writes[1:]):
        return
    if refusal is not None:
        raise StateUnwritableError(address(key), f"cannot be written: {told(refusal)}") from refusal
    if found is None or found == before:
        now = "nothing" if found is None else "what was there before"
        raise StateUnwritableError(address(key), f"was written, but {now} is read back: {SHADOWED}")
    if found.writes[0] == after.writes[0]:
        raise StateUnwritableError(address(key), "what is read back is not what was written; restore a backup")
    head = codec.head(found.document, address(key), written.environment)
    if head.lineage == written.lineage and head.serial >= written.serial + REMEMBERED:
        problem = f"so many wrote meanwhile that nobody can tell whether serial {written.serial} was lost"
        raise StateError(address(key), f"{problem}; look at what is there, and keep state in a database")
    raise StateConflictError(address(key), written.serial - 1 or None, head.serial)
