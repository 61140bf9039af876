"""A slow-control system has the state of its device, after any change of it, and is in Error while it is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.errors import Cause
from countingroom.core.messages import HOST_STOPPED, Command, DeviceState, Link, Presence, Reply, decode, encode
from countingroom.core.start_up import START_UP_S
from countingroom.core.systems import Action, Answer, Order, SystemState
from countingroom.runs.agents.agent import AgentRunner
from countingroom.runs.agents.kinds.slow_control import SlowControl
from countingroom.runs.sections.agent import SlowControlAgent
from countingroom.runs.sections.system import plain_chart
from countingroom.testing.clock import FakeClock


class Stage:
    """A device as the bus shows it, and the agent that follows it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.link = self.bus.client()
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.refuses = False
        self.serves: tuple[str, ...] = ("hv",)
        self.orders = 0
        self.tasks: list[asyncio.Task[None]] = []
        self.beating: asyncio.Task[None] | None = None

    async def begin(self, state: str = "OFF", **more: Any) -> None:
        await streams.prepare(self.bus)
        if state:
            await self.device(state)
        self.beating = asyncio.create_task(self.beat())
        self.tasks = [self.beating, asyncio.create_task(self.answer())]
        section = SlowControlAgent(
            kind="slow-control",
            device="hv",
            states={"OFF": "Unconfigured", "RAMPING": "Configuring", "ON": "Active", "TRIPPED": "Error"},
            configure="on",
            abort="off",
        )
        kind = SystemState(system="s", state="", common="", sequence=0, boot="", since_ns=0).kind
        self.agent = AgentRunner(
            self.link,
            self.clock,
            "hvs",
            kind,
            plain_chart(),
            lambda handle: SlowControl(handle, section, self.link, self.clock),
            **more,
        )
        self.tasks.append(asyncio.create_task(self.agent.run()))
        await self.clock.advance(4)

    async def end(self) -> None:
        for task in reversed(self.tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def beat(self) -> None:
        while True:
            presence = Presence(
                role="devices", instance="main", boot="b", host="h", pid=1, interval_s=1, sent_ns=0, targets=self.serves
            )
            await self.bus.publish(subjects.presence("devices", "main"), encode(presence))
            await self.clock.sleep(1)

    async def answer(self) -> None:
        async def take(message: Message) -> bytes:
            command = decode(message.data, Command)
            self.commands.append((command.action, command.arguments))
            cause = Cause(code="interlock", message="the door is open") if self.refuses else None
            return encode(Reply(id=command.id, accepted=not self.refuses, cause=cause))

        async with self.bus.respond(subjects.commands_to("devices", "hv"), take):
            await asyncio.Event().wait()

    async def device(
        self, state: str, link: Link = Link.CONNECTED, cause: Cause | None = None, *, boot: str = "b"
    ) -> None:
        now_ns, common = self.clock.now_ns(), "no_link" if state == "INIT" else ""
        told = DeviceState(device="hv", state=state, common=common, link=link, since_ns=now_ns, cause=cause, boot=boot)
        await self.bus.put(subjects.STATE_BUCKET, subjects.device_key("hv"), encode(told))
        await self.clock.advance(0.5)

    async def order(self, action: Action, **more: Any) -> Answer:
        self.orders += 1
        deadline_ns = self.clock.now_ns() + 10 * 10**9
        order = Order(id=f"o{self.orders}", action=action, partition="p", fence=1, deadline_ns=deadline_ns, **more)
        answer = await self.bus.request(subjects.agent("hvs"), encode(order), timeout_s=1)
        await self.clock.advance(0.5)
        return decode(answer.data, Answer)

    @property
    def now(self) -> SystemState:
        return self.agent.knows.contexts[""].state

    @property
    def code(self) -> str:
        return self.now.cause.code if self.now.cause else ""


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    await made.end()


async def test_configuring_gives_the_devices_command_and_waits_for_its_state(stage: Stage) -> None:
    await stage.begin()
    assert stage.now.state == "Unconfigured"
    await stage.order(Action.CONFIGURE, tag="t", key="k", parameters={"voltage": 3.0})
    assert stage.commands == [("on", {"voltage": 3.0})]
    assert stage.now.common == "Configuring"
    await stage.device("RAMPING")
    assert stage.now.common == "Configuring"
    await stage.device("ON")
    assert (stage.now.common, stage.now.key) == ("Active", "k")
    await stage.order(Action.ABORT)
    assert stage.commands[-1] == ("off", {})
    assert stage.now.state == "Unconfigured"


async def test_a_device_that_is_never_there_fails_at_the_deadline_and_one_that_refuses_at_once(stage: Stage) -> None:
    await stage.begin()
    await stage.order(Action.CONFIGURE)
    await stage.clock.advance(10)
    assert (stage.now.state, stage.code) == ("Error", "not_in_time")
    await stage.order(Action.RESET)
    stage.refuses = True
    await stage.order(Action.CONFIGURE)
    assert (stage.now.state, stage.code) == ("Error", "device_refused")
    assert stage.now.cause
    assert stage.now.cause.causes[0].message == "the door is open"


async def active(stage: Stage) -> None:
    await stage.begin()
    await stage.order(Action.CONFIGURE, key="k")
    await stage.device("ON")
    assert stage.now.state == "Active"


async def test_it_follows_where_somebody_else_moves_the_device(stage: Stage) -> None:
    await active(stage)
    await stage.device("RAMPING")
    assert stage.now.common == "Configuring"
    await stage.device("ON")
    assert (stage.now.common, stage.now.key) == ("Active", "")
    await stage.device("OFF")
    assert stage.now.state == "Unconfigured"


async def test_a_trip_is_an_error_and_its_end_resolves_it(stage: Stage) -> None:
    await active(stage)
    await stage.device("TRIPPED", cause=Cause(code="trip", message="over-current on 3"))
    assert (stage.now.state, stage.code) == ("Error", "device_state")
    assert stage.now.cause
    assert stage.now.cause.causes[0].message == "over-current on 3"
    assert (await stage.order(Action.RESET)).accepted
    assert stage.now.state == "Error"
    await stage.device("OFF")
    assert stage.now.state == "Unconfigured"


async def test_a_device_out_of_reach_and_a_host_that_is_gone_are_errors(stage: Stage) -> None:
    await active(stage)
    await stage.device("ON", link=Link.DISCONNECTED)
    assert (stage.now.state, stage.code) == ("Error", "device_link")
    await stage.device("ON")
    assert stage.now.state == "Unconfigured"
    await stage.order(Action.CONFIGURE)
    assert stage.now.state == "Active"
    assert stage.beating
    stage.beating.cancel()
    await stage.clock.advance(8)
    assert (stage.now.state, stage.code) == ("Error", "no_host")


async def test_a_host_that_begins_anew_says_nothing_of_the_device_until_it_has_found_it(stage: Stage) -> None:
    await active(stage)
    for state, link in (("INIT", Link.CONNECTING), ("INIT", Link.CONNECTED), ("ON", Link.CONNECTED)):
        await stage.device(state, link, boot="next")
        assert (stage.now.state, stage.now.key) == ("Active", "k"), state


async def test_the_next_host_has_the_time_that_it_needs_to_take_the_device_over(stage: Stage) -> None:
    await active(stage)
    stage.serves = ()
    await stage.clock.advance(5)
    assert stage.now.state == "Active"
    stage.serves = ("hv",)
    await stage.clock.advance(8)
    assert stage.now.state == "Active"
    stage.serves = ()
    await stage.clock.advance(8)
    assert (stage.now.state, stage.code) == ("Error", "no_host")


async def test_a_host_that_begins_anew_and_finds_nothing_is_believed_in_the_end(stage: Stage) -> None:
    await active(stage)
    await stage.device("INIT", Link.CONNECTING, boot="next")
    await stage.clock.advance(4)
    assert (stage.now.state, stage.code) == ("Error", "device_link")


async def test_a_host_that_begins_anew_is_believed_at_once_when_it_has_looked(stage: Stage) -> None:
    await active(stage)
    await stage.device("DISCONNECTED", Link.DISCONNECTED, boot="next")
    assert (stage.now.state, stage.code) == ("Error", "device_link")


async def test_the_loss_of_our_own_link_says_nothing_of_the_device(stage: Stage) -> None:
    await active(stage)
    stage.link.cut()
    await stage.clock.advance(30)
    stage.link.mend()
    await stage.clock.advance(5)
    assert (stage.now.state, stage.now.key) == ("Active", "k")


async def test_an_agent_that_was_held_up_blames_no_host(stage: Stage) -> None:
    await active(stage)
    stage.clock._seconds += 10.0  # pyright: ignore[reportPrivateUsage] - time went by, and no process ran
    await stage.clock.advance(5)
    assert (stage.now.state, stage.now.key) == ("Active", "k")
    assert stage.beating
    stage.beating.cancel()
    await stage.clock.advance(8)
    assert (stage.now.state, stage.code) == ("Error", "no_host")


async def test_started_again_it_is_what_it_was_while_the_device_stands_there(stage: Stage, tmp_path: Any) -> None:
    await stage.begin(memory=tmp_path)
    await stage.order(Action.CONFIGURE, key="k")
    await stage.device("ON")
    await stage.end()
    await stage.begin("ON", memory=tmp_path)
    assert (stage.now.state, stage.now.key) == ("Active", "k")
    await stage.end()
    await stage.begin("OFF", memory=tmp_path)
    assert stage.now.state == "Unconfigured"


FAREWELL = Cause(code=HOST_STOPPED, message="the device host was stopped")


@pytest.mark.parametrize("farewell", [FAREWELL, None])
async def test_started_before_the_device_host_it_stays_what_it_was_until_the_device_is_known(
    stage: Stage, tmp_path: Any, farewell: Cause | None
) -> None:
    """All processes were stopped in order, or killed, and are started again: the agents are ready first."""
    await stage.begin(memory=tmp_path)
    await stage.order(Action.CONFIGURE, key="k")
    await stage.device("ON")
    if farewell:
        await stage.device("DISCONNECTED", Link.DISCONNECTED, farewell)
    await stage.end()
    stage.serves = ()
    await stage.begin("", memory=tmp_path)
    await stage.clock.advance(6)
    assert (stage.now.state, stage.now.key) == ("Active", "k")
    stage.serves = ("hv",)
    await stage.device("INIT", Link.CONNECTING, boot="next")
    await stage.clock.advance(3)
    assert (stage.now.state, stage.now.key) == ("Active", "k")
    await stage.device("ON", boot="next")
    await stage.clock.advance(20)
    assert (stage.now.state, stage.now.key) == ("Active", "k")


@pytest.mark.parametrize("farewell", [FAREWELL, None])
async def test_started_without_a_device_host_it_is_in_error_in_the_end(
    stage: Stage, tmp_path: Any, farewell: Cause | None
) -> None:
    await stage.begin(memory=tmp_path)
    await stage.order(Action.CONFIGURE, key="k")
    await stage.device("ON")
    if farewell:
        await stage.device("DISCONNECTED", Link.DISCONNECTED, farewell)
    await stage.end()
    stage.serves = ()
    await stage.begin("", memory=tmp_path)
    await stage.clock.advance(START_UP_S)
    assert (stage.now.state, stage.code) == ("Error", "no_host")


async def test_a_device_host_that_is_restarted_in_order_is_no_error(stage: Stage) -> None:
    await active(stage)
    await stage.device("DISCONNECTED", Link.DISCONNECTED, FAREWELL)
    await stage.clock.advance(2)
    await stage.device("INIT", Link.CONNECTING, boot="next")
    assert stage.now.state == "Active"
    await stage.device("ON", boot="next")
    assert (stage.now.state, stage.now.key) == ("Active", "k")


async def test_a_device_host_that_is_stopped_in_order_and_not_started_again_is_an_error(stage: Stage) -> None:
    await active(stage)
    stage.serves = ()
    await stage.device("DISCONNECTED", Link.DISCONNECTED, FAREWELL)
    await stage.clock.advance(8)
    assert stage.now.state == "Error"
