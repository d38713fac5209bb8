"""A verified state: what is wrong is told with its remedy in every form, and nothing in it is markup."""

from __future__ import annotations

import jsonschema

from airflow_dbt_promotion.core.verifying import Finding
from airflow_dbt_promotion.engine.verifier import Verification
from airflow_dbt_promotion.render import verifying
from airflow_dbt_promotion.render.schemas import schema
from airflow_dbt_promotion.render.table import Page

WELL = Verification(environments=("production",), releases=2, findings=(), deep=True)
ODD = Finding(code="odd", environment="production", place='$.current["a|b"]', problem="<b>\x1b[31m", remedy="mend *it*")
ILL = Verification(environments=("production", "staging"), releases=0, findings=(ODD,), deep=False)


def test_all_is_well() -> None:
    told = "All is well: 1 document and 2 kept releases, every file of them read."
    assert verifying.text(WELL, Page()) == f"{told}\n"
    assert verifying.as_markdown(WELL) == f"## {told}\n"


def test_what_is_wrong_is_told_with_its_place_and_remedy() -> None:
    text, written = verifying.text(ILL, Page()), verifying.as_markdown(ILL)
    assert text.startswith("1 thing wrong in 2 documents and 0 kept releases. Nothing was changed.\n")
    assert '  production: odd\n    $.current["a|b"]: <b>\n    mend *it*\n' in text
    assert "| mend \\*it\\* |" in written
    assert "<b>" not in written
    assert "a|b" not in written


def test_the_document_is_as_published() -> None:
    for found in (WELL, ILL):
        jsonschema.validate(verifying.document(found), schema("verified"))
    assert verifying.document(ILL)["findings"] == [
        {"code": "odd", "environment": "production", "place": ODD.place, "problem": ODD.problem, "remedy": ODD.remedy}
    ]
