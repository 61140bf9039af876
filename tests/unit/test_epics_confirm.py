"""A change between the first value of a subscription and the moment from which changes are sent is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest

from countingroom.core.points import Point
from countingroom.devices.drivers.epics.client import EpicsMonitors
from countingroom.devices.drivers.epics.convert import EPOCH_S, Variable
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.drivers.epics.driver import EpicsDriver
from countingroom.devices.port import Sample

POINT = Point(name="v")


def update(value: float, second: int) -> Any:
    class Update(float):
        ok = True
        raw_stamp = (EPOCH_S + second, 0)
        severity = status = 0

    return Update(value)


class Access:
    """A client of one device."""

    def __init__(self, monitors: Monitors) -> None:
        self._monitors = monitors

    def register(self, address_list: Sequence[str], name_servers: Sequence[str]) -> None: ...
    def start(self) -> None: ...
    def monitors(self, timeout_s: float) -> EpicsMonitors:
        return self._monitors


class Monitors:
    """A client whose server has this value now."""

    dropped = 0
    misses_first_change = True

    def __init__(self, now: Any) -> None:
        self.now = now
        self.asked = 0

    def add(self, pv: str, callback: Callable[[Any], None], **_: object) -> None:
        asyncio.get_running_loop().call_soon(callback, update(1.0, 10))

    async def present(self, pv: str, datatype: int | None) -> Any:
        self.asked += 1
        return self.now

    async def answers(self, pv: str) -> bool:
        return True

    async def describe(self, pv: str) -> Any:
        return None

    def server_of(self, pv: str) -> str:
        return ""

    async def put(self, pv: str, value: float | int | str) -> None: ...
    def renew(self) -> None: ...
    def resubscribe(self, pvs: Collection[str]) -> None: ...
    async def close(self) -> None: ...


@pytest.mark.parametrize(("now", "value"), [(update(2.0, 11), 2.0), (update(3.0, 9), 1.0), (None, 1.0)])
async def test_it_is_taken_where_it_is_newer_and_asked_for_once(now: Any, value: float) -> None:
    monitors = Monitors(now)
    section = EpicsSection.model_validate({"driver": "epics", "values": {"v": {"pv": "x"}}})
    driver = EpicsDriver([Variable(pv="x", point=POINT)], section, Access(monitors), source="devices.any")
    seen: list[Sample] = []
    driver.monitor(seen.extend)
    await driver.connect()
    for _ in range(2):
        await driver.prove()
    (latest,) = await driver.read()
    assert latest.value == value == seen[-1].value
    assert monitors.asked == 1
