from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.definition import Exposure, Lineage, Owner
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.table import clean
from tests.scenarios import DAY, Shop, dashboard, model_id, path, release, test_id

GFM = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = st.text(st.sampled_from("ab _*`|\\<>&~[]()!#-+1.:/\n\t\x1b@é日$"), max_size=40) | st.text(max_size=40)


def plain(text: str) -> str:
    """Return what a reader should see of a text that was made one line."""
    return " ".join(clean(text).split())


def shown(tokens: Sequence[Token]) -> str:
    """Return what a reader sees of inline markdown, and insist on nothing but text and code in it."""
    assert {token.type for token in tokens} <= {"text", "text_special", "code_inline"}
    return "".join(token.content for token in tokens)


@given(HOSTILE)
def test_an_escaped_sentence_reads_as_it_was_and_is_no_markup(text: str) -> None:
    sentence = f"x {text} x"
    (_, inline, _) = GFM.parse(markdown.escaped(sentence))
    assert shown(inline.children) == plain(sentence)


@given(HOSTILE.filter(lambda text: plain(text) != ""))
def test_an_escaped_sentence_begins_no_block(text: str) -> None:
    tokens = GFM.parse(markdown.escaped(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]


@given(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=1, max_size=4))
def test_names_and_messages_stay_in_their_cells(rows: list[tuple[str, str]]) -> None:
    written = markdown.grid(("model", "why"), [(markdown.code(name), markdown.escaped(why)) for name, why in rows])
    tokens = GFM.parse(written)
    inlines = [token for token in tokens if token.type == "inline"]
    assert tokens[0].type == "table_open"
    assert tokens[-1].type == "table_close"
    assert len(inlines) == 2 + 2 * len(rows)
    for (name, why), (first, second) in zip(rows, zip(inlines[2::2], inlines[3::2], strict=True), strict=True):
        assert shown(first.children) == (plain(name) or "-")
        assert shown(second.children) == plain(why)


@given(HOSTILE)
@example("x\\| [a link](https://example.com) |")
def test_no_name_ends_its_cell_where_a_backslash_escapes_itself_as_in_airflow(name: str) -> None:
    row = f"| {markdown.code(name)} | why |"
    assert len(re.findall(r"(?:\\[\\|]|\\(?![\\|])|[^|\\])+\|", row)) == 2, row


def test_a_name_is_a_code_span() -> None:
    assert [markdown.code(name) for name in ("orders", "a|b", "a\\|b")] == ["`orders`", "`a\\|b`", r"a\\\|b"]


def test_a_long_table_is_cut_and_says_so() -> None:
    lines = markdown.grid(("model",), [[f"m{number}"] for number in range(markdown.MOST_ROWS + 5)]).splitlines()
    assert len(lines) == 2 + markdown.MOST_ROWS + 1
    assert "and 5 more" in lines[-1]


def test_a_refusal_says_what_why_when_and_what_would_change_it() -> None:
    shop = Shop()
    shop.run("staging")
    told = markdown.promotion(shop.engine.promote(PromotionRequest(target="production", models=("raw_orders",))))
    assert told.startswith("## Promotion to production: refused\n")
    assert "- **soak** (soaking)\n  - `raw_orders`: soaks in staging for 1 day more" in told
    assert "_What would change it:_ Wait until 2026-07-25 12:00 UTC (in 1 day); or go early" in told
    assert "| `raw_orders` | added | `" in told
    assert ":hourglass: soaking |" in told


def test_what_is_held_back_is_folded_away_with_its_reason() -> None:
    shop = Shop()
    shop.run("staging", failing=[test_id("orders")])
    shop.clock.pass_by(DAY)
    told = markdown.promotion(shop.engine.promote(PromotionRequest(target="production")))
    assert "## Promotion to production: promoted" in told
    assert "<details><summary>Held back: 2 models</summary>" in told
    assert "| `revenue` | added | it cannot go without orders: " in told
    assert told.count("| advanced |") == 2


def test_what_waits_for_people_says_how_they_are_asked() -> None:
    shop = Shop(environments=path(timedelta(0), approval=ApprovalPolicy()))
    shop.run("staging")
    told = markdown.promotion(shop.engine.promote(PromotionRequest(target="production")))
    assert (
        told.count(
            "_What would change it:_ Put it before people with \\`dbt-promote ask --target-environment production\\`"
        )
        == 1
    )
    assert "\n\n</details>" in told.partition("_What would change it:_")[2]


def test_a_failure_tells_in_dbts_words() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.workshop.failing = [model_id("revenue")]
    told = markdown.promotion(shop.engine.promote(PromotionRequest(target="production")))
    assert "## Promotion to production: failed" in told
    assert "<summary>What dbt said</summary>\n\n- model.shop.revenue broke\n" in told


@pytest.mark.parametrize(
    ("url", "cell"),
    [
        ("https://example.com/a?b=1", "<https://example.com/a?b=1>"),
        ("javascript:alert(1)", "`javascript:alert(1)`"),
        ("https://example.com/a|b", "`https://example.com/a\\|b`"),
        (None, ""),
    ],
)
def test_exposures_are_listed_with_owner_and_a_link_that_is_safe(url: str | None, cell: str) -> None:
    exposure = Exposure(
        unique_id="exposure.shop.x",
        name="x",
        owner=Owner(name="Fin|ance", email=["a@example.com", "b@example.com"]),
        depends_on=Lineage(nodes=(model_id("revenue"),)),
        url=url,
    )
    shop = Shop(release(exposures=(exposure,)))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    told = markdown.promotion(shop.engine.promote(PromotionRequest(target="production")))
    assert f"| `x` | Fin\\|ance &lt;a@example.com, b@example.com&gt; | {cell} |" in told


def test_nothing_to_do_is_short() -> None:
    shop = Shop(release(exposures=(dashboard("revenue"),)))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.engine.promote(PromotionRequest(target="production"))
    told = markdown.promotion(shop.engine.promote(PromotionRequest(target="production")))
    assert "Nothing to do: what was asked for is in production already." in told
    assert "- In production already: 4 models." in told
    assert "| model |" not in told
