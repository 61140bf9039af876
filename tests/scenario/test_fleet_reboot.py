"""Restarts of nodes, with time standing still: what is confirmed, what fails at which step, and what is told then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import msgspec
import pytest

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.errors import Cause, Conflict, CountingRoomError, DeviceError, LinkError
from countingroom.core.fleet.record import PowerCut
from countingroom.core.fleet.specs import NodePower, SshReach, WantedNode
from countingroom.core.fleet.states import NodeReboot, NodeState, node_key
from countingroom.core.messages import Command, Event, EventKind, Reply, decode, encode
from countingroom.fleet.power import CONFIRM_S, PowerSwitch
from countingroom.fleet.reboot import LATE_S, OFF_S, Reboots
from countingroom.testing.clock import FakeClock
from tests.scenario.test_fleet_keeper import Site, services

POWER = NodePower(device="pdu", point="outlet3")
NODE = WantedNode(name="gfa1", address="gfa1", has_ssh=True, ssh=SshReach(boot_s=120.0), power=POWER)
T = TypeVar("T")


class Computer:
    """A node that starts in 40 s, with its power and its ssh."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.boots = 1
        self.started_s = -1000.0
        """When it could be reached again."""
        self.obeys = True
        self.refuses = ""
        self.hangs = False
        self.is_on = True
        self.stuck: set[bool] = set()
        """Positions into which its power cannot be switched."""
        self.switched: list[bool] = []
        self.asked = 0

    async def open(self) -> None:
        if self.hangs or not self.is_on or self.clock.monotonic() < self.started_s:
            raise LinkError("gfa1:22 did not answer", source="test")

    async def close(self) -> None:
        pass

    async def run(self, script: str, what: str, seconds: float = 0.0) -> bytes:
        await self.open()
        if "boot_id" in script:
            return f"boot-{self.boots}\n{self.clock.monotonic() - self.started_s + 5:.2f} 1.0\n".encode()
        self.asked += 1
        if self.refuses:
            return f"{self.refuses}\nstatus 1\n".encode()
        if self.obeys:
            self.start()
            raise LinkError("the connection has ended", source="test")
        return b"status 0\n"

    async def switch(self, is_on: bool) -> None:
        self.switched.append(is_on)
        if is_on in self.stuck:
            raise DeviceError("outlet 3 does not switch", source="devices.pdu")
        if is_on and not self.is_on:
            self.hangs = False
            self.start()
        self.is_on = is_on

    def start(self) -> None:
        self.boots += 1
        self.started_s = self.clock.monotonic() + 40


class Stand:
    """One computer and what restarts it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.computer = Computer(self.clock)
        self.cuts: dict[str, PowerCut | None] = {}
        self.reboots = self.keeper()
        self.shown: list[NodeReboot] = []

    def keeper(self) -> Reboots:
        return Reboots(self.clock, lambda _: self.computer, lambda _, by: self.computer.switch, self.remember)

    async def remember(self, node: str, cut: PowerCut | None) -> None:
        self.cuts[node] = cut

    async def restart(self, node: WantedNode = NODE, *, hard: bool = False) -> str:
        return await over(self.clock, self.reboots.restart(node, "anna", self.shown.append, hard=hard))

    async def failed(self, *, hard: bool = False) -> Cause:
        with pytest.raises(DeviceError) as told:
            await self.restart(hard=hard)
        assert self.shown[-1].step == "failed" and self.shown[-1].cause == told.value.cause
        return told.value.cause

    @property
    def steps(self) -> list[str]:
        return [one.step for one in self.shown]


async def over(clock: FakeClock, work: Awaitable[T]) -> T:
    task = asyncio.ensure_future(work)
    for _ in range(200):
        await clock.advance(1.0)
        if task.done():
            break
    return await task


@pytest.fixture
def stand() -> Stand:
    return Stand()


async def test_a_restart_is_done_when_the_boot_id_is_another_one(stand: Stand) -> None:
    assert await stand.restart() == "gfa1 has started anew, 40 s after it was asked to"
    assert stand.steps == ["asked", "waits", "done"]


async def test_a_node_that_goes_on_as_before_did_not_restart(stand: Stand) -> None:
    stand.computer.obeys = False
    cause = await stand.failed()
    assert (cause.code, stand.computer.asked) == ("not_restarted", 1)
    assert cause.message == "gfa1 still has the boot id of before: it did not restart within 2 min"


async def test_a_refusal_is_told_with_what_the_node_said(stand: Stand) -> None:
    stand.computer.refuses = "sudo: a password is required"
    assert (await stand.failed()).message == "gfa1 refused to restart: sudo: a password is required"


async def test_a_node_that_does_not_come_back_is_told(stand: Stand) -> None:
    task = asyncio.ensure_future(stand.restart())
    await stand.clock.advance(5)
    stand.computer.hangs = True
    with pytest.raises(DeviceError, match=r"gfa1 did not come back within 2 min: gfa1:22 did not answer"):
        await task


async def test_a_node_that_is_not_reached_is_not_asked(stand: Stand) -> None:
    stand.computer.hangs = True
    with pytest.raises(LinkError):
        await stand.restart()
    assert stand.computer.asked == 0


async def test_power_is_switched_off_and_on_also_of_a_node_that_hangs(stand: Stand) -> None:
    for hangs in (False, True):
        stand.shown.clear()
        stand.computer.hangs = hangs
        assert "gfa1 has started anew" in await stand.restart(hard=True)
        assert stand.steps == ["off", "on", "waits", "done"]
    assert stand.computer.switched == [False, True] * 2


async def test_power_that_cannot_be_switched_off_ends_it(stand: Stand) -> None:
    stand.computer.stuck = {False}
    cause = await stand.failed(hard=True)
    assert cause.code == "not_switched_off" and "nothing more was done: outlet 3 does not switch" in cause.message
    assert stand.computer.switched == [False] and stand.computer.boots == 1


async def test_power_that_stays_off_is_told_loudly(stand: Stand) -> None:
    stand.computer.stuck = {True}
    cause = await stand.failed(hard=True)
    assert cause.code == "not_switched_on" and "IS WITHOUT POWER" in cause.message
    assert stand.computer.switched == [False, True, True, True]


async def test_a_keeper_that_ends_in_between_switches_on(stand: Stand) -> None:
    task = asyncio.ensure_future(stand.reboots.restart(NODE, "anna", stand.shown.append, hard=True))
    await stand.clock.advance(OFF_S / 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stand.computer.switched == [False, True] and stand.cuts == {"gfa1": None}


@pytest.mark.parametrize("late_s", [1.0, 60.0, LATE_S + 1])
async def test_a_keeper_that_is_killed_in_between_is_followed_by_one_that_switches_on(
    late_s: float, stand: Stand
) -> None:
    killed = asyncio.ensure_future(stand.reboots.restart(NODE, "anna", stand.shown.append, hard=True))
    await stand.clock.advance(OFF_S / 2)
    cut = stand.cuts["gfa1"]
    assert cut and not stand.computer.is_on
    stand.computer.stuck = {True}  # nothing that the killed one does at its end has an effect
    killed.cancel()
    await asyncio.wait([killed])
    assert stand.cuts["gfa1"] == cut and not stand.computer.is_on
    stand.computer.stuck, stand.computer.switched = set(), [False]

    await stand.clock.advance(late_s - OFF_S / 2)
    finishing = over(stand.clock, stand.keeper().finish(NODE, cut, stand.shown.append))
    if late_s > LATE_S:  # a person may work on it
        with pytest.raises(DeviceError, match="IS WITHOUT POWER: it was switched off by a restart by anna"):
            await finishing
        assert stand.computer.switched == [False]
    else:
        assert "gfa1 has started anew" in await finishing
        assert stand.computer.switched == [False, True] and stand.shown[-1].step == "done"
    assert stand.cuts == {"gfa1": None}


async def test_what_was_not_confirmed_is_not_said(stand: Stand) -> None:
    without = msgspec.structs.replace(NODE, has_ssh=False)
    assert "its start is not confirmed" in await stand.restart(without, hard=True)


async def test_a_node_is_restarted_once_at_a_time_and_in_ways_that_it_has(stand: Stand) -> None:
    for node, hard in ((WantedNode(name="n1", has_ssh=True), True), (WantedNode(name="n1", power=POWER), False)):
        with pytest.raises(Conflict):
            stand.reboots.check(node, hard=hard)
    task = asyncio.ensure_future(stand.restart())
    await stand.clock.advance(1)
    with pytest.raises(Conflict, match="is being restarted already"):
        await stand.reboots.restart(NODE, "jan", stand.shown.append, hard=False)
    await task


@pytest.mark.parametrize("answer", ["done", "failed", "refused", "silent"])
async def test_power_is_a_point_of_a_device_and_its_readback_confirms_it(answer: str) -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    got: list[Command] = []

    async def device(message: Message) -> bytes:
        command = decode(message.data, Command)
        got.append(command)
        if answer == "refused":
            return encode(Reply(id=command.id, accepted=False, cause=Cause(code="interlocked", message="no")))
        if answer != "silent":
            cause = Cause(code="not_confirmed", message="still on") if answer == "failed" else None
            event = Event(
                id=f"e{len(got)}",
                kind=EventKind.FAILED if cause else EventKind.DONE,
                time_ns=clock.now_ns(),
                department="devices",
                source="pdu",
                message="set",
                command_id=command.id,
                cause=cause,
            )
            await bus.publish(subjects.event("devices", "pdu"), encode(event))
        return encode(Reply(id=command.id, accepted=True))

    async with bus.respond(subjects.command("fleet", "devices", "pdu"), device):
        switch = PowerSwitch(bus.client(), clock, POWER, "restart of gfa1 by anna")
        if answer == "done":
            await over(clock, switch(False))
        else:
            said = {"failed": "still on", "refused": "no", "silent": f"within {CONFIRM_S:g} s"}[answer]
            with pytest.raises(CountingRoomError) as told:
                await over(clock, switch(False))
            assert said in told.value.cause.message
    assert got[0].action == "set" and got[0].arguments == {"point": "outlet3", "value": False}
    assert got[0].origin == "restart of gfa1 by anna"
    if answer == "done":
        power = NodePower(device="pdu", channel="3", off_command="disable", on_command="enable")
        async with bus.respond(subjects.command("fleet", "devices", "pdu"), device):
            await over(clock, PowerSwitch(bus.client(), clock, power, "")(True))
        assert (got[1].action, got[1].channel, got[1].arguments) == ("enable", "3", {})


async def test_the_command_ends_with_what_the_node_showed_and_its_steps_are_published() -> None:
    site = Site()
    await prepare(site.bus)
    computer = Computer(site.clock)
    site.described = services(camera={"command": ["camera-1"]})
    node = site.described.nodes["n2"]
    far = node.model_validate({"engine": "ssh", "address": "n2", "ssh": {"user": "daq"}})
    site.described = site.described.model_copy(update={"nodes": {**site.described.nodes, "n2": far}})
    site.machine = lambda _: computer
    async with site.keeper():
        refused = await site.give("reboot", node="n1")
        assert refused.cause and refused.cause.code == "no_ssh"
        reply = await site.give("reboot", node="n2")
        assert reply.accepted, reply.cause
        state = await site.state(node_key("n2"), NodeState)
        assert (
            state.restarts == ("soft",) and state.reboot and (state.reboot.by, state.reboot.step) == ("anna", "waits")
        )
        await site.clock.advance(60)
        state = await site.state(node_key("n2"), NodeState)
        assert state.boot == "1" and state.reboot and state.reboot.step == "done"
        (end,) = [one for one in await site.events() if one.command_id == reply.id and one.kind is EventKind.DONE]
        assert "has started anew" in str(end.data["result"])


async def test_a_keeper_that_begins_switches_on_what_the_one_before_switched_off() -> None:
    site = Site()
    await prepare(site.bus)
    site.described = services(camera={"command": ["camera-1"]})
    node = site.described.nodes["n2"].model_validate({"power": {"device": "pdu", "point": "outlet3.on"}})
    site.described = site.described.model_copy(update={"nodes": {**site.described.nodes, "n2": node}})
    cuts = {name: PowerCut(by="anna", since_ns=site.clock.now_ns()) for name in ("n2", "n9")}
    site.fleet.kept = msgspec.structs.replace(site.fleet.kept, power_cuts=cuts)
    got: list[Command] = []

    async def device(message: Message) -> bytes:
        got.append(decode(message.data, Command))
        done = Event(
            id="e1",
            kind=EventKind.DONE,
            time_ns=site.clock.now_ns(),
            department="devices",
            source="pdu",
            message="set",
            command_id=got[-1].id,
        )
        await site.bus.publish(subjects.event("devices", "pdu"), encode(done))
        return encode(Reply(id=got[-1].id, accepted=True))

    async with site.keeper():
        await site.clock.advance(10)  # the device is not there yet
        assert got == [] and "n2" in site.fleet.kept.power_cuts
        async with site.bus.respond(subjects.command("fleet", "devices", "pdu"), device):
            await site.clock.advance(20)
        assert [one.arguments["value"] for one in got] == [True] and not site.fleet.kept.power_cuts
        said = [one.message for one in await site.events()]
        assert any("the power of n2 is on again" in one for one in said)
        assert any("n9 may be without power: a restart by anna did not end" in one for one in said)
        state = await site.state(node_key("n2"), NodeState)
        assert state.reboot and state.reboot.step == "done"
