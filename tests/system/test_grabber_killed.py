"""`kill -9` of the grabber, the upstream and the database: in the end each document is stored and counted once."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from countingroom.mirror.store.reader import PublicReader
from tests.contract.storage.postgres import Postgres
from tests.grabber_stand import redactor
from tests.patience import PATIENCE_S
from tests.system.grabber_children import made_farm

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[2]


@contextmanager
def _child(*arguments: str) -> Generator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.system.grabber_children", *arguments]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def _expected() -> dict[str, int]:
    """Document id -> revision."""
    rules = redactor()
    return {
        rules.lasting("document", "farm", host, header.id).value: header.rev
        for host, computer in made_farm().computers.items()
        for batch in computer.headers(None)
        for header in batch
    }


class _Store:
    """What is in it, also while it is killed."""

    def __init__(self, url: str) -> None:
        self.url = url

    def count(self) -> int:
        """Documents; 0 while it is away, or not made yet."""
        query = "SELECT count(*) FROM document"
        try:
            if self.url.startswith("sqlite"):
                address = f"file:{self.url.removeprefix('sqlite:///')}?mode=ro"  # it must not make the file
                with closing(sqlite3.connect(address, uri=True)) as file:
                    return file.execute(query).fetchone()[0]
            with psycopg.connect(self.url) as connection:
                found = connection.execute(query).fetchone()
                return found[0] if found else 0
        except (sqlite3.Error, psycopg.Error):
            return 0

    async def until(self, least: float) -> None:
        ends = time.monotonic() + PATIENCE_S
        while (found := self.count()) < least:
            assert time.monotonic() < ends, f"{found} of {least} documents are there"
            await asyncio.sleep(0.05)

    async def found(self) -> tuple[dict[str, int], int]:
        """Document id -> revision, and how many the grabbers have counted."""
        reader = PublicReader(self.url)
        try:
            rows = [await reader.documents("production", kind) for kind in ("run_client", "graph")]
            taken = sum(one.taken for one in await reader.sources())
        finally:
            await reader.close()
        return {one.document_id: one.revision for some in rows for one in some}, taken


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_nothing_is_lost_or_doubled(kind: str, tmp_path: Path, needs: Callable[[str], str]) -> None:
    server = Postgres(needs("initdb")) if kind == "postgresql" else None
    if server:
        server.start()
    try:
        store = _Store(server.database() if server else f"sqlite:///{tmp_path / 'public.sqlite'}")
        await _killed_again_and_again(store, server)
    finally:
        if server:
            server.stop()


async def _resume(server: Postgres) -> None:
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            server.resume()
        except RuntimeError:  # the processes of the killed one have not noticed yet
            assert time.monotonic() < ends
            await asyncio.sleep(0.1)
        else:
            return


async def _killed_again_and_again(store: _Store, server: Postgres | None) -> None:
    expected = _expected()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    farm, grabber = ("farm", str(port)), ("grabber", f"http://127.0.0.1:{port}", store.url)
    total = len(expected)
    with ExitStack() as children:
        with _child(*farm):
            with _child(*grabber):
                await store.until(0.05 * total)
            children.enter_context(_child(*grabber))
            await store.until(0.4 * total)
        children.enter_context(_child(*farm))  # the same grabber goes on
        if server:
            await store.until(0.5 * total)
            server.kill()
            await _resume(server)
        await store.until(total)
    found, taken = await store.found()
    assert found == expected
    assert taken == total
