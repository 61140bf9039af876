"""Who is present is who was heard within three beats and did not say goodbye."""

from __future__ import annotations

import asyncio
from contextlib import suppress

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
