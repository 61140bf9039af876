"""A process counts as present while it was heard within three heartbeats and has not said that it leaves."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.presence import Roster, heartbeat
from countingroom.core.messages import Presence, decode
from countingroom.testing.clock import FakeClock


def beat(boot: str = "b1", *, leaving: bool = False) -> Presence:
    return Presence(
        role="devices",
        instance="main",
        boot=boot,
        host="h",
        pid=1,
        interval_s=1.0,
        sent_ns=0,
        leaving=leaving,
        targets=("caen",),
    )


async def test_three_beats_may_be_missing() -> None:
    clock = FakeClock()
    roster = Roster(clock)
    roster.hear(beat())
    await clock.advance(3)
    assert roster.targets() == {"caen"}
    await clock.advance(0.1)
    assert roster.targets() == set()


def test_a_goodbye_ends_it_at_once() -> None:
    roster = Roster(FakeClock())
    roster.hear(beat())
    roster.hear(beat(leaving=True))
    assert roster.present() == []


def test_a_goodbye_of_an_earlier_life_does_not_end_the_present_one() -> None:
    roster = Roster(FakeClock())
    roster.hear(beat("b1"))
    roster.hear(beat("b2"))
    roster.hear(beat("b1", leaving=True))
    assert [presence.boot for presence in roster.present()] == ["b2"]


async def test_the_heart_beats_every_second_and_says_goodbye() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    async with bus.subscribe("presence.>") as heard:
        task = asyncio.create_task(heartbeat(bus, clock, role="devices", instance="main", boot="b", targets=["caen"]))
        await clock.advance(2)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        beats = [decode((await anext(heard)).data, Presence) for _ in range(4)]
        assert [beat.leaving for beat in beats] == [False, False, False, True]
        assert beats[0].targets == ("caen",)


async def test_what_a_process_answers_for_is_read_at_every_beat() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    owned = ["partition.A"]
    async with bus.subscribe("presence.>") as heard:
        task = asyncio.create_task(heartbeat(bus, clock, role="runs", instance="main", boot="b", targets=owned))
        await clock.advance(0)
        owned[:] = ["partition.B"]
        await clock.advance(1)
        beats = [decode((await anext(heard)).data, Presence) for _ in range(2)]
        assert [beat.targets for beat in beats] == [("partition.A",), ("partition.B",)]
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_heart_goes_on_beating_over_a_lost_link() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    ear = bus.client()
    async with ear.subscribe("presence.>") as heard:
        task = asyncio.create_task(heartbeat(bus, clock, role="history", instance="main", boot="b"))
        await clock.advance(0)
        assert await anext(heard)
        bus.cut()
        await clock.advance(5)
        bus.mend()
        await clock.advance(1)
        assert decode((await anext(heard)).data, Presence).sent_ns == clock.now_ns()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _times(clock: FakeClock, role: str, instance: str, begin_s: float) -> list[float]:
    """Times of the heartbeats of 3 s, of a process that begins this much later."""
    await clock.advance(begin_s)
    bus = MemoryBus(clock)
    found: list[float] = []
    async with bus.subscribe("presence.>") as heard:
        task = asyncio.create_task(heartbeat(bus, clock, role=role, instance=instance, boot="b"))
        for _ in range(300):
            await clock.advance(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        while not (beat := decode((await anext(heard)).data, Presence)).leaving:
            found.append(beat.sent_ns / 1e9 % 1)
    return found


async def test_processes_that_began_at_different_times_beat_together() -> None:
    clock = FakeClock()
    first = await _times(clock, "devices", "main", 0.3)
    second = await _times(clock, "runs", "main", 0.41)
    assert first[1:] == pytest.approx(second[1:])
    assert len(set(first[1:])) == 1


async def test_agents_with_a_process_each_do_not_all_beat_at_once() -> None:
    clock = FakeClock()
    phases = {round((await _times(clock, "agents", f"S{number}", 0.0))[-1], 2) for number in range(12)}
    assert len(phases) > 3
