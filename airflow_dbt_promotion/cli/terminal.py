"""What is written to: standard output for the answer alone, standard error for everything else."""

from __future__ import annotations

import io
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TextIO

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.identity import bare_name
from airflow_dbt_promotion.core.orders import Progress
from airflow_dbt_promotion.render.table import Page, clean

EVERY = 10.0
"""Seconds between two lines of progress where nobody watches."""

_NARROWEST = 40


class Told(Struct, frozen=True, kw_only=True):
    """One answer in its three forms, each made only when it is asked for."""

    text: Callable[[Page], str]
    markdown: Callable[[], str]
    document: Callable[[], dict[str, object]]


class Terminal:
    """Writes an answer in the format that was asked for."""

    def __init__(
        self, output_format: str, environ: Mapping[str, str], out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        """Take the format and the environment variables that tell of the terminal; streams are those of the process."""
        self.format = output_format
        self.out, self.err = out or sys.stdout, err or sys.stderr
        self._environ = environ
        for stream in (self.out, self.err):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")

    @property
    def reads_text(self) -> bool:
        """Whether a person reads along."""
        return self.format == "text"

    def page(self, stream: TextIO) -> Page:
        """Return what a stream is as a page: as wide as its terminal, coloured where that shows and nobody forbids it.

        NO_COLOR forbids colours, FORCE_COLOR wants them where no terminal is, COLUMNS says how wide the page is.
        """
        if not stream.isatty():
            return Page(
                colours=bool(self._environ.get("FORCE_COLOR")) and not self._environ.get("NO_COLOR"),
                width=self._columns(),
            )
        colours = not self._environ.get("NO_COLOR") and self._environ.get("TERM") != "dumb"
        return Page(width=max(_NARROWEST, self._columns() or shutil.get_terminal_size().columns), colours=colours)

    def answer(self, told: Told) -> None:
        """Write an answer to standard output."""
        match self.format:
            case "json":
                written = msgspec.json.format(msgspec.json.encode(told.document()), indent=2).decode() + "\n"
            case "markdown":
                written = told.markdown()
            case _:
                written = told.text(self.page(self.out))
        _write(self.out, written)

    def say(self, message: str) -> None:
        """Write a line to standard error."""
        _write(self.err, "\n".join(self.page(self.err).paragraph(message, "", "  ")) + "\n")

    def progress(self) -> ProgressLine:
        """Return what shows that dbt works; silent in every format but text."""
        return ProgressLine(self.err if self.reads_text else None, self.page(self.err).width)

    def close(self) -> None:
        """Hand over what is not written yet; where nobody reads any more, drop it without a word."""
        _write(self.out, "")

    def _columns(self) -> int | None:
        """Return how wide COLUMNS says that the page is."""
        said = self._environ.get("COLUMNS", "")
        return max(_NARROWEST, int(said)) if said.isdecimal() and int(said) else None


class ProgressLine:
    """One line that is redrawn on a terminal; elsewhere a line now and then."""

    def __init__(
        self, stream: TextIO | None, width: int | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the stream (None: show nothing), its width, and what tells seconds."""
        self._stream, self._width, self._monotonic = stream, width or 80, monotonic
        self._drawn, self._said_at = False, monotonic()
        self._redraws = stream is not None and stream.isatty()

    def __call__(self, progress: Progress) -> None:
        """Show a sign of life."""
        far = f"[{progress.index}/{progress.total}] " if progress.total else ""
        self.show(f"dbt: {far}{bare_name(progress.node)} {progress.status}")

    def show(self, message: str) -> None:
        """Draw a message, or write it where none was written for a while."""
        if self._stream is None:
            return
        line = clean(message)
        if self._redraws:
            _write(self._stream, f"\r\x1b[2K{line[: self._width - 1]}")
            self._drawn = True
        elif self._monotonic() - self._said_at >= EVERY:
            _write(self._stream, line + "\n")
            self._said_at = self._monotonic()

    def clear(self) -> None:
        """Take the line away."""
        if self._stream is not None and self._drawn:
            _write(self._stream, "\r\x1b[2K")
            self._drawn = False


def _write(stream: TextIO, text: str) -> None:
    """Write to a stream; where its reader has gone away (`| head`), go on without a word."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
