"""The disk is watched: it warns before it is full, and what could not be stored is stored again when there is room."""

from __future__ import annotations

from pathlib import Path

import pytest

from countingroom.bus.nats.stream_repair import BrokenStream
from countingroom.bus.server.disk_watch import DiskLevel, DiskWatch, FreeSpace, level
from countingroom.core import severity
from countingroom.core.errors import LinkError
from countingroom.core.messages import Event
from countingroom.testing.clock import FakeClock

GIB = 1 << 30


class FakeStreams:
    def __init__(self) -> None:
        self.bad: list[BrokenStream] = []
        self.repaired: list[str] = []
        self.refuses = 0

    async def broken(self) -> list[BrokenStream]:
        return list(self.bad)

    async def repair(self, name: str, *, free_bytes: int) -> None:
        if self.refuses:
            self.refuses -= 1
            raise LinkError("no answer")
        self.repaired.append(name)
        self.bad = [one for one in self.bad if one.name != name]


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.streams = FakeStreams()
        self.space = FreeSpace(free=50 * GIB, total=100 * GIB)
        self.events: list[Event] = []
        self.watch = DiskWatch(
            Path("/data"), self.streams, self.clock, on_event=self.events.append, space=lambda _: self.space
        )

    async def look(self, free_gib: float) -> list[tuple[int, str]]:
        self.events.clear()
        self.space = FreeSpace(free=round(free_gib * GIB), total=100 * GIB)
        await self.watch.look()
        return [(event.severity, event.message) for event in self.events]


@pytest.mark.parametrize(
    ("part", "before", "now"),
    [
        (0.5, DiskLevel.ENOUGH, DiskLevel.ENOUGH),
        (0.151, DiskLevel.ENOUGH, DiskLevel.ENOUGH),
        (0.149, DiskLevel.ENOUGH, DiskLevel.LOW),
        (0.155, DiskLevel.LOW, DiskLevel.LOW),
        (0.161, DiskLevel.LOW, DiskLevel.ENOUGH),
        (0.049, DiskLevel.ENOUGH, DiskLevel.VERY_LOW),
        (0.055, DiskLevel.VERY_LOW, DiskLevel.VERY_LOW),
        (0.061, DiskLevel.VERY_LOW, DiskLevel.LOW),
        (0.0, DiskLevel.LOW, DiskLevel.VERY_LOW),
        (0.9, DiskLevel.VERY_LOW, DiskLevel.ENOUGH),
    ],
)
def test_a_level_is_left_only_with_a_little_more_space(part: float, before: DiskLevel, now: DiskLevel) -> None:
    assert level(FreeSpace(free=round(part * GIB), total=GIB), before) is now


async def test_it_warns_at_15_percent_and_is_an_alarm_at_5_and_each_is_told_once() -> None:
    bench = Bench()
    assert await bench.look(50) == []
    assert await bench.look(14) == [(severity.MEDIUM, "the disk with /data has 14.0 % free space left")]
    assert bench.watch.troubles() == []
    assert bench.watch.warnings() == ["the disk with /data has 14.0 % free space left"]
    assert await bench.look(13) == []
    assert [level for level, _ in await bench.look(4)] == [severity.HIGH]
    assert bench.watch.troubles() == ["the disk with /data has 4.0 % free space left"]
    assert await bench.look(3) == []
    assert [level for level, _ in await bench.look(40)] == [severity.NORMAL]
    assert (bench.watch.troubles(), bench.watch.warnings()) == ([], [])


async def test_a_broken_stream_is_told_at_once_and_repaired_when_there_is_room() -> None:
    bench = Bench()
    bench.streams.bad = [BrokenStream(name="readings", error="no space left on device")]
    told = await bench.look(0)
    assert any("readings is not stored on disk any more: no space left" in text for _, text in told)
    assert bench.watch.troubles()[-1] == "not stored on disk: readings"
    assert bench.streams.repaired == []
    await bench.clock.advance(75)
    told = await bench.look(2)
    assert (severity.NORMAL, "readings is stored on disk again, after 75 s") in told
    assert bench.watch.troubles() == ["the disk with /data has 2.0 % free space left"]


async def test_a_repair_that_fails_is_tried_again() -> None:
    bench = Bench()
    bench.streams.bad = [BrokenStream(name="events", error="no space left on device")]
    bench.streams.refuses = 2
    for _ in range(3):
        await bench.look(50)
    assert bench.streams.repaired == ["events"]
    assert bench.watch.troubles() == []
