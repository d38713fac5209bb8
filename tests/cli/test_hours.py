"""Freezing, thawing and windows at the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from airflow_dbt_promotion.cli import main
from airflow_dbt_promotion.core.windows import Window, Windows
from airflow_dbt_promotion.render.schemas import schema
from airflow_dbt_promotion.wiring import Place, engine_for
from tests.scenarios import DAY, Shop, path

WORDS = ("--environment", "production", "--reason", "INC-42", "--actor", "ann")
PROMOTE = ("promote", "--target-environment", "production")
WINDOWS = Windows(allow=(Window(name="business hours", zone="Europe/Berlin"),))


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Return a shop whose staging has soaked, and whose production has windows, which are open."""
    monkeypatch.setenv("COLUMNS", "140")
    made = Shop(environments=path(windows=WINDOWS))
    made.run("staging")
    made.clock.pass_by(DAY)
    return made


def run(shop: Shop, *words: str) -> int:
    return main(words, engine_for=lambda _: shop.engine)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def document(capsys: pytest.CaptureFixture[str], name: str) -> Mapping[str, object]:
    found: Mapping[str, object] = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, schema(name))
    return found


def test_an_environment_is_frozen_and_thawed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, "freeze", *WORDS) == 0
    assert "into production until `dbt-promote thaw --environment production --reason TEXT`." in told(capsys)
    assert run(shop, *PROMOTE) == 3
    refused = told(capsys)
    assert "window: frozen" in refused
    assert "production is frozen since Sat 2026-07-25 12:00 UTC by ann: INC-42" in refused
    assert "=> Lift it with `dbt-promote thaw --environment production --reason TEXT`." in refused
    assert run(shop, *PROMOTE, "--dry-run") == 3
    capsys.readouterr()
    assert run(shop, "why", "orders", "--target-environment", "production") == 3
    assert "window: blocked (frozen)" in told(capsys)
    assert run(shop, "status") == 0
    standing = told(capsys)
    assert "Not now: production is frozen since Sat 2026-07-25 12:00 UTC by ann: INC-42;" in standing
    assert standing.count(" frozen ") == 1 + 4
    assert run(shop, "thaw", *WORDS) == 0
    assert "production is frozen no more" in told(capsys)
    assert run(shop, "thaw", *WORDS) == 2
    assert "nothing to thaw" in capsys.readouterr().err
    assert run(shop, *PROMOTE) == 0


@pytest.mark.parametrize(
    ("until", "found"),
    [("PT4H", "2026-07-25 16:00 UTC"), ("2026-07-27T08:00+02:00", "2026-07-27 06:00 UTC")],
)
def test_a_freeze_can_end_by_itself(shop: Shop, capsys: pytest.CaptureFixture[str], until: str, found: str) -> None:
    assert run(shop, "freeze", *WORDS, "--until", until) == 0
    assert f"into production until {found}, or `dbt-promote thaw" in told(capsys)
    assert run(shop, "why", "raw_orders", "--target-environment", "production") == 3
    why = told(capsys)
    assert "window: waiting (frozen)" in why
    assert f"it could at {found} (in " in why
    assert run(shop, "status", "--output-format", "markdown") == 0
    assert f"{found}, since" in told(capsys)


@pytest.mark.parametrize("until", ["tomorrow", "2026-12-24T18:00", "2026-07-25T12:00Z", "0"])
def test_an_end_that_is_none_is_refused_and_freezes_nothing(
    shop: Shop, capsys: pytest.CaptureFixture[str], until: str
) -> None:
    assert run(shop, "freeze", *WORDS, "--until", until) == 2
    assert "error: " in capsys.readouterr().err
    assert run(shop, *PROMOTE, "--dry-run") == 0


def test_a_closed_window_is_told_on_every_surface(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.calendar.opens_at = shop.clock() + timedelta(hours=20)
    opens = "production is outside its windows; 'business hours' opens at Sun 2026-07-26 08:00 UTC"
    for words in (PROMOTE, (*PROMOTE, "--dry-run")):
        assert run(shop, *words) == 3
        refused = told(capsys)
        assert opens in refused
        assert "=> Wait until 2026-07-26 08:00 UTC (in 20 h); or change `windows` of production" in refused
    assert run(shop, "why", "orders", "--target-environment", "production") == 3
    assert opens in told(capsys)
    assert run(shop, "status") == 0
    standing = told(capsys)
    assert f"Not now: {opens}" in standing
    assert standing.count("window_closed") == 4
    assert run(shop, "validated", "--min-days-in-staging", "1") == 0
    assert "orders" in told(capsys)
    shop.clock.now = shop.calendar.opens_at
    assert run(shop, "status") == 0
    open_now = told(capsys)
    assert "outside its windows" not in open_now
    assert open_now.count("may go") == 4
    assert run(shop, "why", "orders", "--target-environment", "production") == 3
    assert "window: passed (window_open)" in told(capsys)


def test_an_environment_of_which_nothing_is_known_tells_of_its_windows_too(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.calendar.never = True
    assert run(shop, "status", "--environment", "production") == 0
    standing = told(capsys)
    assert "Nothing was ever promoted." in standing
    assert "none opens it in the next two years." in standing


def test_what_was_done_and_what_holds_as_documents(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for command, more in (("freeze", ("--until", "PT1H")), ("freeze", ()), ("thaw", ())):
        assert run(shop, command, *WORDS, *more, "--output-format", "json") == 0
        done = document(capsys, "intervened")
        assert (done["kind"], done["reason"], done["models"]) == (command, "INC-42", [])
        assert done["until"] == ("2026-07-25T13:00:00Z" if more else None)
        assert run(shop, "status", "--output-format", "json") == 0
        status = document(capsys, "status")
        (production,) = [one for one in status["environments"] if one["environment"] == "production"]  # type: ignore[attr-defined]
        orders = next(one for one in status["models"] if one["name"] == "orders")  # type: ignore[attr-defined]
        gates = [verdict["code"] for verdict in orders["verdicts"] if verdict["gate"] == "window"]
        if command == "thaw":
            assert (production["freeze"], gates) == (None, ["window_open"])
        else:
            assert (production["freeze"]["reason"], production["freeze"]["until"]) == ("INC-42", done["until"])
            assert gates == ["frozen", "window_open"]
    assert run(shop, *PROMOTE, "--dry-run", "--output-format", "json") == 0
    verdicts = document(capsys, "promotion")["verdicts"]
    assert [(one["gate"], one["status"]) for one in verdicts] == [("window", "passed")]  # type: ignore[attr-defined]


def test_what_promotion_yml_says_holds(tmp_path: Path) -> None:
    """From the file over the calendar to the verdict, with nothing in between made up."""
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n", encoding="utf-8")
    (tmp_path / "promotion.yml").write_text(
        """
version: 1
environments:
  staging: {}
  production:
    windows:
      allow:
        - {name: business hours, timezone: Europe/Berlin, days: [mon, tue, wed, thu], opens: "09:00", closes: "17:00"}
      deny:
        - {name: year end, timezone: Europe/Berlin, from: 2026-12-18, until: 2027-01-03}
""",
        encoding="utf-8",
    )
    place = Place(project_dir=tmp_path, clock=lambda: datetime(2026, 12, 20, 12, tzinfo=UTC))
    observer = engine_for(place, environ={"HOME": str(tmp_path)}).observer
    (shut,) = observer.hours("production")
    assert shut.reason == (
        "production is shut by the window 'year end'; it opens at Mon 2027-01-04 08:00 UTC "
        "(Mon 2027-01-04 09:00 in Europe/Berlin)"
    )
    summer = datetime(2026, 7, 24, 12, tzinfo=UTC)
    (friday,) = observer.hours("production", summer)
    assert friday.eligible_at == datetime(2026, 7, 27, 7, tzinfo=UTC)
    assert observer.hours("production", summer - timedelta(days=1))[0].passed
    assert observer.hours("staging") == ()
