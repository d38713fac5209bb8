"""Digests of what a catalog answered: a later transaction compares them with what the catalog answers by then."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

DIGESTS = "digests"
"""The answer that holds, for each question, the digest of its rows."""


def digest_of_rows(rows: Iterable[str]) -> str:
    """Return the digest of the rows of an answer, in whatever order they came."""
    return sha256("".join(sorted(sha256(row.encode()).hexdigest() for row in rows)).encode()).hexdigest()


def digest_query(question: str) -> str:
    """Return the query by which PostgreSQL digests the rows of a question, as `digest_of_rows` does."""
    row = "encode(sha256(convert_to(row_text, 'UTF8')), 'hex')"
    return f"""
select encode(sha256(convert_to(coalesce(string_agg(digest, '' order by digest collate "C"), ''), 'UTF8')), 'hex')
from (select {row} as digest from ({question}) as answer (row_text)) as digests"""
