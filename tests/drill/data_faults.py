"""Faults of the data: a full disk, a damaged file, a log that is flooded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.drill.drill import Playground
from tests.drill.machine import NotHere
from tests.drill.request_faults import FLOOD_S
from tests.system.running import Running, until


def _is_not_ready(running: Running) -> bool:
    return running.http.get("/readyz").status_code == 503


@contextmanager
def full_disk(there: Playground) -> Iterator[None]:
    """A file that takes all the room beside the data, which are on a small disk."""
    data = there.running.data
    if not data.is_mount():
        raise NotHere("the data are on no file system of their own")
    filler = data / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            pass
    try:
        until(lambda: _is_not_ready(there.running), "readiness tells of the full disk")
        yield
    finally:
        filler.unlink()


@contextmanager
def damaged_history(there: Playground) -> Iterator[None]:
    """The file of the history is garbage when its process starts again; then it is put back."""
    file = there.running.data / "history" / "history.duckdb"
    there.running.role("history").kill()
    good = file.rename(file.with_suffix(".good"))
    file.write_bytes(b"garbage" * 1000)
    try:
        until(lambda: _is_not_ready(there.running), "readiness tells of the damaged file")
        yield
    finally:
        good.replace(file)
        file.with_name(file.name + ".wal").unlink(missing_ok=True)


@contextmanager
def chatty_program(there: Playground) -> Iterator[None]:
    """The program of an agent prints without end while it configures."""
    flag = there.running.data / "chatty"
    if not there.has_agent:
        raise NotHere("no agent of this experiment runs a program")
    flag.touch()
    try:
        there.running.http.post("/api/v1/partitions/mCBM/commands/abort", json={"wait_s": 5.0})
        there.running.http.post("/api/v1/partitions/mCBM/commands/configure_all", json={})
        time.sleep(FLOOD_S)
        yield
    finally:
        flag.unlink()
