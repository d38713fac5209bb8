"""Publishing on two real warehouses: what readers see of it and when, beside dbt and beside bare SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.measure import answer, child
from benchmarks.rows import Row, Rule
from benchmarks.spans import PARTS
from benchmarks.warehouses import KINDS

Times = dict[str, float]

_TOLD = {"duckdb": "DuckDB", "postgres": "PostgreSQL"}
_SMALLEST, _LARGEST = 100, 1000
"""Sizes that are measured: the smallest for the growth, and the largest whose every model is built four times here."""

_COUNTS = (1, 10, 100, 1000)
_FIXED = 10
"""How many models are published where the growth with the size of the project is asked for."""

_OFTEN = 3
"""How often what takes seconds is repeated, if there is time."""

_ROUNDS_MODELS, _ROUNDS = 200, 10


class Publishing:
    """The measurements on both warehouses."""

    def __init__(self, sizes: Sequence[int], *, quick: bool) -> None:
        """Take the sizes that were asked for: those above the largest are left out."""
        self._sizes = sorted({_SMALLEST, *(size for size in sizes if size <= _LARGEST)})
        self._counts = [count for count in _COUNTS if count <= _SMALLEST] if quick else _COUNTS
        self._rounds = 1 if quick else _OFTEN
        self.notes: list[str] = []

    def times(self) -> Iterator[Row]:
        """Yield what publishing costs by each way and number of models, and how it grows with the project."""
        for kind in KINDS:
            by_size: dict[int, dict[str, Times]] = {}
            for size in self._sizes:
                largest = size == self._sizes[-1]
                counts = [count for count in (self._counts if largest else (_FIXED,)) if count <= size]
                told = child("publishing", "times", kind, size, ",".join(map(str, counts)), self._rounds)
                by_size[size] = answer(told, dict[str, Times])
                if largest:
                    for count in counts:
                        yield from self.rows(kind, size, count, by_size[size][str(count)])
            yield from _growth(kind, by_size)

    def lost(self) -> None:
        """Note what becomes of production's relations in ten rounds of promotions on PostgreSQL."""
        told = child("publishing", "rounds", _ROUNDS_MODELS, _ROUNDS)
        self.notes += answer(told, list[str])

    def rows(self, kind: str, size: int, count: int, found: Times) -> Iterator[Row]:
        """Yield the rows of one number of models, and note where the publish step's time went."""
        what, goal = f"{_TOLD[kind]}, {count:,} models: ", {1: None, 10: 3.0}.get(count, 2.0)
        publish = found["swapped"] + found["state"]
        bare, dbt = ("bare SQL", found["bare"]), ("dbt build", found["dbt build"])
        anew = ("dbt parse, then build", found["dbt parse"] + found["dbt build"])
        for name, ours, (against, theirs), most in (
            ("the transaction", found["transaction"], bare, goal),
            ("of it with locks", found["waiting"], bare, None),
            ("publish, state written", publish, bare, goal),
            ("rollback, the transaction", found["rollback transaction"], bare, goal),
            ("rollback, state written", found["rollback publish"], bare, goal),
            ("blue_green, planned before", found["whole"], dbt, 1.3),
            ("blue_green, planned now", found["planned"] + found["whole"], anew, 1.3),
            ("build, all readers see it", found["build visible"], dbt, None),
            ("build, state written", found["build whole"], dbt, None),
            ("rollback, all of it", found["rollback whole"], dbt, None),
        ):
            yield Row(models=size, what=what + name, ours=ours, against=against, theirs=theirs, goal=most)
        for name, ours in (("publish, state written", publish), ("the transaction", found["transaction"])):
            yield Row(
                models=size,
                what=what + name,
                ours=ours,
                against="dbt clone",
                theirs=found["dbt clone"],
                rule=Rule.FASTER,
                goal=25,
            )
        parts = ", ".join(f"{1e3 * found[f'part {name}']:,.0f} ms {told}" for name, told in PARTS.items())
        self.notes.append(
            f"{what}tests passed to swapped {1e3 * found['swapped']:,.0f} ms, from there to the state written "
            f"{1e3 * found['state']:,.0f} ms, in {found['starts']:.0f} starts of dbt: {parts}"
        )


def _growth(kind: str, by_size: dict[int, dict[str, Times]]) -> Iterator[Row]:
    """Yield how the publishing of a fixed number of models grows with the project."""
    least, most = min(by_size), max(by_size)
    if least == most:
        return
    small, large = (by_size[size][str(_FIXED)] for size in (least, most))
    for name, parts in (
        ("the transaction", ("transaction",)),
        ("tests passed to swapped", ("swapped",)),
        ("publish, state written", ("swapped", "state")),
    ):
        ours, theirs = (sum(found[part] for part in parts) for found in (large, small))
        what = f"{_TOLD[kind]}, {_FIXED} models: {name}"
        yield Row(models=most, what=what, ours=ours, against=f"of {least:,} models", theirs=theirs, goal=1.3)
