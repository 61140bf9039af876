"""What Latest shows is what the bus says, also after the link was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.presence import heartbeat
from countingroom.bus.streams import prepare
from countingroom.console.present.latest import CATCH_UP_S, Latest
from countingroom.core import subjects
from countingroom.core.messages import Catalogue, DeviceState, Link, Readings, encode
from countingroom.core.values import Quality, Scalar
from countingroom.testing.clock import FakeClock
from tests.console.runs_stage import partition


class House:
    """A memory bus on which a test plays the device host."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.host = MemoryBus(self.clock)
        self.viewer = self.host.client()
        self.latest = Latest(self.viewer, self.clock)
        self._sequence = 0

    async def readings(self, device: str, *, full: bool = False, boot: str = "b1", **points: Scalar) -> int:
        return await self.store(self.message(device, full=full, boot=boot, **points))

    async def store(self, message: Readings) -> int:
        return await self.host.append(
            subjects.readings(message.device, full=message.full),
            encode(message),
            message_id=f"{message.device}:{message.boot}:{message.sequence}",
        )

    def message(self, device: str, *, full: bool = False, boot: str = "b1", **points: Scalar) -> Readings:
        self._sequence += 1
        now, n = self.clock.now_ns(), len(points)
        return Readings(
            device=device,
            boot=boot,
            sequence=self._sequence,
            full=full,
            sent_ns=now,
            points=list(points),
            values=list(points.values()),
            qualities=[0] * n,
            device_ns=[now] * n,
            received_ns=[now] * n,
        )

    async def catalogue(self, device: str) -> None:
        value = Catalogue(device=device, title=device, driver="fake", group="Test", points=())
        await self.host.put("state", subjects.catalogue_key(device), encode(value))

    async def state(self, device: str, state: str) -> int:
        value = DeviceState(device=device, state=state, link=Link.CONNECTED, since_ns=1)
        return await self.host.put("state", subjects.device_key(device), encode(value))

    def values(self, device: str) -> dict[str, Scalar]:
        return {name: reading.value for name, reading in self.latest.readings.get(device, {}).items()}

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        task = asyncio.create_task(self.latest.run())
        await self.latest.ready()
        await self.settle()
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def settle(self) -> None:
        await self.clock.advance(0)


async def house() -> House:
    made = House()
    await prepare(made.host)
    return made


async def test_the_present_is_the_last_full_message_and_what_followed() -> None:
    h = await house()
    await h.readings("caen", full=True, a=1.0, b=2.0)
    await h.readings("caen", b=3.0)
    await h.readings("julabo", full=True, t=20.0)
    async with h.running():
        assert h.values("caen") == {"a": 1.0, "b": 3.0}
        assert h.values("julabo") == {"t": 20.0}
        await h.readings("caen", a=7.0)
        await h.settle()
        assert h.values("caen") == {"a": 7.0, "b": 3.0}


async def test_a_live_message_is_shown_and_the_stream_brings_nothing_older_later() -> None:
    h = await house()
    async with h.running():
        await h.readings("caen", full=True, v=1.0)
        unstored = [h.message("caen", v=2.0), h.message("caen", v=3.0)]
        for message in unstored:
            await h.host.publish(subjects.live_readings("caen"), encode(message))
        await h.settle()
        assert h.values("caen") == {"v": 3.0}
        await h.store(unstored[0])
        await h.settle()
        assert h.values("caen") == {"v": 3.0}
        await h.store(unstored[1])
        await h.readings("caen", v=4.0)
        await h.settle()
        assert h.values("caen") == {"v": 4.0}


async def test_a_full_message_replaces_points_that_are_no_more() -> None:
    h = await house()
    await h.readings("caen", full=True, a=1.0, gone=2.0)
    async with h.running():
        await h.readings("caen", full=True, boot="b2", a=5.0)
        await h.settle()
        assert h.values("caen") == {"a": 5.0}


async def test_an_old_full_message_is_shown_and_news_reach_it() -> None:
    h = await house()
    await h.readings("caen", full=True, a=1.0)
    await h.clock.advance(3600)
    async with h.running():
        assert h.values("caen") == {"a": 1.0}
        await h.readings("caen", a=2.0)
        await h.settle()
        assert h.values("caen") == {"a": 2.0}


async def test_what_changed_is_taken_once() -> None:
    h = await house()
    async with h.running():
        changes = h.latest.follow()
        await h.readings("caen", full=True, a=1.0, b=2.0)
        await h.readings("caen", a=2.0)
        await h.state("caen", "ON")
        await h.settle()
        taken = changes.take()
        assert taken.points == {"caen": {"a", "b"}}
        assert taken.states == {"device.caen"}
        assert not changes.take()


async def test_states_and_catalogues_come_and_go() -> None:
    h = await house()
    await h.catalogue("caen")
    await h.state("caen", "OFF")
    async with h.running():
        assert h.latest.states["device.caen"].state == "OFF"
        assert h.latest.catalogues["caen"].driver == "fake"
        await h.state("caen", "ON")
        await h.host.delete("state", subjects.catalogue_key("caen"))
        await h.settle()
        assert h.latest.states["device.caen"].state == "ON"
        assert h.latest.catalogues == {}


async def test_a_device_is_alive_while_its_host_beats() -> None:
    h = await house()
    await h.catalogue("caen")
    async with h.running():
        assert h.latest.alive == {"caen": False}
        changes = h.latest.follow()
        beating = asyncio.create_task(
            heartbeat(h.host, h.clock, role="devices", instance="main", boot="b1", targets=["caen"])
        )
        await h.settle()
        assert h.latest.alive == {"caen": True}
        assert changes.take().alive == {"caen"}
        h.host.cut()
        await h.clock.advance(5)
        assert h.latest.alive == {"caen": False}
        h.host.mend()
        await h.clock.advance(2)
        assert h.latest.alive == {"caen": True}
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        await h.settle()
        assert h.latest.alive == {"caen": False}


async def test_after_a_lost_link_the_present_is_rebuilt() -> None:
    h = await house()
    await h.readings("caen", full=True, a=1.0)
    await h.state("caen", "ON")
    await h.catalogue("old")
    async with h.running():
        h.viewer.cut()
        assert not h.latest.connected
        await h.readings("caen", full=True, a=2.0, b=1.0)
        await h.readings("caen", b=4.0)
        await h.state("caen", "TRIPPED")
        await h.host.delete("state", subjects.catalogue_key("old"))
        await h.settle()
        assert h.values("caen") == {"a": 1.0}
        h.viewer.mend()
        await h.settle()
        assert h.latest.connected
        assert h.values("caen") == {"a": 2.0, "b": 4.0}
        assert h.latest.states["device.caen"].state == "TRIPPED"
        assert h.latest.catalogues == {}


async def test_what_is_not_understood_is_left_out() -> None:
    h = await house()
    async with h.running():
        await h.host.append("readings.delta.caen", b"\xc1")
        await h.host.put("state", "device.caen", b"\xc1")
        await h.host.publish("presence.devices.main", b"\xc1")
        await h.readings("caen", full=True, a=1.0)
        await h.settle()
        assert h.latest.readings["caen"]["a"].quality is Quality.GOOD
        assert h.latest.states == {}


async def test_a_partition_is_alive_while_its_owner_beats_and_from_its_first_word() -> None:
    h = await house()
    key = subjects.partition_key("mCBM")

    async def say(state: str) -> None:
        await h.host.put("state", key, encode(partition("mCBM", state)))
        await h.settle()

    async with h.running():
        changes = h.latest.follow()
        await say("Idle")
        assert h.latest.alive == {key: True}
        beating = asyncio.create_task(
            heartbeat(h.host, h.clock, role="runs", instance="main", boot="b1", targets=[key, "partition.lab"])
        )
        await h.clock.advance(10)
        assert h.latest.alive[key] is True
        beating.cancel()
        await h.clock.advance(0.5)
        assert h.latest.alive[key] is False
        assert key in changes.take().alive
        h.viewer.cut()
        await h.clock.advance(1)
        h.viewer.mend()
        await h.clock.advance(2)
        assert h.latest.alive[key] is False
        await say("TFC_Active")
        assert h.latest.alive[key] is True
        await h.clock.advance(3.6)
        assert h.latest.alive[key] is False


async def test_after_catching_up_the_present_shows_what_was_published_up_to_there() -> None:
    h = await house()
    async with h.running():
        await h.readings("caen", full=True, a=1.0)
        readings = await h.readings("caen", a=2.0)
        await h.state("caen", "OFF")
        state = await h.state("caen", "ON")
        assert not h.latest.states, "nothing is applied before the loop has had its turn"
        await h.latest.catch_up({"state": state, "readings": readings})
        assert h.latest.states[subjects.device_key("caen")].state == "ON"
        assert h.values("caen") == {"a": 2.0}


async def test_a_present_that_stays_behind_is_not_waited_for_beyond_the_deadline() -> None:
    h = await house()
    async with h.running():
        waiting = asyncio.create_task(h.latest.catch_up({"state": 10**9}))
        await h.clock.advance(CATCH_UP_S - 0.1)
        assert not waiting.done()
        await h.clock.advance(0.2)
        assert waiting.done()


async def test_after_the_link_was_lost_the_present_catches_up_too() -> None:
    h = await house()
    async with h.running():
        for _ in range(5):
            await h.state("caen", "OFF")
        await h.settle()
        h.viewer.cut()
        await h.settle()
        h.viewer.mend()
        await h.clock.advance(2.0)
        state = await h.state("caen", "ON")
        await h.latest.catch_up({"state": state})
        assert h.latest.states[subjects.device_key("caen")].state == "ON"
