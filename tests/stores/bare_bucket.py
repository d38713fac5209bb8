"""A service that speaks S3, or Google's XML, as far as we need it, and that lacks what a test says that it lacks.

No proof of any real service. It shows what is sent, and what is done where a service cannot do something.
"""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from typing import Any, NamedTuple

from tests.stores.s3 import StartResponse


class Kept(NamedTuple):
    """An object."""

    data: bytes
    generation: int
    headers: dict[str, str]


class BareBucket:
    """A WSGI application: GET, PUT and lists of one bucket."""

    def __init__(self, *, conditions: bool = True, metadata: bool = True) -> None:
        """Take what it can do: refuse a write whose condition does not hold; give back metadata."""
        self.conditions, self.metadata = conditions, metadata
        self.kept: dict[str, Kept] = {}
        self.heard: list[dict[str, str]] = []
        self._generation = 1_700_000_000_000_000

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        name = environ["PATH_INFO"]
        headers = {key[5:].lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
        data = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if environ["REQUEST_METHOD"] == "PUT":
            self.heard.append(headers)
            if self.conditions and not self._holds(self.kept.get(name), headers):
                return _say(start_response, "412 Precondition Failed", {}, _error("PreconditionFailed"))
            self._generation += 1
            told = {key.replace("_", "-"): value for key, value in headers.items() if "_meta_" in key}
            self.kept[name] = Kept(data, self._generation, told if self.metadata else {})
        elif "list-type" in environ["QUERY_STRING"]:
            return _say(start_response, "200 OK", {}, self._list(name.rstrip("/")))
        found = self.kept.get(name)
        if found is None:
            return _say(start_response, "404 Not Found", {}, _error("NoSuchKey"))
        tag = {"ETag": f'"{found.generation}"', "x-goog-generation": str(found.generation)}
        body = b"" if environ["REQUEST_METHOD"] == "PUT" else found.data
        return _say(start_response, "200 OK", {**found.headers, **tag, "Last-Modified": formatdate(usegmt=True)}, body)

    @staticmethod
    def _holds(there: Kept | None, headers: dict[str, str]) -> bool:
        """Say whether the conditions of a write hold."""
        generation = 0 if there is None else there.generation
        if headers.get("if_none_match") == "*" and there is not None:
            return False
        expected = headers.get("if_match")
        if expected is not None and expected != f'"{generation}"':
            return False
        return headers.get("x_goog_if_generation_match", str(generation)) == str(generation)

    def _list(self, bucket: str) -> bytes:
        """Return the names in a bucket that are in no folder of one prefix, which is all that is asked here."""
        found = (
            f"<Contents><Key>{name.removeprefix(f'{bucket}/')}</Key><Size>{len(one.data)}</Size>"
            f"<LastModified>2026-07-24T12:00:00Z</LastModified><ETag>1</ETag></Contents>"
            for name, one in self.kept.items()
        )
        return f"<ListBucketResult>{''.join(found)}</ListBucketResult>".encode()


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code></Error>".encode()


def _say(start_response: StartResponse, status: str, headers: dict[str, str], body: bytes) -> list[bytes]:
    start_response(status, [*headers.items(), ("Content-Length", str(len(body)))])
    return [body]
