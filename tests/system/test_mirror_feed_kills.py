"""Both sides of the feed are killed (-9) again and again, as real processes: no record is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from countingroom.mirror.feed.outbox import FeedOutbox
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.server
RECORDS = 1000
KILLS = 2
SENDER = """
import asyncio, sys, time
from pathlib import Path
from countingroom.core.clock import SystemClock
from countingroom.core.mirror.publication import PublicRecord
from countingroom.core.mirror.raw_records import Sort
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.mirror.feed.outbox import FeedOutbox
from countingroom.mirror.feed import sender as sending_module
from countingroom.mirror.feed.sender import FeedSender
from countingroom.mirror.feed.target import HttpsTarget

sending_module.MOST_RECORDS = 20  # many batches, so that a kill comes in the midst of one

async def main(folder, url):
    outbox = FeedOutbox(folder / "outbox.sqlite", 1 << 28, time.time_ns())
    sender = FeedSender(outbox, HttpsTarget(url, SecretReference(file=folder / "token")), SystemClock())
    sending = asyncio.create_task(sender.run())
    position = outbox.position("events") or 0
    while True:  # as the collector: records, and the place in their stream, in one transaction
        if position >= (many := int((folder / "many").read_text())):
            await asyncio.sleep(0.01)
            continue
        numbers = range(position + 1, min(many, position + 20) + 1)
        now_ns = time.time_ns()
        entry = {"kind": "event", "at_ns": now_ns, "sort": Sort.ENTRY, "body": b'{"n":1}'}
        outbox.add([PublicRecord(key=str(n), **entry) for n in numbers], now_ns, {"events": numbers[-1]})
        position = numbers[-1]
        sender.news()
        await asyncio.sleep(0.004)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def test_no_record_is_lost_or_doubled_when_either_side_is_killed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef0123456789abcdef\n")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    store = tmp_path / "public.sqlite"
    receiver = [sys.executable, "-m", "countingroom", "mirror", "receive", "--store", str(store)]
    receiver += ["--token-file", str(tmp_path / "token"), "--port", str(port)]
    sender = [sys.executable, "-c", SENDER, str(tmp_path), f"http://127.0.0.1:{port}"]
    log = (tmp_path / "log").open("wb")

    def started(command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"PYTHONUNBUFFERED": "1"})

    rng = random.Random(7)
    total = allowed(tmp_path, RECORDS)
    sides = {"receiver": started(receiver), "sender": started(sender)}
    kills = 0
    deadline = time.monotonic() + 2 * PATIENCE_S
    try:
        while (before := stored(store)) < total or kills < KILLS:
            if before >= total:  # all went over before this process looked
                total = allowed(tmp_path, total + RECORDS)
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-3000:]
            assert all(one.poll() is None for one in sides.values()), (tmp_path / "log").read_text()[-3000:]
            while stored(store) in (before, 0) and time.monotonic() < deadline:
                time.sleep(0.02)
            if kills < KILLS and stored(store) < total:
                time.sleep(rng.uniform(0, 0.05))
                name = ("receiver", "sender")[kills % 2]
                sides[name].send_signal(signal.SIGKILL)
                sides[name].wait()
                sides[name] = started({"receiver": receiver, "sender": sender}[name])
                kills += 1
    finally:
        for one in sides.values():
            one.kill()
            one.wait()
        log.close()
    with closing(sqlite3.connect(store)) as file:
        keys = [int(key) for (key,) in file.execute("SELECT key FROM record ORDER BY sequence")]
        newest = file.execute("SELECT max(sequence) FROM record").fetchone()[0]
        (source,) = file.execute("SELECT taken FROM mirror_state").fetchall()
    assert keys == list(range(1, total + 1)), "each once, in order"
    assert source == (total,)
    outbox = FeedOutbox(tmp_path / "outbox.sqlite", 1 << 28, 0)
    assert outbox.waiting().dropped == 0 and outbox.last == newest
    outbox.close()


def allowed(folder: Path, many: int) -> int:
    """Let the sender add so many records."""
    (folder / "many.new").write_text(str(many))
    (folder / "many.new").replace(folder / "many")
    return many


def stored(store: Path) -> int:
    """Records that are stored now."""
    if not store.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=2)) as file:
            return file.execute("SELECT count(*) FROM record").fetchone()[0]
    except sqlite3.OperationalError:  # not made yet
        return 0
