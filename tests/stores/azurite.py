"""An Azure Blob Storage for tests: azurite, which npm installs once, outside of the repository."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
from filelock import FileLock

ACCOUNT = "promotion"
CONTAINER = "states"

_PACKAGE = Path(__file__).parents[1] / "azurite"
_FILES = ("package.json", "package-lock.json", ".npmrc")
_PATIENCE = 60.0


class Azurite(NamedTuple):
    """A service that is running: its address, and the key of its one account."""

    endpoint: str
    key: str

    def signature(self, permissions: str) -> str:
        """Return a shared access signature of the account for an hour, in the form that Azure documents."""
        begin, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + add)) for add in (-600, 3600))
        version = "2020-08-04"
        signed = f"{ACCOUNT}\n{permissions}\nb\nco\n{begin}\n{end}\n\nhttps,http\n{version}\n"
        said = {"sv": version, "ss": "b", "srt": "co", "sp": permissions, "st": begin, "se": end, "spr": "https,http"}
        return urlencode({**said, "sig": _signed(self.key, signed)})


def installed() -> Path:
    """Return the program, installed by npm from the lock beside this; skip where that cannot be done."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("azurite needs node and npm, which are not here")
    digest = hashlib.sha256(b"".join((_PACKAGE / name).read_bytes() for name in _FILES)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "airflow-dbt-promotion"
    folder = cache / f"azurite-{digest}"
    program = folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "azurite.lock"):
        if not program.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name in _FILES:
                shutil.copy(_PACKAGE / name, folder)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
            if done.returncode != 0 or not program.is_file():
                shutil.rmtree(folder, ignore_errors=True)
                pytest.skip(f"npm does not install azurite: {done.stderr.strip()[-300:]}")
    return program


@contextmanager
def azurite(folder: Path) -> Iterator[Azurite]:
    """Serve an Azure Blob Storage with one container while the context is open."""
    program = installed()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder), "--silent"]
    server = subprocess.Popen(
        ["node", str(program), *options],  # noqa: S607 - found on the path a moment ago
        env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _answers(port):
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        _make_container(port, key)
        yield Azurite(f"http://127.0.0.1:{port}/{ACCOUNT}", key)
    finally:
        server.terminate()
        server.wait(_PATIENCE)


def _answers(port: int) -> bool:
    """Say whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _make_container(port: int, key: str) -> None:
    """Make the container, with a request that is signed as Azure documents it."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
    lines = [f"{name}:{value}" for name, value in headers.items()]
    resource = [f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}", "restype:container"]
    signed = "\n".join(["PUT", *[""] * 11, *lines, *resource])
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{_signed(key, signed)}"
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("PUT", f"/{ACCOUNT}/{CONTAINER}?restype=container", headers=headers)
    assert connection.getresponse().status == 201
    connection.close()


def _signed(key: str, text: str) -> str:
    """Return the signature of a text."""
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
