"""The state itself, at the command line: shown, verified, copied, and what was before it imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.cli import main
from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.state import Unfinalized
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.render.schemas import schema
from airflow_dbt_promotion.stores.json_file import JsonFileStore
from tests.kept_shop import PRODUCTION, STAGING, KeptShop
from tests.locking import locked
from tests.scenarios import DAY, NOON, defined

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shop() -> KeptShop:
    """Return a shop with something in staging and in production."""
    made = KeptShop(defined())
    made.run("staging")
    made.clock.pass_by(DAY)
    made.engine.promote(PromotionRequest(target="production"))
    return made


@pytest.fixture
def run(shop: KeptShop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def running(*words: str) -> tuple[int, str, str]:
        code = main(["state", *words], engine_for=lambda _: shop.engine)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return running


def test_it_is_shown_in_numbers(run: Run, shop: KeptShop) -> None:
    code, out, _ = run("show")
    assert code == 0
    assert "production: memory://production" in out
    assert "4 models current" in out
    assert "1 promotion in history" in out
    code, out, _ = run("show", "--environment", "production", "--output-format", "json")
    document = json.loads(out)
    jsonschema.validate(document, schema("stored"))
    (found,) = document["environments"]
    assert (found["serial"], found["current"], found["locked_by"]) == (shop.state().serial, 4, None)
    code, out, _ = run("show", "--output-format", "markdown")
    assert "| `staging` |" in out


def test_what_is_going_on_is_shown(run: Run, shop: KeptShop) -> None:
    state = shop.state()
    broken = Unfinalized(plan_id=state.history[0].plan_id, since=NOON, models=(), why="half of it is there")
    shop.store.write(replace(state, unfinalized=broken), state.serial)
    with locked(shop.store, "production", "ben", shop.clock()):
        _, out, _ = run("show", "--environment", "production")
    assert "locked by ben, since" in out
    assert "not whole: half of it is there" in out


def test_a_document_is_printed_as_it_is(run: Run, shop: KeptShop) -> None:
    code, out, _ = run("show", "--environment", "staging", "--full")
    assert code == 0
    assert codec.decode(out.encode(), "printed", STAGING) == shop.state(STAGING)
    for words in (("--full",), ("--full", "--environment", "nowhere")):
        code, _, err = run("show", *words)
        assert (code, "--environment" in err) == (2, True)


def test_nothing_is_nothing(run: Run, shop: KeptShop) -> None:
    shop.store._documents.clear()
    assert run("show")[:2] == (0, "Nothing is remembered there.\n")
    assert "0 environments" in run("show", "--output-format", "markdown")[1]


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_it_is_copied_and_says_what_to_do_next(run: Run, shop: KeptShop, tmp_path: Path, form: str) -> None:
    old = JsonFileStore(tmp_path / "old")
    for name in (STAGING, PRODUCTION):
        old.write(shop.state(name), None)
    words = ("copy", "old", "new", "--dbt-project-dir", str(tmp_path), "--output-format", form)
    code, out, _ = run(*words)
    assert code == 0
    if form == "json":
        document = json.loads(out)
        jsonschema.validate(document, schema("moved"))
        assert set(document["environments"]) == {"staging", "production"}
        assert document["state"] == "new"
    else:
        assert "state: new" in out
    assert JsonFileStore(tmp_path / "new").read(PRODUCTION) == replace(shop.state(), serial=shop.state().serial + 2)
    state = JsonFileStore(tmp_path / "new").read(PRODUCTION)
    assert state is not None
    JsonFileStore(tmp_path / "new").write(replace(state, current={}), state.serial)
    code, _, err = run(*words)
    assert (code, "another state is there" in err) == (2, form == "text" or "another state is there" in err)


@pytest.mark.parametrize(
    "words",
    [("copy", "one"), ("copy", "one", "two", "three"), ("show", "one"), ("verify", "one"), ("import",), ("burn",), ()],
)
def test_places_are_counted(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words)[0] == 2


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_it_is_verified(run: Run, shop: KeptShop, form: str) -> None:
    code, out, _ = run("verify", "--output-format", form)
    # The fake keeps no files, so the release that both environments name is lost.
    assert code == 4
    if form == "json":
        document = json.loads(out)
        jsonschema.validate(document, schema("verified"))
        assert [one["code"] for one in document["findings"]] == ["release_missing"]
    else:
        assert "1 thing wrong in 2 documents and 1 kept release" in out
    for name in (STAGING, PRODUCTION):
        state = shop.state(name)
        current = {model: replace(entry, release=None) for model, entry in state.current.items()}
        shop.store.write(replace(state, current=current, release=None), state.serial)
    code, out, _ = run("verify", "--deep", "--output-format", form)
    assert code == 0
    if form != "json":
        assert "All is well: 2 documents and 0 kept releases, every file of them read" in out


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_the_past_is_imported_as_history_alone(run: Run, shop: KeptShop, tmp_path: Path, form: str) -> None:
    before = shop.state()
    file = tmp_path / "old.json"
    file.write_text('{"orders": "2025-01-31 10:00:00"}', encoding="utf-8")
    words = ("import", str(file), "--environment", "production", "--output-format", form)
    assert run(*words)[0] == 2
    assert shop.state() == before
    assert run(*words, "--timezone", "Nowhere/At_All")[0] == 2
    code, out, _ = run(*words, "--timezone", "Europe/Lisbon")
    assert code == 0
    if form == "json":
        jsonschema.validate(json.loads(out), schema("imported"))
    after = shop.state()
    assert [record.strategy for record in after.history] == ["build", "imported"]
    assert (after.current, after.evidence) == (before.current, before.evidence)
    assert run(*words, "--timezone", "Europe/Lisbon")[0] == 0
    assert shop.state() == after


def test_a_file_of_the_past_has_to_be_there_and_somebodys(run: Run, tmp_path: Path) -> None:
    code, _, err = run("import", str(tmp_path / "none.json"), "--environment", "production")
    assert (code, "cannot be read" in err) == (2, True)
    code, _, err = run("import", str(tmp_path / "none.json"))
    assert (code, "--environment" in err) == (2, True)
