"""`windows` of an environment in `promotion.yml`: what they mean, and how they can be wrong, with line and key."""

from __future__ import annotations

from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from airflow_dbt_promotion.config import config_schema
from airflow_dbt_promotion.config.promotion_file import read_promotion_file
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.windows import Window, Windows

HEAD = """\
version: 1
environments:
  staging: {}
  production:
    windows:
"""


def file_of(folder: Path, windows: str) -> Path:
    """Return a file whose `windows` are these lines; they begin in line 6."""
    file = folder / "promotion.yml"
    file.write_text(HEAD + "".join(f"      {line}\n" for line in windows.strip("\n").splitlines()), encoding="utf-8")
    return file


def read(folder: Path, windows: str) -> Windows:
    path = read_promotion_file(file_of(folder, windows)).path
    assert path is not None
    return path.get("production").windows


def one(folder: Path, window: str) -> Window:
    (found,) = read(folder, f"allow:\n  - {window}").allow
    return found


def conforms(document: Any) -> bool:
    """Say whether a document conforms to the published schema, as an editor reads it: days as text."""
    plain = yaml.load(document, Loader=yaml.BaseLoader)  # noqa: S506 - makes text only
    plain["version"] = 1
    return bool(jsonschema.Draft202012Validator(config_schema()).is_valid(plain))


def test_the_example(tmp_path: Path) -> None:
    windows = """
allow:
  - name: business hours
    timezone: Europe/Berlin
    days: [mon, tue, wed, thu, mon]
    opens: "09:00"
    closes: "17:00"
  - {timezone: UTC, rrule: "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", from: 2026-01-06, opens: "22:00", closes: "02:00"}
deny:
  - name: year end
    timezone: America/New_York
    from: 2026-12-18
    until: 2027-01-03
  - {name: night build, timezone: UTC, opens: "01:30", lasts: P1DT90M}
"""
    assert read(tmp_path, windows) == Windows(
        allow=(
            Window(
                name="business hours",
                zone="Europe/Berlin",
                opens=time(9),
                closes=time(17),
                days=0,
                rule="FREQ=WEEKLY;BYDAY=MO,TU,WE,TH",
            ),
            Window(
                name="allow 2",
                zone="UTC",
                opens=time(22),
                closes=time(2),
                days=1,
                rule="FREQ=WEEKLY;INTERVAL=2;BYDAY=TU",
                first=date(2026, 1, 6),
            ),
        ),
        deny=(
            Window(
                name="year end",
                zone="America/New_York",
                closes=time(0),
                days=1,
                first=date(2026, 12, 18),
                last=date(2027, 1, 3),
            ),
            Window(name="night build", zone="UTC", opens=time(1, 30), days=1, lasts=timedelta(minutes=90)),
        ),
    )
    assert conforms(file_of(tmp_path, windows).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("window", "opens", "closes", "days", "lasts"),
    [
        ("{timezone: UTC}", time(0), time(0), 1, timedelta(0)),
        ('{timezone: UTC, opens: "09:00"}', time(9), time(0), 1, timedelta(0)),
        ('{timezone: UTC, opens: "09:00", closes: "24:00"}', time(9), time(0), 1, timedelta(0)),
        ('{timezone: UTC, closes: "06:00"}', time(0), time(6), 0, timedelta(0)),
        ('{timezone: UTC, opens: "09:00", closes: "09:00"}', time(9), time(9), 1, timedelta(0)),
        ('{timezone: UTC, opens: "09:00", lasts: PT8H}', time(9), None, 0, timedelta(hours=8)),
        ("{timezone: UTC, lasts: P2W}", time(0), None, 14, timedelta(0)),
        ("{timezone: UTC, lasts: P366D}", time(0), None, 366, timedelta(0)),
        ("{timezone: UTC, lasts: PT24H}", time(0), None, 0, timedelta(days=1)),
    ],
)
def test_when_it_opens_and_closes(
    tmp_path: Path, window: str, opens: time, closes: time | None, days: int, lasts: timedelta
) -> None:
    found = one(tmp_path, window)
    assert (found.opens, found.closes, found.days, found.lasts) == (opens, closes, days, lasts)
    assert conforms(file_of(tmp_path, f"allow:\n  - {window}").read_text(encoding="utf-8"))


def test_no_windows_are_no_windows(tmp_path: Path) -> None:
    assert read(tmp_path, "{}").always
    assert read(tmp_path, "{allow: [], deny: []}").always


@pytest.mark.parametrize(
    ("window", "key", "problem"),
    [
        ("{days: [mon]}", "", "says no timezone, such as Europe/Berlin"),
        ("{timezone: Berlin}", "timezone", "there is no time zone 'Berlin'; did you mean Europe/Berlin?"),
        ("{timezone: europe/berlin}", "timezone", "did you mean Europe/Berlin?"),
        ("{timezone: Europe/Berlim}", "timezone", "did you mean Europe/Berlin?"),
        ("{timezone: New York}", "timezone", "did you mean America/New_York?"),
        ("{timezone: ../../etc/passwd}", "timezone", "it is called like Europe/Berlin or UTC"),
        ("{timezone: localtime}", "timezone", "there is no time zone 'localtime'"),
        ("{timezone: 1}", "timezone", "Expected str, got int"),
        ("{timezone: UTC, day: [mon]}", "day", "there is no such key; did you mean days?"),
        ("{timezone: UTC, days: [monday]}", "days", "must be a list of fri, mon"),
        ("{timezone: UTC, days: mon}", "days", "must be a list of fri, mon"),
        ("{timezone: UTC, days: []}", "days", "is empty; leave it out for every day"),
        ('{timezone: UTC, rrule: "FREQ=DAILY", days: [mon]}', "days", "stands beside rrule"),
        ('{timezone: UTC, rrule: "FREQ=SECONDLY"}', "rrule", "'FREQ=SECONDLY' FREQ=SECONDLY must be one of DAILY"),
        ('{timezone: UTC, rrule: "FREQ=DAILY;COUNT=100000000", from: 2026-01-01}', "rrule", "COUNT=100000000 must be"),
        ('{timezone: UTC, rrule: "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU"}', "rrule", "say it with the key `from`"),
        ('{timezone: UTC, rrule: "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}', "rrule", "names no day: it never occurs"),
        ("{timezone: UTC, days: [mon], from: 2026-07-07, until: 2026-07-08}", "days", "names no day from 2026-07-07"),
        ("{timezone: UTC, opens: 17:00}", "opens", '1020 must be a time of day in quotes, such as "09:00" or "17:30"'),
        ('{timezone: UTC, opens: "9:00"}', "opens", "'9:00' must be a time of day in quotes"),
        ('{timezone: UTC, opens: "24:00"}', "opens", "'24:00' must be a time of day in quotes"),
        ('{timezone: UTC, closes: "24:01"}', "closes", "'24:01' must be a time of day in quotes"),
        ('{timezone: UTC, closes: "10:00", lasts: PT1H}', "lasts", "stands beside closes"),
        ("{timezone: UTC, lasts: 1}", "lasts", "1 must be a length in weeks"),
        ("{timezone: UTC, lasts: P1M}", "lasts", "'P1M' must be a length in weeks, days, hours"),
        ("{timezone: UTC, lasts: P}", "lasts", "'P' must be a length"),
        ("{timezone: UTC, lasts: null}", "lasts", "None must be a length"),
        ("{timezone: UTC, lasts: PT0M}", "lasts", "must be longer than nothing"),
        ("{timezone: UTC, lasts: P367D}", "lasts", "366 days at the most"),
        ("{timezone: UTC, from: 2027-01-02, until: 2027-01-01}", "", "ends on 2027-01-01, before it begins on 2027"),
        ("{timezone: UTC, from: 1999-12-31}", "from", "1999-12-31 must be in the years 2000 to 2199"),
        ("{timezone: UTC, from: 2026-12-20T10:00:00}", "from", "Expected date"),
        ("{timezone: UTC, from: soon}", "from", "Invalid RFC3339"),
        ("business hours", "", "must be a mapping of keys to values, not text"),
    ],
)
def test_a_wrong_window_is_told_with_line_and_key(tmp_path: Path, window: str, key: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"promotion\.yml:7: environments\.production\.windows\.allow\.0") as caught:
        one(tmp_path, window)
    told = str(caught.value).partition("windows.allow.0")[2]
    assert told.startswith(f".{key}: " if key else ": "), told
    assert problem in told


@pytest.mark.parametrize(
    ("windows", "place", "problem"),
    [
        ("- {timezone: UTC}", "windows:", "must be a mapping of keys to values, not a list"),
        ("{allows: []}", "windows.allows:", "there is no such key; did you mean allow?"),
        ("allow: {timezone: UTC}", "windows.allow:", "must be a list of windows"),
        ("deny: 5", "windows.deny:", "must be a list of windows, not a number"),
        (
            "deny: [{timezone: UTC, name: a}, {timezone: UTC, name: a}]",
            "windows.deny.1.name:",
            "there are two windows 'a'",
        ),
        (f"deny: [{', '.join(['{timezone: UTC}'] * 51)}]", "windows.deny:", "holds 51 windows; 50 are the most"),
    ],
)
def test_wrong_lists_are_told(tmp_path: Path, windows: str, place: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, windows)
    assert f"environments.production.{place}" in str(caught.value)
    assert problem in str(caught.value)


def test_the_schema_knows_what_a_window_may_hold(tmp_path: Path) -> None:
    for wrong in (
        "allow:\n  - {days: [mon]}",
        "allow:\n  - {timezone: UTC, days: [monday]}",
        'allow:\n  - {timezone: UTC, opens: "9:00"}',
        "allow:\n  - {timezone: UTC, lasts: P1M}",
        "allow:\n  - {timezone: UTC, day: [mon]}",
        "allows: []",
    ):
        assert not conforms(file_of(tmp_path, wrong).read_text(encoding="utf-8")), wrong


def test_what_the_documentation_shows_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "windows.md").read_text(encoding="utf-8")
    shown = [block.partition("\n```")[0] for block in page.split("```yaml\n")[1:]]
    whole = [block for block in shown if block.startswith("version: 1\n")]
    parts = [block.removeprefix("windows:\n") for block in shown if block.startswith("windows:\n")]
    assert (len(whole), len(parts)) == (1, len(shown) - 1)
    assert len(parts) >= 4
    for part in parts:
        assert not read(tmp_path, "\n".join(line.removeprefix("  ") for line in part.splitlines())).always
    file = tmp_path / "promotion.yml"
    file.write_text(whole[0], encoding="utf-8")
    path = read_promotion_file(file).path
    assert path is not None
    assert not path.get("production").windows.always
