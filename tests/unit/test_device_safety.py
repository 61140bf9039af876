"""What a device host must not do to a device, and what it must tell: writes, settings, states and reasons."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any, Literal, cast

import msgspec
import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Current, Entry, Stale
from countingroom.core import subjects
from countingroom.core.errors import Cause, LinkError, OutOfRange
from countingroom.core.interlocks.hold import HeldCommand
from countingroom.core.messages import Command, DeviceState, Link
from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Write
from countingroom.devices.host.device import HostedDevice
from countingroom.devices.host.driver_fault import cause_of, left
from countingroom.devices.host.forget import forget
from countingroom.devices.host.link import DriverLoop
from countingroom.devices.host.notes import ThinnedNotes, of_refusals
from countingroom.devices.host.quality import read, without_value
from countingroom.devices.host.staleness import with_least_stale_after
from countingroom.devices.host.states import StateTracker
from countingroom.devices.port import Sample
from countingroom.devices.registry import Hosted
from countingroom.devices.section import DeviceSection
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_device import (
    FakeBehaviour,
    FakeDriver,
    FakeMonitoringDriver,
    FakeProvingDriver,
    FakeSupply,
    supply_points,
)
from tests.unit.test_driver_loop_end import Listener


class PlainSection(DeviceSection):
    driver: Literal["plain"] = "plain"


class Watch:
    """Records what it is told."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str]] = []

    def begin(self, device: HostedDevice) -> None: ...

    def end(self, device: HostedDevice) -> None: ...

    def inputs(self, device: str) -> tuple[str, ...]:
        return ()

    def read(self, device: HostedDevice, points: Iterable[str] | None) -> None: ...

    def moved(self, device: HostedDevice, now: DeviceState) -> None:
        self.states.append((now.channel, now.state))


class Stand:
    """A hosted supply with time standing still."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.supply = FakeSupply()
        self.watch = Watch()

    def command(self, action: str, channel: str) -> Command:
        now_ns = self.clock.now_ns()
        return Command(id=action, action=action, channel=channel, issued_ns=now_ns, deadline_ns=now_ns + 60_000_000_000)

    @asynccontextmanager
    async def device(
        self, behaviour: FakeBehaviour | None = None, driver: type[FakeDriver] = FakeDriver, **section: object
    ) -> AsyncGenerator[HostedDevice]:
        bus = MemoryBus(self.clock)
        await streams.prepare(bus)
        hosted = Hosted(
            name="supply",
            title="Supply",
            group="",
            driver=driver(self.supply),
            behaviour=behaviour or FakeBehaviour(),
            section=PlainSection.model_validate({"poll": 0.5, **section}),
        )
        device = HostedDevice(hosted, bus, self.clock, boot="b", watch=self.watch)
        task = asyncio.create_task(device.run())
        await self.clock.advance(2)
        try:
            yield device
        finally:
            task.cancel()
            await self.clock.advance(1)
            with suppress(asyncio.CancelledError):
                await task


async def test_a_write_that_waits_when_the_link_is_lost_has_failed_and_is_never_sent_later() -> None:
    clock, supply = FakeClock(), FakeSupply()
    loop = DriverLoop(FakeDriver(supply), PlainSection(poll=1), clock, Listener(), "devices.supply")
    task = asyncio.create_task(loop.run())
    await clock.advance(0.1)
    supply.present = False
    writes = [asyncio.create_task(loop.write("a.v_set", value)) for value in (5.0, 6.0)]
    await clock.advance(0.1)
    for write in writes:
        assert write.done()
        assert isinstance(write.exception(), LinkError)
    supply.present = True
    await clock.advance(60)
    assert supply.connections == 2
    assert supply.writes == []
    task.cancel()
    await clock.advance(1)


async def test_interlocks_are_told_of_every_state_that_a_device_moves_to() -> None:
    stand = Stand()
    async with stand.device():
        assert ("a", "OFF") in stand.watch.states
        stand.watch.states.clear()
        stand.supply.values["a.on"] = True
        await stand.clock.advance(2)
        assert stand.watch.states == [("a", "ON"), ("", "ON")]


@pytest.mark.parametrize("who", ["may_apply", "may_write", ""])
async def test_a_setting_is_written_only_where_both_rules_allow_it(who: str) -> None:
    class Forbidding(FakeBehaviour):
        def may_apply(self, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
            return Cause(code="no", message="not now") if who == "may_apply" else None

        def may_write(self, point: str, value: Scalar, readings: Mapping[str, Reading]) -> Cause | None:
            return Cause(code="no", message="not this") if who == "may_write" else None

    stand = Stand()
    async with stand.device(Forbidding((Write(point="a.v_set", value=5.0),)), apply_on_connect=True):
        assert stand.supply.writes == ([] if who else [("a.v_set", 5.0)])


async def test_a_setting_is_not_written_to_a_channel_that_a_command_under_way_switches_on() -> None:
    stand = Stand()
    writing, switching = stand.supply.slow.setdefault("b.v_set", asyncio.Event()), asyncio.Event()
    stand.supply.slow["a.on"] = switching
    settings = (Write(point="b.v_set", value=6.0), Write(point="a.v_set", value=5.0))
    async with stand.device(FakeBehaviour(settings), FakeProvingDriver, apply_on_connect=True) as device:
        outcome = asyncio.create_task(device.carry_out(stand.command("switch_on", "a"), "ann"))
        await stand.clock.advance(0.1)
        writing.set()
        await stand.clock.advance(0.5)
        switching.set()
        await stand.clock.advance(0.5)
        assert await outcome is None
        assert stand.supply.writes == [("b.v_set", 6.0), ("a.on", True)]


async def test_a_command_whose_state_does_not_come_says_which_state_there_is_and_which_was_wanted() -> None:
    class Stuck(FakeBehaviour):
        def observe_channel(self, channel: str, readings: Mapping[str, Reading]) -> Any:
            return msgspec.structs.replace(super().observe_channel(channel, readings), state="OFF")

    stand = Stand()
    async with stand.device(Stuck()) as device:
        outcome = asyncio.create_task(device.carry_out(stand.command("switch_on", "a"), "ann"))
        await stand.clock.advance(61)
        cause = await outcome
        assert stand.supply.writes == [("a.on", True)]
        assert cause is not None
        assert cause.code == "not_in_time"
        assert cause.message.endswith("it is OFF, not ON")


@pytest.mark.parametrize("driver", [FakeMonitoringDriver, FakeProvingDriver])
async def test_the_next_command_is_judged_by_the_state_that_the_one_done_has_led_to(driver: type[FakeDriver]) -> None:
    class ByReadback(FakeBehaviour):
        commands = tuple(msgspec.structs.replace(one, done_in=()) for one in FakeBehaviour.commands)

        def writes(
            self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
        ) -> tuple[Write, ...]:
            writes = super().writes(command, channel, arguments, readings)
            return tuple(msgspec.structs.replace(one, confirm=True) for one in writes)

    stand = Stand()
    async with stand.device(ByReadback(), driver) as device:
        for action, state in (("switch_on", "ON"), ("switch_off", "OFF")):
            stand.supply.put("temperature", 30.0)
            await stand.clock.advance(0)  # states were looked at a moment ago, and will be again a little later
            assert await device.carry_out(stand.command(action, "a"), "ann") is None
            assert device.situation().states["a"].state == state


async def test_a_command_is_judged_by_the_state_of_the_readings_that_have_come() -> None:
    stand = Stand()
    async with stand.device(driver=FakeMonitoringDriver) as device:
        stand.supply.put("temperature", 30.0)
        await stand.clock.advance(0)  # the states are looked at, and will be again a little later
        stand.supply.put("a.on", True)
        assert await device.carry_out(stand.command("switch_on", "a"), "ann") is None
        assert stand.supply.writes == [], "it is on already"


def test_a_command_that_an_interlock_holds_back_is_refused_also_where_its_writes_follow_from_readings() -> None:
    class Toggling(FakeBehaviour):
        def writes(
            self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
        ) -> tuple[Write, ...]:
            return (Write(point=f"{channel}.on", value=not readings[f"{channel}.on"].value),)

    behaviour = Toggling()
    command = msgspec.structs.replace(behaviour.commands[0], done_in=())
    tracker = StateTracker("supply", behaviour, (command,), "b")
    readings = {
        point.name: Reading(
            value=False if point.type is Type.BOOL else 0.0, quality=Quality.GOOD, device_ns=0, received_ns=0
        )
        for point in supply_points()
    }
    held = HeldCommand(
        interlock="cooling",
        title="Cooling",
        effect="HV off",
        cause="warm",
        channel="a",
        command="switch_off",
        done_in=("OFF",),
        writes={"a.on": False},
    )
    tracker.hold((held,))
    tracker.observe(["a"], readings, link=Link.CONNECTED, cause=None, now_ns=0)
    refusal = tracker.now["a"].refusals[command.name]
    assert refusal is not None
    assert refusal.code == "interlock"
    assert tracker.now["b"].refusals[command.name] is None


def test_a_rule_with_a_mistake_refuses_its_command_and_names_the_mistake() -> None:
    class Mistaken(FakeBehaviour):
        def forbids(self, command: str, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
            raise ZeroDivisionError("division by zero")

    behaviour = Mistaken()
    tracker = StateTracker("supply", behaviour, behaviour.commands, "b")
    readings = {name.name: without_value(0) for name in supply_points()}
    tracker.observe(["a"], readings, link=Link.CONNECTED, cause=None, now_ns=0)
    refusal = tracker.now["a"].refusals["switch_on"]
    assert refusal is not None
    assert "ZeroDivisionError: division by zero" in refusal.message


def test_changes_that_the_client_library_did_not_pass_on_are_counted_with_those_of_the_host() -> None:
    driver = FakeProvingDriver(FakeSupply())
    driver.thinned = 3
    table: Any = SimpleNamespace(thinned=Counter({"a.v_mon": 4}))
    note = ThinnedNotes("supply", driver, table, 0.0).due(0.0, at_the_end=True)
    assert note is not None
    assert note.fields["data"] == {"changes": 7, "in_the_client": 3}


@pytest.mark.parametrize(("given", "least"), [(0.5, 30.0), (10.0, 30.0), (0.0, 0.0), (60.0, 60.0)])
def test_a_point_is_not_stale_between_two_polls(given: float, least: float) -> None:
    assert with_least_stale_after(Point(name="p", stale_after_s=given), 30.0).stale_after_s == least


def test_the_reason_of_a_fault_can_always_be_sent() -> None:
    cause = cause_of(ValueError("bad \ud800"), "devices.supply")
    assert msgspec.json.encode(cause)
    assert "bad ?" in cause.message
    reading = read(Point(name="p"), Sample(point="p", value=cast(Any, 10**5000)), without_value(0), 0)
    assert reading.quality is Quality.BAD
    assert "bits" in read(Point(name="p", type=Type.BOOL), Sample(point="p", value=10**5000), reading, 0).reason


def test_many_refused_values_are_one_note_of_the_device() -> None:
    (note,) = of_refusals("supply", {}, [(f"p{number}", "no number") for number in range(9)])
    assert note.fields["cause"].source == "devices.supply"
    assert "9 points of supply are BAD" in note.message


def test_what_to_do_about_a_device_that_is_not_served_depends_on_why() -> None:
    assert "start the device host" in left("devices.supply", "", 0).suggestion
    assert "wait" in left("devices.supply", "another host has it", 0).suggestion


class LinkDownAtFirst(MemoryBus):
    """Its watch begins while the link is down."""

    @asynccontextmanager
    async def watch(self, bucket: str, pattern: str = ">") -> AsyncGenerator[AsyncIterator[Entry | Current | Stale]]:
        async with super().watch(bucket, pattern) as entries:

            async def with_loss() -> AsyncIterator[Entry | Current | Stale]:
                yield Stale()
                yield Entry(key=subjects.catalogue_key("deleted"), data=None, revision=1)
                async for entry in entries:
                    yield entry

            yield with_loss()


async def test_former_devices_are_also_found_after_a_loss_of_the_link() -> None:
    bus = LinkDownAtFirst(FakeClock())
    await streams.prepare(bus)
    for name in ("b", "c"):
        await bus.put(subjects.STATE_BUCKET, subjects.catalogue_key(name), b"{}")
    assert set(await forget(bus, {"c"})) == {"b"}


def test_a_value_beyond_the_limit_of_another_source_is_refused_with_its_name() -> None:
    point = Point(name="v", writable=True, write_low=0.0, write_high=9.0).narrowed(None, 5.0, "device")
    with pytest.raises(OutOfRange) as refused:
        point.check_write(6.0)
    assert refused.value.cause.evidence == {"value": 6.0, "low": 0.0, "high": 5.0, "limit_of": "device"}
    with pytest.raises(OutOfRange) as refused:
        point.check_write(-1.0)
    assert refused.value.cause.evidence == {"value": -1.0, "low": 0.0, "high": 5.0}
