"""Interlocks inside a device host, with a fake supply, the bus in memory and time standing still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec.structs import replace

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.alarms.conditions.described import DescribedCondition
from countingroom.core.alarms.conditions.specs import AlarmLimit, LimitSpec
from countingroom.core.interlocks.chart import initial
from countingroom.core.interlocks.host_state import HostInterlockState, host_key
from countingroom.core.interlocks.specs import (
    CauseSpec,
    DeviceCommand,
    EffectSpec,
    InterlockSpec,
    MatrixCell,
    SilenceRule,
)
from countingroom.core.interlocks.states import Bypass, InterlockState
from countingroom.core.messages import Command, DeviceState, Event, EventKind, Presence, Reply, decode, encode
from countingroom.core.start_up import START_UP_S
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.port import Driver
from countingroom.devices.registry import Hosted
from countingroom.devices.section import DeviceSection
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_device import (
    FakeBehaviour,
    FakeDriver,
    FakeMonitoringDriver,
    FakeProvingDriver,
    FakeSupply,
)

HOT = CauseSpec(
    name="hot",
    title="Too hot",
    inputs=(
        DescribedCondition(
            spec=LimitSpec(high=(AlarmLimit(35.0, 2),)), inputs=("supply.temperature",), text="it is too hot"
        ),
    ),
)
FAR = CauseSpec(
    name="far",
    title="Far away",
    inputs=(DescribedCondition(spec=LimitSpec(high=(AlarmLimit(1.0, 2),)), inputs=("plant.p",), text="far"),),
)
OFF = EffectSpec(
    name="off",
    title="All off",
    commands=(
        DeviceCommand(device="supply", channel="a", command="switch_off"),
        DeviceCommand(device="supply", channel="b", command="switch_off"),
    ),
)
LOCAL = InterlockSpec(
    name="cooling",
    title="Cooling",
    causes=(HOT,),
    effects=(OFF,),
    matrix=(MatrixCell(cause="hot", effect="off"),),
)
SPREAD = replace(
    LOCAL,
    name="spread",
    title="Spread",
    causes=(FAR,),
    matrix=(MatrixCell(cause="far", effect="off"),),
    engine_silent=SilenceRule(after_ns=10_000_000_000, effects=("off",)),
)


class FakeSection(DeviceSection):
    driver: Literal["fake"] = "fake"


class Room:
    """A bus, a supply, and one device host with interlocks."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.supply = FakeSupply()
        self.supply.values |= {"a.on": True, "b.on": True}
        self.file = folder / "interlocks.json"
        self.commands = 0

    @asynccontextmanager
    async def host(
        self, *specs: InterlockSpec, driver: Callable[[FakeSupply], Driver] = FakeMonitoringDriver, **section: Any
    ) -> AsyncGenerator[MemoryBus]:
        own = self.bus.client()
        hosted = Hosted(
            name="supply",
            title="Supply",
            group="Power supplies",
            driver=driver(self.supply),
            behaviour=FakeBehaviour(),
            section=FakeSection.model_validate(section),
        )
        host = DeviceHost(own, self.clock, [hosted], interlocks=specs or (LOCAL,), interlock_file=self.file)
        task = asyncio.create_task(host.run())
        await self.settle()
        try:
            yield own
        finally:
            task.cancel()
            for _ in range(60):
                await self.clock.advance(0.1)
                if task.done():
                    break
            with suppress(asyncio.CancelledError):
                await task

    async def settle(self, seconds: float = 0.2) -> None:
        """Advance the time in small steps. The file is written by a real thread."""
        for _ in range(max(1, round(seconds / 0.1))):
            await asyncio.sleep(0.005)
            await self.clock.advance(0.1)

    async def give(self, action: str, channel: str = "", **arguments: Any) -> Reply:
        self.commands += 1
        now_ns = self.clock.now_ns()
        command = Command(
            id=f"c{self.commands}",
            action=action,
            channel=channel,
            arguments=arguments,
            issued_ns=now_ns,
            deadline_ns=now_ns + 10**10,
        )
        subject = subjects.command("ann", "devices", "supply")
        answer = asyncio.create_task(self.bus.request(subject, encode(command), timeout_s=5))
        await self.clock.advance(0)
        return decode((await answer).data, Reply)

    async def published(self, name: str = "cooling") -> HostInterlockState:
        entry = await self.bus.get(subjects.STATE_BUCKET, host_key(name, "main"))
        assert entry
        assert entry.data
        return decode(entry.data, HostInterlockState)

    async def local(self, name: str = "cooling") -> InterlockState:
        state = (await self.published(name)).state
        assert state
        return state

    async def device(self, channel: str = "a") -> DeviceState:
        entry = await self.bus.get(subjects.STATE_BUCKET, subjects.channel_key("supply", channel))
        assert entry
        assert entry.data
        return decode(entry.data, DeviceState)

    async def engine_says(self, state: InterlockState) -> None:
        await self.bus.put(subjects.STATE_BUCKET, subjects.interlock_key(state.name), encode(state))
        await self.settle()

    async def beat(self, *targets: str) -> None:
        presence = Presence(
            role="alarms",
            instance="main",
            boot="b",
            host="h",
            pid=1,
            interval_s=1,
            sent_ns=self.clock.now_ns(),
            targets=targets or (subjects.ALARMS,),
        )
        await self.bus.publish(subjects.presence("alarms", "main"), encode(presence))
        await self.settle(1.0)

    async def events(self) -> list[Event]:
        async with self.bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
            return [decode(one.data, Event) async for one in stored]


@pytest.fixture
async def room(tmp_path: Path) -> Room:
    made = Room(tmp_path)
    await streams.prepare(made.bus)
    return made


async def test_a_limit_crossed_switches_off_in_the_declared_order(room: Room) -> None:
    async with room.host():
        assert (await room.published()).evaluates
        room.supply.put("temperature", 36.0)
        await room.settle()
        assert room.supply.writes == [("a.on", False), ("b.on", False)]
        now = await room.published()
        assert now.is_whole
        assert now.state
        assert (now.state.is_tripped, now.state.first_out) == (True, "hot")
        effect = now.state.effect("off")
        assert effect
        assert effect.reached_ns is not None
        events = await room.events()
        done = [one for one in events if one.kind is EventKind.DONE]
        assert [(one.principal, one.action, one.channel) for one in done] == [
            ("interlock.cooling", "switch_off", "a"),
            ("interlock.cooling", "switch_off", "b"),
        ]
        assert any("Cooling has tripped, evaluated in the device host main: Too hot" in one.message for one in events)


async def test_it_acts_while_the_bus_is_away(room: Room) -> None:
    async with room.host() as own:
        own.cut()
        room.supply.put("temperature", 36.0)
        await room.settle()
        assert room.supply.writes == [("a.on", False), ("b.on", False)]
        own.mend()
        await room.settle(1.0)
        assert (await room.local()).is_tripped


async def test_what_would_undo_the_effect_is_refused_and_its_button_is_disabled(room: Room) -> None:
    async with room.host():
        room.supply.put("temperature", 36.0)
        await room.settle()
        reply = await room.give("switch_on", "a")
        assert reply.cause
        assert reply.cause.code == "interlock"
        assert "All off of the interlock Cooling, tripped by Too hot" in reply.cause.message
        assert not (await room.give("set", point="a.on", value=True)).accepted
        assert (await room.give("switch_off", "a")).accepted
        refusal = (await room.device()).refusals["switch_on"]
        assert refusal
        assert refusal.code == "interlock"


async def test_what_is_switched_on_at_the_device_is_switched_off_again(room: Room) -> None:
    async with room.host():
        room.supply.put("temperature", 36.0)
        await room.settle()
        room.supply.writes.clear()
        room.supply.put("b.on", True)
        await room.settle(2.0)
        assert room.supply.writes == [("b.on", False)]


async def test_a_device_that_does_not_obey_is_commanded_again_until_the_readback_shows_it(room: Room) -> None:
    async with room.host():
        room.supply.complaint = "busy"
        room.supply.put("temperature", 36.0)
        await room.settle(3.0)
        effect = (await room.local()).effect("off")
        assert effect
        assert effect.trouble.endswith("busy")
        assert room.supply.values["a.on"] is True
        room.supply.complaint = ""
        await room.settle(4.0)
        assert room.supply.values["a.on"] is False
        effect = (await room.local()).effect("off")
        assert effect
        assert effect.reached_ns is not None


async def test_a_lost_input_trips(room: Room) -> None:
    async with room.host():
        room.supply.drop()
        await room.settle(1.0)
        state = await room.local()
        assert state.is_tripped
        assert state.causes[0].is_unknown


async def test_an_input_trips_within_its_declared_staleness(room: Room) -> None:
    async with room.host(points={"temperature": {"stale_after": 3.0}}):
        await room.settle(2.6)
        assert not (await room.local()).is_tripped
        await room.settle(0.4)
        assert (await room.local()).is_tripped


async def test_it_stays_tripped_over_a_restart_until_the_engine_resets_it(room: Room) -> None:
    async with room.host():
        room.supply.put("temperature", 36.0)
        await room.settle()
        room.supply.put("temperature", 20.0)
        await room.settle()
        assert (await room.local()).is_tripped
    assert room.file.exists()
    await room.bus.delete(subjects.STATE_BUCKET, host_key("cooling", "main"))
    async with room.host():
        await room.settle(1.0)
        state = await room.local()
        assert state.is_tripped
        assert not (await room.give("switch_on", "a")).accepted
        reset = replace(initial(LOCAL), reset_ns=room.clock.now_ns(), reset_by="ann")
        await room.engine_says(reset)
        state = await room.local()
        assert (state.is_tripped, state.reset_by) == (False, "ann")
        assert (await room.give("switch_on", "a")).accepted
    async with room.host():
        await room.settle(1.0)
        assert not (await room.local()).is_tripped


async def test_a_reset_waits_until_the_causes_are_gone(room: Room) -> None:
    async with room.host():
        room.supply.put("temperature", 36.0)
        await room.settle()
        await room.engine_says(replace(initial(LOCAL), reset_ns=room.clock.now_ns(), reset_by="ann"))
        assert (await room.local()).is_tripped
        room.supply.put("temperature", 20.0)
        await room.settle()
        assert not (await room.local()).is_tripped


async def test_it_takes_over_the_trip_that_the_engine_found(room: Room) -> None:
    async with room.host():
        now_ns = room.clock.now_ns()
        theirs = initial(LOCAL)
        causes = tuple(replace(one, tripped_ns=now_ns) for one in theirs.causes)
        await room.engine_says(replace(theirs, tripped_ns=now_ns, trip=1, causes=causes, first_out="hot"))
        assert (await room.local()).is_tripped
        assert room.supply.values["a.on"] is False


async def test_a_bypass_of_the_engine_ends_by_the_clock_of_the_host(room: Room) -> None:
    async with room.host():
        now_ns = room.clock.now_ns()
        bypass = Bypass(by="eva", reason="pump exchanged", since_ns=now_ns, until_ns=now_ns + 5_000_000_000)
        theirs = initial(LOCAL)
        await room.engine_says(replace(theirs, causes=tuple(replace(one, bypass=bypass) for one in theirs.causes)))
        room.supply.put("temperature", 36.0)
        await room.settle(3.0)
        state = await room.local()
        assert (state.is_tripped, state.causes[0].would_trip) == (False, True)
        await room.settle(3.0)
        assert (await room.local()).is_tripped
        assert room.supply.values["a.on"] is False


async def test_a_device_that_is_not_reached_at_the_start_trips_only_after_the_grace(room: Room) -> None:
    room.supply.present = False
    async with room.host():
        await room.settle(5.0)
        assert not (await room.published()).evaluates
        await room.settle(START_UP_S - 4.0)
        assert (await room.local()).is_tripped
        room.supply.present = True
        await room.settle(20.0)
        assert room.supply.writes == [("a.on", False), ("b.on", False)]


async def test_a_polled_device_is_guarded_too(room: Room) -> None:
    async with room.host(driver=FakeDriver, poll="0.1 s"):
        room.supply.values["temperature"] = 40.0
        await room.settle(1.0)
        assert room.supply.writes == [("a.on", False), ("b.on", False)]


async def test_a_silent_engine_makes_the_host_apply_the_safe_outputs(room: Room) -> None:
    async with room.host(SPREAD):
        for _ in range(12):
            await room.beat()
        assert room.supply.writes == []
        await room.settle(9.0)
        assert room.supply.writes == []
        await room.settle(2.0)
        assert room.supply.writes == [("a.on", False), ("b.on", False)]
        now = await room.published("spread")
        assert (now.silent_since_ns is not None, now.silent_effects, now.evaluates) == (True, ("off",), False)
        reply = await room.give("switch_on", "a")
        assert reply.cause
        assert "the alarm engine is silent" in reply.cause.message
        assert any(one.action == "engine_silent" and one.severity == 1 for one in await room.events())
        await room.beat()
        assert (await room.published("spread")).silent_since_ns is None
        assert (await room.give("switch_on", "a")).accepted


async def test_a_standby_engine_is_silence_and_so_is_a_lost_bus(room: Room) -> None:
    async with room.host(SPREAD) as own:
        for _ in range(5):
            await room.beat("something else")
        own.cut()
        await room.settle(6.0)
        assert room.supply.values["a.on"] is False


async def test_the_safe_outputs_are_not_for_an_interlock_that_the_host_evaluates_itself(room: Room) -> None:
    async with room.host(replace(LOCAL, engine_silent=SPREAD.engine_silent)):
        await room.settle(15.0)
        assert room.supply.writes == []


async def test_the_hold_of_the_engine_is_kept_by_the_host(room: Room) -> None:
    room.supply.values |= {"a.on": False, "b.on": False}
    async with room.host(replace(SPREAD, engine_silent=None)):
        now_ns = room.clock.now_ns()
        theirs = initial(SPREAD)
        effects = tuple(replace(one, acting_ns=now_ns, cause="far") for one in theirs.effects)
        await room.engine_says(replace(theirs, tripped_ns=now_ns, trip=1, effects=effects, first_out="far"))
        reply = await room.give("switch_on", "a")
        assert reply.cause
        assert "Far away" in reply.cause.message
        await room.engine_says(replace(theirs, reset_ns=room.clock.now_ns()))
        assert (await room.give("switch_on", "b")).accepted


async def test_a_new_trip_does_not_wait_for_a_command_of_the_last_one(room: Room) -> None:
    room.supply.slow["a.on"] = asyncio.Event()
    async with room.host(replace(LOCAL, latch=False), driver=FakeProvingDriver):
        room.supply.put("temperature", 36.0)
        await room.settle()
        room.supply.put("temperature", 20.0)
        await room.settle()
        assert room.supply.writes == []
        room.supply.slow.clear()
        room.supply.put("temperature", 36.0)
        await room.settle(0.5)
        assert room.supply.writes == [("a.on", False), ("b.on", False)]
