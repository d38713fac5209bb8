"""The rows that have goals: loading, what did not change, what changed, the plan."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cache import Prepared
from benchmarks.measure import Spent, answer, child, spent
from benchmarks.rows import Row, Rule, Unit
from benchmarks.theirs import dbt, listed, listing

Numbers = dict[str, float]

_LARGE = 10_000


_WRITE, _DOCUMENT = 0.1, 8e6
"""What one write of ten thousand models may cost, in seconds of CPU, and how large the document may be, in bytes."""


class Bench:
    """The measurements at one size; `rounds` is how often what is fast is repeated; dbt gets fewer."""

    def __init__(self, prepared: Prepared, rounds: int) -> None:
        """Take the project."""
        self._prepared, self._rounds = prepared, rounds
        self._slow_rounds = max(1, rounds * 1000 // max(1000, prepared.size) // 2)
        self.notes: list[str] = []

    def loading(self) -> Iterator[Row]:
        """Yield what reading a manifest costs, against its bytes, json and dbt."""
        places = (self._prepared.after, self._prepared.project)
        works = ("read", "load", "json", "unchanged", "definition", "release")
        taken: dict[str, list[Numbers]] = {work: [] for work in works}
        for _ in range(self._rounds):
            for work in works:
                taken[work].append(answer(child("ours", "once", work, *places), Numbers))
        cost = {work: statistics.median(one["seconds"] for one in found) for work, found in taken.items()}
        peak = {work: statistics.median(one["peak"] for one in found) for work, found in taken.items()}
        file = taken["read"][0]["file"]
        theirs = answer(child("theirs", "manifest", self._prepared.after / "manifest.json", self._slow_rounds), Numbers)
        load, read = "load a manifest", "reading its bytes"
        yield self._row(load, cost["load"], read, cost["read"], goal=4.5)
        yield self._row(load, cost["load"], "json.load", cost["json"], rule=Rule.FASTER, goal=4)
        yield self._row(load, cost["load"], "dbt's Manifest", theirs["manifest"], rule=Rule.FASTER, goal=40)
        yield self._row(f"{load}, memory", peak["load"], "the file", file, goal=2.5, unit=Unit.BYTES)
        yield self._row("a manifest that did not change", cost["unchanged"], read, cost["read"], goal=2.5)
        yield self._row("the same with config as written", cost["definition"], read, cost["read"])
        yield self._row("a whole release, fingerprinted", cost["release"], read, cost["read"])
        yield self._row("a whole release, memory", peak["release"], "the file", file, unit=Unit.BYTES)

    def changes(self) -> Iterator[Row]:
        """Yield what finding out what changed costs, and hold both answers against each other."""
        made = self._prepared
        places = (made.before, made.after, made.project)
        whole = [child("ours", "changes", *places) for _ in range(self._rounds)]
        listings = [spent(self._listing()) for _ in range(self._slow_rounds)]
        inside = answer(child("ours", "changed", *places, self._rounds), Numbers)
        preloaded = answer(
            child("theirs", "preloaded", made.project, self._target(), made.before, self._slow_rounds), Numbers
        )
        what = "what changed, and what stands on it"
        yield self._row(f"{what}: process", _cpu(whole), "dbt ls: process", _cpu(listings), rule=Rule.FASTER, goal=40)
        yield self._row(
            f"{what}: in process",
            inside["changed"],
            "dbtRunner, preloaded",
            preloaded["preloaded"],
            rule=Rule.FASTER,
            goal=25,
        )
        yield self._from_document(_cpu(listings))
        self._compare(answer(whole[0], dict[str, list[str]]), listed(listings[0].output))

    def _from_document(self, listing: float) -> Row:
        """Return what the same costs where an environment's document tells what was before."""
        made = self._prepared
        with tempfile.TemporaryDirectory() as folder:
            child("ours", "states", made.before, made.after, made.project, folder)
            runs = [
                child("ours", "changes-from-document", folder, made.after, made.project) for _ in range(self._rounds)
            ]
        return self._row("the same from a document: process", _cpu(runs), "dbt ls: process", listing, rule=Rule.FASTER)

    def plan(self) -> Iterator[Row]:
        """Yield what a plan with every gate costs, and what stands around it."""
        made = self._prepared
        found = answer(child("ours", "plan", made.before, made.after, made.project, self._rounds), Numbers)
        two, loading = found["two"], "loading two releases"
        yield self._row("plan with every gate: what changed", found["changed"], loading, two, goal=3)
        yield self._row("plan with every gate: all as new", found["new"], loading, two, goal=3)
        yield self._row("plan with every gate: nothing to do", found["nothing"], loading, two, goal=3)
        yield self._row("an environment's document: size", found["bytes"], unit=Unit.BYTES)
        yield self._row("an environment's document: write", found["encode"])
        yield self._row("an environment's document: read", found["decode"])

    def released(self) -> Iterator[Row]:
        """Yield what putting released code together costs, and what a hundred kept releases take."""
        made = self._prepared
        places = (made.before, made.after, made.project)
        found = answer(child("released", "composing", *places, self._slow_rounds), Numbers)
        load, theirs = "dbt loading one kept parse", found["load"]
        yield self._row("composing and verifying two releases", found["compose"], load, theirs, goal=5)
        yield self._row("the same, written for dbt", found["compose"] + found["write"], load, theirs)
        kept = answer(child("released", "keeping", made.project), Numbers)
        # The goal is that of a large project: in a small one, five edits are more of the whole.
        goal = 3 if made.size >= _LARGE else None
        yield self._row("100 kept releases", kept["hundred"], "one", kept["one"], goal=goal, unit=Unit.BYTES)
        yield self._row("keeping a release", kept["last"], "the first", kept["first"])
        self.notes.append(f"{made.size:,} models: {found['promoted']:,.0f} of them from the newer of two releases")

    def stores(self) -> Iterator[Row]:
        """Yield what a write of a whole document costs, and what many writers at once get done."""
        made = self._prepared
        places = (made.before, made.after, made.project)
        found = answer(child("stores", "writing", *places, self._rounds), Numbers)
        for kind, told in (("files", "files"), ("sqlite", "SQLite")):
            yield self._row(f"one state write: {told}", found[f"{kind} write"], "the goal", _WRITE, goal=1)
            yield self._row(f"one state read: {told}", found[f"{kind} read"])
        yield self._row("the document", found["bytes"], "the goal", _DOCUMENT, goal=1, unit=Unit.BYTES)
        yield self._row("the same, not packed", found["plain"], unit=Unit.BYTES)
        raced = answer(child("stores", "racing", *places), Numbers)
        for kind, told in (("files", "files"), ("sqlite", "SQLite")):
            what = f"8 writers, 50 changes each: {told}"
            yield self._row(what, raced[kind], "SQLite's bare lock", raced["bare"], goal=2)
            self.notes.append(f"8 writers, 50 changes each, {told}: {raced[f'{kind} lost']:.0f} of 400 lost")

    def _row(self, what: str, ours: float, against: str = "", theirs: float | None = None, **more: object) -> Row:
        return Row(models=self._prepared.size, what=what, ours=ours, against=against, theirs=theirs, **more)  # type: ignore[arg-type]

    def _target(self) -> Path:
        """Return a target folder for dbt to work in, so that it does not write over what is measured."""
        return Path(self._prepared.folder, "dbt")

    def _listing(self) -> list[str]:
        """Return the command line with which dbt lists what changed, from its parse after the edit."""
        shutil.copytree(self._prepared.after, self._target(), dirs_exist_ok=True)
        return dbt(*listing(self._prepared.project, self._target(), self._prepared.before))

    def _compare(self, ours: dict[str, list[str]], theirs: dict[str, str]) -> None:
        """Note both answers, and what is in one of them only; an ephemeral model is no model that we would promote."""
        found = {id_ for ids in ours.values() for id_ in ids}
        ephemeral = {id_ for id_, materialized in theirs.items() if materialized == "ephemeral"}
        unexplained = sorted((theirs.keys() - ephemeral) ^ found)
        told = ", ".join(f"{len(ids):,} {kind}" for kind, ids in ours.items())
        edited = f"{self._prepared.size:,} models, {len(self._prepared.edited):,} bodies edited"
        self.notes.append(
            f"{edited}: we say {len(found):,} ({told}), dbt {len(theirs):,}, of which {len(ephemeral):,} ephemeral, "
            f"which are never promoted alone and are not counted by us; "
            f"differing otherwise: {' '.join([f'{len(unexplained):,}', *unexplained[:5]])}"
        )


def _cpu(runs: list[Spent]) -> float:
    return statistics.median(run.cpu for run in runs)
