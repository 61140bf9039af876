"""The loop of a driver ends when it is cancelled, also where the driver suppresses the cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest

from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause, LinkError
from countingroom.core.points import Point
from countingroom.devices.drivers.epics.convert import Variable
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.drivers.epics.driver import EpicsDriver
from countingroom.devices.host.link import DriverLoop
from countingroom.devices.port import Sample, Sink
from countingroom.devices.section import DeviceSection

POINT = Point(name="v")
VALUE = Sample(point="v", value=1.0)


class AnySection(DeviceSection):
    driver: Literal["any"] = "any"


SECTION = AnySection(poll=0.001, reconnect_first=0.001, reconnect_most=0.001)


class Listener:
    def on_connected(self, samples: Sequence[Sample]) -> None: ...

    def on_samples(self, samples: Sequence[Sample]) -> bool:
        return True

    def on_proven(self, points: Collection[str]) -> Collection[str]:
        return ()

    def on_lost(self, cause: Cause) -> None: ...

    def on_error(self, cause: Cause | None) -> None: ...


class Interrupted:
    """A call of a driver that ends in its own way the first time that it is cancelled."""

    def __init__(self, end: Callable[[], None]) -> None:
        self.entered = asyncio.Event()
        self._end = end
        self._over = False

    async def wait(self) -> None:
        self.entered.set()
        if self._over:
            return
        try:
            await asyncio.Future[None]()
        except asyncio.CancelledError:
            self._over = True
            self._end()


class PolledDriver:
    points = (POINT,)

    def __init__(self, call: Interrupted, where: str) -> None:
        self._call = call
        self._where = where

    async def connect(self) -> None:
        await self._pass("connect")

    async def read(self) -> Sequence[Sample]:
        await self._pass("read")
        return [VALUE]

    async def write(self, point: str, value: float | int | str | bool) -> None: ...

    async def close(self) -> None: ...

    async def _pass(self, where: str) -> None:
        if where == self._where:
            await self._call.wait()


class ProvenDriver(PolledDriver):
    thinned = 0

    def monitor(self, sink: Sink) -> None: ...

    async def prove(self) -> Collection[str]:
        await self._pass("prove")
        return ()


def returns() -> None:
    """As `asyncio.wait_for` does before Python 3.12 when its wait is over at that moment."""


def fails() -> None:
    raise ValueError("the socket is closed already")


def fails_as_the_link() -> None:
    raise LinkError("the link is lost", source="devices.any")


async def ends(task: asyncio.Task[Any]) -> bool:
    """Cancel the task once; whether it then ends as cancelled."""
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=1)
    if not done:  # also its children: a task group that is ending already does not pass another cancellation on
        for one in asyncio.all_tasks() - {asyncio.current_task()}:
            one.cancel()
        await asyncio.wait([task])
    return bool(done) and task.cancelled()


@pytest.mark.parametrize("end", [returns, fails, fails_as_the_link])
@pytest.mark.parametrize(
    ("kind", "where"), [(PolledDriver, "connect"), (PolledDriver, "read"), (ProvenDriver, "prove")]
)
async def test_a_cancelled_loop_ends_although_its_driver_ends_the_call_otherwise(
    kind: type[PolledDriver], where: str, end: Callable[[], None]
) -> None:
    call = Interrupted(end)
    loop = DriverLoop(kind(call, where), SECTION, SystemClock(), Listener(), "devices.any")
    task = asyncio.create_task(loop.run())
    await call.entered.wait()
    assert await ends(task)


@pytest.mark.parametrize("turns", range(4))
async def test_connect_of_epics_is_cancelled_in_any_turn_in_which_the_last_variable_comes(turns: int) -> None:
    added = asyncio.Event()

    class Monitors:
        dropped = 0

        def add(self, pv: str, *_: object, **__: object) -> None:
            added.set()

        async def close(self) -> None: ...

    monitors = Monitors()
    access = SimpleNamespace(monitors=lambda _: monitors, register=lambda *_: None, start=lambda: None)
    section = EpicsSection.model_validate({"driver": "epics", "values": {"v": {"pv": "x"}}})
    driver = EpicsDriver([Variable(pv="x", point=POINT)], section, cast(Any, access), source="devices.any")
    task = asyncio.create_task(driver.connect())
    await added.wait()
    driver._refuse(POINT.name, "it is refused")  # pyright: ignore[reportPrivateUsage]
    for _ in range(turns):
        await asyncio.sleep(0)
    assert task.done() or await ends(task)
