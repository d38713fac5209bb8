"""What other tools and earlier scripts remember of past promotions: names and instants, which become history.

History is for people. Nothing of it is evidence, and nothing becomes current by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from heapq import merge
from typing import NamedTuple, NoReturn

from airflow_dbt_promotion.core.errors import ImportedStateError, InvalidNameError
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, PlanId, digest_of, model_name
from airflow_dbt_promotion.core.instants import utc
from airflow_dbt_promotion.core.state import PromotedModel, PromotionOutcome, PromotionRecord

IMPORTED = "imported"
"""What an imported promotion has in place of a strategy."""

UNKNOWN = "unknown"

_LISTS = ("promotions", "last_promotions", "history", "models")
_INSTANTS = ("promoted_at", "timestamp", "at", "finished_at")
_MODELS = ("models", "model", "name")
_ENVIRONMENTS = ("target_environment", "environment")
_ACTORS = ("actor", "user")
_STATUSES = {"success": PromotionOutcome.PROMOTED, "failed": PromotionOutcome.FAILED}

_ISO = re.compile(r"\d{4}-?\d\d-?\d\d([Tt ].+)?")
_EARLIEST = datetime(2016, 1, 1, tzinfo=UTC)
"""Before dbt was, nothing was promoted: such an instant is a number of something else than seconds."""


class _Told(NamedTuple):
    """What one place of a file tells."""

    at: datetime
    outcome: PromotionOutcome
    actor: str
    models: tuple[ModelId, ...]


def past_promotions(
    data: bytes, where: str, environment: EnvironmentName, zone: tzinfo | None
) -> tuple[PromotionRecord, ...]:
    """Return the promotions into an environment that a file tells of, newest first; `where` names it.

    What has the same instant, outcome and actor is one promotion. Instants that say no time zone are in `zone`; without
    one they are an error. Raises ImportedStateError for whatever cannot be understood; other fields are passed over.
    """
    found: dict[tuple[datetime, PromotionOutcome, str], set[ModelId]] = {}
    for told in _File(where, environment, zone).promotions(data):
        found.setdefault(told[:3], set()).update(told.models)
    records = (_record(_Told(*key, tuple(sorted(models))), where) for key, models in found.items() if models)
    return tuple(sorted(records, key=lambda record: (record.finished_at, record.plan_id), reverse=True))


def merged(
    history: Sequence[PromotionRecord], imported: Sequence[PromotionRecord], keep: int
) -> tuple[PromotionRecord, ...]:
    """Return a history with imported promotions put in, newest first; the newest of them, as far as there is room.

    What is there already is never pushed out, and stays in its order.
    """
    known = {record.plan_id for record in history}
    fresh = [record for record in imported if record.plan_id not in known]
    room = max(0, keep - len(history))
    newest = sorted(fresh, key=lambda record: record.finished_at, reverse=True)[:room]
    return tuple(merge(history, newest, key=lambda record: record.finished_at, reverse=True))


def _record(told: _Told, where: str) -> PromotionRecord:
    """Return a promotion as history keeps it; its plan id is a digest of what is told."""
    result = "advanced" if told.outcome is PromotionOutcome.PROMOTED else "failed"
    model = PromotedModel(change=UNKNOWN, from_version=None, to_version=None, result=result)
    return PromotionRecord(
        plan_id=PlanId(digest_of([IMPORTED, told.at, told.outcome, told.actor, told.models])),
        outcome=told.outcome,
        source=EnvironmentName(UNKNOWN),
        strategy=IMPORTED,
        actor=told.actor,
        started_at=told.at,
        finished_at=told.at,
        models=dict.fromkeys(told.models, model),
        message=f"imported from {where}",
    )


class _File:
    """A file that is read; errors say where in it."""

    def __init__(self, where: str, environment: EnvironmentName, zone: tzinfo | None) -> None:
        """Take the file's name, whose promotions are wanted, and the zone of instants that say none."""
        self._where, self._environment, self._zone = where, environment, zone

    def promotions(self, data: bytes) -> Iterator[_Told]:
        """Yield what the file tells of the environment."""
        try:
            raw = json.loads(data, object_pairs_hook=_unique, parse_constant=_no_number)
        except RecursionError:
            self._refuse("$", "it is nested too deeply")
        except ValueError as error:
            self._refuse("$", f"it cannot be read as JSON: {error}")
        lists = [key for key in _LISTS if isinstance(raw.get(key), list | dict)] if isinstance(raw, dict) else []
        if not lists:
            yield from self._several(raw, "$", None)
            return
        about = self._environment_of(raw, "$", None)
        for key in lists:
            yield from self._several(raw[key], _inner("$", key), about)

    def _several(self, raw: object, place: str, about: str | None) -> Iterator[_Told]:
        """Yield what a list of promotions tells, or a mapping of models to their promotions."""
        match raw:
            case list():
                for index, item in enumerate(raw):
                    inner = f"{place}[{index}]"
                    if not isinstance(item, dict):
                        self._refuse(inner, "a promotion is an object with `models` and `promoted_at`")
                    yield from self._one(item, inner, about, None)
            case dict():
                for name, item in raw.items():
                    inner = _inner(place, name)
                    told = item if isinstance(item, dict) else {_INSTANTS[0]: item}
                    yield from self._one(told, inner, about, (self._model(name, inner),), bare=told is not item)
            case _:
                self._refuse(place, "it is neither a list of promotions nor a mapping of models to instants")

    def _one(
        self,
        raw: Mapping[str, object],
        place: str,
        about: str | None,
        models: tuple[ModelId, ...] | None,
        *,
        bare: bool = False,
    ) -> Iterator[_Told]:
        """Yield what one object tells, unless it tells of another environment."""
        if self._environment_of(raw, place, about) not in {None, self._environment}:
            return
        key = self._key(raw, place, _INSTANTS)
        actor = self._text(raw, place, _ACTORS)
        yield _Told(
            at=self._instant(raw[key], place if bare else _inner(place, key)),
            outcome=self._outcome(raw, place),
            actor=" ".join(actor.split()) if actor is not None else UNKNOWN,
            models=self._models(raw, place) if models is None else models,
        )

    def _environment_of(self, raw: Mapping[str, object], place: str, around: str | None) -> str | None:
        """Return which environment an object tells of: what it says itself, or what is said around it."""
        return self._text(raw, place, _ENVIRONMENTS) or around

    def _models(self, raw: Mapping[str, object], place: str) -> tuple[ModelId, ...]:
        """Return the models of one promotion."""
        key = self._key(raw, place, _MODELS)
        named, inner = raw[key], _inner(place, key)
        if isinstance(named, list):
            return tuple(self._model(one, f"{inner}[{index}]") for index, one in enumerate(named))
        return (self._model(named, inner),)

    def _model(self, name: object, place: str) -> ModelId:
        """Return the model of that name, or unique id."""
        if not isinstance(name, str):
            self._refuse(place, "a model is told by its name, in quotes")
        try:
            return ModelId(model_name(name))
        except InvalidNameError as error:
            self._refuse(place, str(error))

    def _outcome(self, raw: Mapping[str, object], place: str) -> PromotionOutcome:
        """Return how a promotion ended; where nothing is said, it went well."""
        success, status = raw.get("success"), raw.get("status")
        told = []
        if success is not None:
            if not isinstance(success, bool):
                self._refuse(_inner(place, "success"), "it must be true or false")
            told.append(PromotionOutcome.PROMOTED if success else PromotionOutcome.FAILED)
        if status is not None:
            if not isinstance(status, str) or status.lower() not in _STATUSES:
                self._refuse(_inner(place, "status"), 'it must be "success" or "failed"')
            told.append(_STATUSES[status.lower()])
        if len(set(told)) > 1:
            self._refuse(place, "`success` and `status` contradict each other")
        return told[0] if told else PromotionOutcome.PROMOTED

    def _instant(self, raw: object, place: str) -> datetime:
        """Return an instant in UTC."""
        try:
            found = _parsed(raw)
            if found.tzinfo is None:
                if self._zone is None:
                    self._refuse(place, "it says no time zone; say which one is meant")
                found = found.replace(tzinfo=self._zone)
            found = utc(found)
        except (ValueError, OverflowError, OSError):
            self._refuse(place, "it is no instant: say it as 2025-01-31T10:00:00Z, or in seconds since 1970")
        if found < _EARLIEST:
            self._refuse(place, f"it is {found.isoformat()}, before dbt was; a number is in seconds since 1970")
        return found

    def _text(self, raw: Mapping[str, object], place: str, keys: Collection[str]) -> str | None:
        """Return the text of the first of some fields that says something."""
        key = next((key for key in keys if raw.get(key) is not None), None)
        if key is None:
            return None
        text = raw[key]
        if not isinstance(text, str) or not text.strip() or not _is_writable(text):
            self._refuse(_inner(place, key), "it must be a name, in quotes")
        return text

    def _key(self, raw: Mapping[str, object], place: str, keys: Collection[str]) -> str:
        """Return the first of some fields that says something; one must be there."""
        there = [key for key in keys if key in raw]
        if not there:
            self._refuse(place, f"it has none of the fields {', '.join(keys)}")
        return next((key for key in there if raw[key] is not None), there[0])

    def _refuse(self, place: str, problem: str) -> NoReturn:
        raise ImportedStateError(self._where, place, problem) from None


def _parsed(raw: object) -> datetime:
    """Return the instant that is meant, without a time zone where none is said; raise ValueError if there is none."""
    if isinstance(raw, str) and _ISO.fullmatch(raw.strip()):
        return datetime.fromisoformat(raw.strip().upper())
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return datetime.fromtimestamp(raw, UTC)
    raise ValueError(raw)


def _inner(place: str, key: str) -> str:
    """Return the JSON path of a field."""
    return f"{place}.{key}" if key.isidentifier() and key.isascii() else f"{place}[{json.dumps(key)}]"


def _is_writable(text: str) -> bool:
    """Say whether text has characters only; JSON can hold halves of some, which no document can."""
    return text.encode(errors="replace").decode() == text


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object that has each key once."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(one for one in names if names.count(one) > 1)!r} is there twice in one object")
    return found


def _no_number(name: str) -> NoReturn:
    """Refuse what JSON has no word for."""
    raise ValueError(f"{name} is no number")
