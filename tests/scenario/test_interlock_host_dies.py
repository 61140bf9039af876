"""A device host is killed before and after each thing that it does for a trip, a reset and a bypass: what it writes to
its file, to the device and to the bus. The next one goes on: tripped stays tripped, the effect is carried out, and
nothing is announced twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.interlocks.chart import initial
from countingroom.core.interlocks.states import Bypass, InterlockState
from countingroom.core.messages import Event, decode
from countingroom.core.values import Scalar
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.registry import Hosted
from countingroom.testing.fake_device import FakeBehaviour, FakeMonitoringDriver
from tests.scenario.experiment import AtOnce
from tests.scenario.test_interlock_host import LOCAL, FakeSection, Room


def without_thread(**_: object) -> AtOnce:
    """An executor."""
    return AtOnce()


MOST = 20
"""More moments than there are; a test of a later one is over when it has found that out."""


class MortalRoom(Room):
    """Counts what the host does from `watch` on; at the moment `fatal` it is killed."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.moments: list[str] = []
        self.fatal = 0
        self.is_watched = self.is_dead = self.was_killed = False
        take, pwrite = self.supply.take, os.pwrite

        def commanded(point: str, value: Scalar) -> None:
            self.does(f"command {point}", lambda: take(point, value))

        def written(opened: int, data: bytes, offset: int) -> int:
            size = 0

            def write() -> None:
                nonlocal size
                size = pwrite(opened, data, offset)

            try:
                self.does("file", write)
            except LinkError as error:
                raise OSError(5, "killed") from error
            return size

        # Without threads, so that the moments come in one order.
        patch.setattr("countingroom.devices.interlocks.saved_latches.ThreadPoolExecutor", without_thread)
        patch.setattr(self.supply, "take", commanded)
        patch.setattr(os, "pwrite", written)

    def does(self, what: str, do: Callable[[], object]) -> None:
        """Before and after it the host may be killed."""
        self.moment(f"before {what}")
        do()
        self.moment(f"after {what}")

    def moment(self, what: str) -> None:
        """The host may be killed now. LinkError where it is dead, or what comes now must not be done."""
        if self.is_dead:
            raise LinkError("the dead do nothing", source="test")
        if not self.is_watched:
            return
        self.moments.append(what)
        if len(self.moments) == self.fatal:
            self.is_dead = self.was_killed = True
            if what.startswith("before"):
                raise LinkError("killed", source="test")

    @asynccontextmanager
    async def mortal(self) -> AsyncGenerator[None]:
        """A host that can be killed; at the end it is dead."""
        own = MortalBus(self)
        hosted = Hosted(
            name="supply",
            title="Supply",
            group="Power supplies",
            driver=FakeMonitoringDriver(self.supply),
            behaviour=FakeBehaviour(),
            section=FakeSection.model_validate({}),
        )
        host = DeviceHost(own, self.clock, [hosted], interlocks=(LOCAL,), interlock_file=self.file)
        task = asyncio.create_task(host.run())
        await self.settle(1.0)
        try:
            yield
        finally:
            self.is_dead = True
            own.die()
            task.cancel()
            for _ in range(60):
                await self.settle(0.1)
                if task.done():
                    break
            with suppress(asyncio.CancelledError):
                await task
            self.supply.told.clear()
            self.is_dead = self.is_watched = False

    async def told(self, action: str) -> list[Event]:
        """The events of this action."""
        found: list[Event] = []
        subject = subjects.event("devices", "cooling")
        async with self.bus.replay(subjects.EVENTS_STREAM, subjects=subject, follow=False) as stored:
            async for one in stored:
                event = decode(one.data, Event)
                if event.action == action:
                    found.append(event)
        return found


class MortalBus(MemoryBus):
    """The bus of a host that can be killed."""

    def __init__(self, room: MortalRoom) -> None:
        super().__init__(server=room.bus.server, name="host")
        self._room = room

    async def append(self, subject: str, data: bytes, *, message_id: str = "") -> int:
        sequence = 0
        parent = super()

        async def append() -> None:
            nonlocal sequence
            sequence = await parent.append(subject, data, message_id=message_id)

        await self._does(f"event {subject}", append, is_counted=subject == subjects.event("devices", "cooling"))
        return sequence

    async def put(self, bucket: str, key: str, data: bytes, *, expected: int | None = None) -> int:
        revision = 0
        parent = super()

        async def put() -> None:
            nonlocal revision
            revision = await parent.put(bucket, key, data, expected=expected)

        await self._does(f"state {key}", put, is_counted=key.startswith("interlock_host."))
        return revision

    async def _does(self, what: str, do: Callable[[], object], *, is_counted: bool) -> None:
        room = self._room
        if is_counted:
            room.moment(f"before {what}")
        elif room.is_dead:
            raise LinkError("the dead say nothing", source="test")
        result = do()
        assert asyncio.iscoroutine(result)
        await result
        if is_counted:
            room.moment(f"after {what}")


@pytest.fixture
async def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[MortalRoom]:
    made = MortalRoom(tmp_path, monkeypatch)
    await streams.prepare(made.bus)
    made.supply.values["temperature"] = 20.0
    yield made


def is_over(room: MortalRoom) -> bool:
    """Whether it did less than that. A dry run is among the tests, so that none of the moments is left out."""
    assert len(room.moments) < MOST
    return not room.was_killed


def switched_off(room: MortalRoom) -> bool:
    return room.supply.values["a.on"] is False and room.supply.values["b.on"] is False


@pytest.mark.parametrize("is_gone", [False, True], ids=["present", "gone"])
@pytest.mark.parametrize("fatal", range(1, MOST))
async def test_killed_in_its_trip(room: MortalRoom, fatal: int, is_gone: bool) -> None:
    """`is_gone`: the cause is gone when the next host begins."""
    room.fatal = fatal
    async with room.mortal():
        room.is_watched = True
        room.supply.put("temperature", 36.0)
        await room.settle(1.0)
        if is_over(room):
            assert switched_off(room)
            assert len(await room.told("trip")) == 1
            return
    has_acted = bool(room.supply.writes)
    was_told = bool(await room.told("trip"))
    if is_gone:
        room.supply.values["temperature"] = 20.0
    room.supply.values["b.on"] = True  # at the front panel, while no host runs
    async with room.host():
        await room.settle(2.0)
        state = await room.local()
        trips = await room.told("trip")
        if is_gone and not state.is_tripped:  # it was killed before anything was saved
            assert (has_acted, was_told, trips) == (False, False, [])
            return
        assert (state.is_tripped, state.first_out, state.trip) == (True, "hot", 1)
        assert switched_off(room)
        assert len(trips) == 1
        assert len(await room.told("act")) == 1
        assert await room.told("reached")


@pytest.mark.parametrize("fatal", range(1, MOST))
async def test_killed_in_its_reset(room: MortalRoom, fatal: int) -> None:
    room.fatal = fatal
    async with room.mortal():
        room.supply.put("temperature", 36.0)
        await room.settle(1.0)
        room.supply.put("temperature", 20.0)
        await room.settle(1.0)
        room.is_watched = True
        await room.engine_says(replace(initial(LOCAL), reset_ns=room.clock.now_ns(), reset_by="ann"))
        await room.settle(1.0)
        if is_over(room):
            assert len(await room.told("reset")) == 1
            return
    async with room.host():
        await room.settle(2.0)
        state = await room.local()
        assert (state.is_tripped, state.reset_by) == (False, "ann")
        assert [len(await room.told(action)) for action in ("trip", "reset")] == [1, 1]
        assert (await room.give("switch_on", "a")).accepted


@pytest.mark.parametrize("fatal", range(1, MOST))
async def test_killed_while_it_takes_a_bypass(room: MortalRoom, fatal: int) -> None:
    room.fatal = fatal
    async with room.mortal():
        room.is_watched = True
        now_ns = room.clock.now_ns()
        bypass = Bypass(by="eva", reason="repair", since_ns=now_ns, until_ns=now_ns + 600_000_000_000)
        await room.engine_says(_bypassed(bypass))
        await room.settle(1.0)
        if is_over(room):
            assert len(await room.told("bypass")) == 1
            return
    async with room.host():
        await room.settle(1.0)
        room.supply.put("temperature", 36.0)
        await room.settle(1.0)
        state = await room.local()
        assert (state.is_tripped, state.bypassed) == (False, ("hot",))
        assert not switched_off(room)
        assert len(await room.told("bypass")) == 1


def _bypassed(bypass: Bypass) -> InterlockState:
    theirs = initial(LOCAL)
    return replace(theirs, causes=tuple(replace(one, bypass=bypass) for one in theirs.causes))
