"""Following keys of a bucket: snapshot, changes, lost links, and keys that cannot be read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from countingroom.bus import streams
from countingroom.bus.follow import RETRY_S, BucketFollower
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Entry
from countingroom.core import subjects
from countingroom.testing.clock import FakeClock


class View:
    """What was received: the keys as they are, and all that was reported of them."""

    def __init__(self) -> None:
        self.present: dict[str, int] = {}
        self.snapshots = 0

    def take(self, entry: Entry) -> None:
        if entry.data is None:
            self.present.pop(entry.key, None)
        else:
            self.present[entry.key] = msgspec.json.decode(entry.data, type=int)

    def current(self) -> None:
        self.snapshots += 1


class Stage:
    """A bus with one follower on a link of its own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.link = self.bus.client()
        self.view = View()
        self.follower = BucketFollower(
            self.link,
            self.clock,
            "system.>",
            self.view.take,
            current=self.view.current,
        )

    async def put(self, key: str, data: bytes) -> None:
        await self.bus.put(subjects.STATE_BUCKET, key, data)
        await self.clock.advance(0)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.follower.run())
            await self.clock.advance(0)
            yield
            running.cancel()
        await self.bus.close()


async def test_present_keys_come_first_and_then_every_change() -> None:
    stage = Stage()
    await streams.prepare(stage.bus)
    await stage.put("system.a", b"1")
    await stage.put("device.a", b"7")
    async with stage.following():
        await stage.follower.ready()
        assert stage.view.present == {"system.a": 1}
        await stage.put("system.a", b"2")
        await stage.put("system.b", b"3")
        assert stage.view.present == {"system.a": 2, "system.b": 3}
        await stage.bus.delete(subjects.STATE_BUCKET, "system.a")
        await stage.clock.advance(0)
        assert stage.view.present == {"system.b": 3}


async def test_a_view_is_stale_before_the_snapshot_and_while_the_link_is_down() -> None:
    stage = Stage()
    await streams.prepare(stage.bus)
    assert stage.follower.stale
    async with stage.following():
        assert not stage.follower.stale
        stage.link.cut()
        await stage.clock.advance(0)
        assert stage.follower.stale
        await stage.put("system.a", b"5")
        stage.link.mend()
        await stage.clock.advance(1)
        assert not stage.follower.stale
        assert stage.view.present == {"system.a": 5}
        assert stage.view.snapshots == 2
    assert stage.follower.stale


async def test_a_key_that_a_later_snapshot_lacks_is_kept() -> None:
    stage = Stage()
    await streams.prepare(stage.bus)
    await stage.put("system.a", b"1")
    async with stage.following():
        stage.link.cut()
        await stage.bus.delete(subjects.STATE_BUCKET, "system.a")
        stage.link.mend()
        await stage.clock.advance(1)
        assert stage.view.present == {"system.a": 1}


async def test_an_entry_that_cannot_be_decoded_is_logged_and_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    await streams.prepare(stage.bus)
    await stage.put("system.a", b"no number")
    await stage.put("system.b", b"2")
    async with stage.following():
        assert stage.view.present == {"system.b": 2}
        await stage.put("system.a", b"1")
        assert stage.view.present == {"system.a": 1, "system.b": 2}
    assert [line.getMessage().partition(":")[0] for line in caplog.records] == [
        "a message on $KV.state.system.a is not understood"
    ]
    assert stage.link.dead_letters.count == 1


async def test_a_watch_that_cannot_begin_is_tried_again_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    await streams.prepare(stage.bus)
    stage.link.cut()
    with caplog.at_level(logging.INFO, "countingroom.bus.follow"):
        async with stage.following():
            await stage.clock.advance(10 * RETRY_S)
            assert stage.follower.stale
            stage.link.mend()
            await stage.clock.advance(2)
            assert not stage.follower.stale
    assert [line.levelname for line in caplog.records] == ["WARNING", "INFO"]
