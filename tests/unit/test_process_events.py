"""What our own processes did is on the record even when the bus was away meanwhile."""

from __future__ import annotations

import asyncio

from countingroom.app.process_events import ProcessEvents
from countingroom.app.supervisor import ChildChange
from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import Event, EventKind, decode
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S


def change(pid: int, *, running: bool = True) -> ChildChange:
    return ChildChange(name="history", pid=pid, running=running, message=f"history {pid}")


async def events(bus: MemoryBus, count: int) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(PATIENCE_S), bus.replay(subjects.EVENTS_STREAM) as stored:
        async for message in stored:
            found.append(decode(message.data, Event))
            if len(found) == count:
                break
    return found


async def test_comings_and_goings_are_recorded_in_order() -> None:
    bus = MemoryBus(SystemClock())
    await streams.prepare(bus)
    record = ProcessEvents(SystemClock())
    async with record.on(bus):
        record.add_change(change(1))
        record.add_change(change(1, running=False))
        first, second = await events(bus, 2)
    assert (first.kind, first.source, first.severity) == (EventKind.PROCESS, "history", 0)
    assert (second.data["running"], second.severity) == (False, 2)
    await bus.close()


async def test_what_happens_while_the_bus_is_away_is_recorded_when_it_is_back() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)
    record, other = ProcessEvents(clock), bus.client()
    bus.cut()
    async with record.on(bus):
        record.add_change(change(1))
        await clock.advance(2)
        bus.mend()
        await clock.advance(2)
        assert [event.message for event in await events(other, 1)] == ["history 1"]
    await bus.close()


async def test_of_too_much_before_the_bus_is_there_the_oldest_goes() -> None:
    bus = MemoryBus(SystemClock())
    await streams.prepare(bus)
    record = ProcessEvents(SystemClock())
    for pid in range(1005):
        record.add_change(change(pid))
    async with record.on(bus):
        found = await events(bus, 1000)
    assert [found[0].data["pid"], found[-1].data["pid"]] == [5, 1004]
    await bus.close()
