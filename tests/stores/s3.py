"""An S3 for tests: moto behind a gate, where answers are late, lost, or no."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

BUCKET = "states"

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class Deed(NamedTuple):
    """What the gate does with one request: `done` says whether the service hears of it, `answer` is what is said then.

    No answer is a connection that is closed; `late` are the seconds that it takes.
    """

    answer: str | None
    done: bool = False
    late: float = 0.0
    code: str = "InternalError"


BUSY = Deed("503 Service Unavailable", code="SlowDown")
CONCURRENT = Deed("409 Conflict", code="ConditionalRequestConflict")
DENIED = Deed("403 Forbidden", code="AccessDenied")
LOST = Deed("500 Internal Server Error", done=True)
DROPPED = Deed(None, done=True)
NOT_DONE = Deed("501 Not Implemented", code="NotImplemented")


class Gate:
    """A WSGI application before another one, which it asks one request after the other.

    moto looks and writes in two steps; a service does both in one, and so does moto behind this.
    """

    def __init__(self, application: Application) -> None:
        """Take what is behind the gate."""
        self._application = application
        self._one = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Let everything through, and forget what was asked."""
        self.asked: list[tuple[str, str]] = []
        self.signed: list[str] = []
        self._deeds: list[tuple[str, str, list[Deed | Callable[[], object]], bool]] = []

    def meet(self, method: str, suffix: str, *deeds: Deed | Callable[[], object], always: bool = False) -> None:
        """Do something with the next requests of a method to paths with an ending; something to call comes before."""
        self._deeds.append((method, suffix, list(deeds), always))

    def count(self, method: str, suffix: str = "") -> int:
        """Return how often that was asked."""
        return sum(one == method and path.endswith(suffix) for one, path in self.asked)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.asked.append((method, path))
        self.signed.append(environ.get("HTTP_AUTHORIZATION", ""))
        deed = self._deed(method, path)
        if callable(deed):
            deed()
        if deed is None or callable(deed):
            with self._one:
                return list(self._application(environ, start_response))
        return self._do(deed, environ, start_response)

    def _deed(self, method: str, path: str) -> Deed | Callable[[], object] | None:
        """Return what is to be done with a request."""
        for one, suffix, deeds, always in self._deeds:
            if one == method and path.endswith(suffix) and deeds:
                return deeds[0] if always else deeds.pop(0)
        return None

    def _do(self, deed: Deed, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Do it."""
        if deed.done:
            with self._one:
                list(self._application(environ, lambda *_: None))
        else:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        time.sleep(deed.late)
        if deed.answer is None:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError
        body = f"<Error><Code>{deed.code}</Code><Message>the gate &amp; its keeper</Message></Error>".encode()
        start_response(deed.answer, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]


class Served(NamedTuple):
    """A service that is running: its gate and its address."""

    gate: Gate
    endpoint: str


@contextmanager
def serving(application: Application) -> Iterator[Served]:
    """Serve an application behind a gate while the context is open."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    gate = Gate(application)
    server = make_server("127.0.0.1", 0, gate, threaded=True, request_handler=MotoRequestHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Served(gate, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def s3() -> Iterator[Served]:
    """Serve an S3 with one bucket while the context is open."""
    with serving(DomainDispatcherApplication(create_backend_app)) as served:
        connection = http.client.HTTPConnection(served.endpoint.removeprefix("http://"))
        connection.request("PUT", f"/{BUCKET}")
        assert connection.getresponse().status == 200
        connection.close()
        yield served
