"""Leader election: standing by, taking over, losing the lease, and what is logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from countingroom.bus import streams
from countingroom.bus.election import TAKE_AGAIN_S, Election, Leadership
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core.clock import Clock
from countingroom.testing.clock import FakeClock

TTL_S = 1.0


class Process:
    """A candidate that notes what happens to its work."""

    def __init__(self, bus: MemoryBus, clock: Clock, name: str, *, keep: bool = False) -> None:
        self.bus = bus.client()
        self.election = Election(self.bus, clock, "role", holder=name, ttl_s=TTL_S, ask_s=0.1, source=name, keep=keep)
        self.clock = clock
        self.events: list[str] = []
        self.tokens: list[int] = []
        self.ends = asyncio.Event()

    async def run(self) -> None:
        while True:
            await self.election.lead(self.work)

    async def work(self, leadership: Leadership) -> None:
        self.events.append("begins")
        self.tokens.append(leadership.token)
        try:
            await asyncio.Future[None]()
        finally:
            why = leadership.ended.message if leadership.ended else "cancelled"
            await self.clock.sleep(0.05)
            self.events.append(f"ends: {why}")


@asynccontextmanager
async def stage(*, keep: bool = False) -> AsyncIterator[tuple[FakeClock, Process, Process]]:
    """Two candidates; the first leads and the second stands by."""
    clock = FakeClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)
    first, second = Process(bus, clock, "A", keep=keep), Process(bus, clock, "B", keep=keep)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(first.run(), name="A")]
        await clock.advance(0.2)
        tasks.append(group.create_task(second.run(), name="B"))
        await clock.advance(0.2)
        yield clock, first, second
        for task in tasks:
            task.cancel()
        await clock.advance(1)
    await bus.close()


async def test_one_candidate_leads_and_the_other_stands_by() -> None:
    async with stage() as (clock, first, second):
        await clock.advance(20)
        assert (first.events, second.events) == (["begins"], [])


async def test_the_standby_takes_over_from_a_leader_whose_link_is_lost() -> None:
    async with stage() as (clock, first, second):
        first.bus.cut()
        await clock.advance(3 * TTL_S)
        assert first.events == ["begins", "ends: the lease is lost"]
        assert second.events == ["begins"]
        assert second.tokens[0] > first.tokens[0]
        first.bus.mend()
        await clock.advance(3 * TTL_S)
        assert first.events == ["begins", "ends: the lease is lost"]


async def test_a_leader_that_keeps_its_work_goes_on_until_another_process_leads() -> None:
    async with stage(keep=True) as (clock, first, second):
        first.bus.cut()
        await clock.advance(3 * TTL_S)
        assert first.events == ["begins"]
        assert second.events == ["begins"]
        first.bus.mend()
        await clock.advance(1)
        assert first.events[0] == "begins"
        assert "B" in first.events[1]


async def test_a_leader_that_keeps_its_work_takes_a_new_lease_when_it_is_free() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)
    alone = Process(bus, clock, "A", keep=True)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(alone.run())
        await clock.advance(0.2)
        alone.bus.cut()
        await clock.advance(10)
        alone.bus.mend()
        await clock.advance(10)
        assert alone.events == ["begins"]
        assert await bus.holders() == {"role": "A"}
        task.cancel()
        await clock.advance(1)
    assert alone.events == ["begins", "ends: cancelled"]
    assert await bus.holders() == {}
    await bus.close()


async def test_a_leader_that_ends_hands_over_only_after_its_work_has_ended() -> None:
    async with stage() as (clock, first, second):
        task = next(task for task in asyncio.all_tasks() if task.get_name() == "A")
        task.cancel()
        await clock.advance(0.04)
        assert await second.bus.holders() == {"role": "A"}
        await clock.advance(0.2)
        assert first.events == ["begins", "ends: cancelled"]
        assert second.events == ["begins"]


async def test_a_standby_logs_each_leader_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "countingroom.bus.election"):
        async with stage() as (clock, _, _):
            await clock.advance(20)
            lines = [line.getMessage() for line in caplog.records]
    assert len(lines) == 1
    assert lines[0].startswith("B: standing by for role: ")


class Careful(Process):
    """A candidate that goes on under a new lease, unless another process has led meanwhile."""

    def __init__(self, bus: MemoryBus, clock: Clock, name: str, led: list[str]) -> None:
        super().__init__(bus, clock, name)
        self.led = led
        self.leadership: Leadership | None = None
        self.election = Election(
            self.bus,
            clock,
            "role",
            holder=name,
            ttl_s=TTL_S,
            ask_s=0.1,
            source=name,
            is_unchanged=self.is_unchanged,
        )

    async def is_unchanged(self) -> bool:
        return self.led[-1] == self.events[0]

    async def work(self, leadership: Leadership) -> None:
        self.leadership = leadership
        self.led.append("begins")
        await super().work(leadership)


async def careful(bus: MemoryBus, clock: FakeClock) -> tuple[Careful, asyncio.Task[None]]:
    one = Careful(bus, clock, "A", [])
    task = asyncio.create_task(one.run())
    await clock.advance(0.2)
    return one, task


async def end(task: asyncio.Task[None], clock: FakeClock) -> None:
    task.cancel()
    await clock.advance(1)
    with suppress(asyncio.CancelledError):
        await task


async def test_a_lease_that_no_other_process_took_is_taken_again_and_the_work_goes_on() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    one, task = await careful(bus, clock)
    assert one.leadership
    one.bus.cut()
    await clock.advance(3 * TTL_S)
    assert one.leadership.lost
    held = asyncio.create_task(one.leadership.held())
    await clock.advance(0.2)
    assert not held.done()
    one.bus.mend()
    await clock.advance(0.5)
    assert held.done() and not one.leadership.lost
    assert one.events == ["begins"]
    assert one.leadership.token > one.tokens[0]
    await end(task, clock)


async def test_a_lease_that_another_process_had_meanwhile_is_not_gone_on_with() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    one, task = await careful(bus, clock)
    one.bus.cut()
    await clock.advance(3 * TTL_S)
    between = await bus.acquire("role", ttl_s=TTL_S, holder="B")
    one.led.append("B begins")
    await between.release()
    one.bus.mend()
    await clock.advance(0.5)
    assert one.events[:2] == ["begins", "ends: another process has led meanwhile"]
    await end(task, clock)


async def test_a_lease_that_is_away_for_long_is_not_gone_on_with() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    one, task = await careful(bus, clock)
    one.bus.cut()
    await clock.advance(TAKE_AGAIN_S + 3 * TTL_S)
    assert one.events == ["begins", "ends: the lease is lost"]
    await end(task, clock)
