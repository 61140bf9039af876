"""A server that forgets subscriptions, and answers everything else, is found by asking for what did not change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from countingroom.core.values import Quality
from countingroom.devices.drivers.epics.build import build
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.drivers.epics.driver import EpicsDriver
from countingroom.devices.drivers.epics.pva_access import PvMonitors
from countingroom.devices.port import LinkReport, Sample
from countingroom.devices.resources import SharedResources
from countingroom.simulators.ioc import Ioc
from countingroom.simulators.ioc_server import IocRecord
from tests.forgetful_server import ForgetfulServer
from tests.patience import PATIENCE_S

RECORDS = [
    IocRecord(name="x:a", value=1.0),
    IocRecord(name="x:b", value=2.0),
    IocRecord(name="x:mode", kind="enum", value=0, choices=("Off", "On")),
    IocRecord(name="x:text", kind="string", value="abc"),
    IocRecord(name="x:note", kind="text", value="long"),
    IocRecord(name="x:count", kind="int", value=3),
]
VALUES: dict[str, Any] = {
    "a": {"pv": "a"},
    "b": {"pv": "b"},
    "mode": {"pv": "mode", "type": "string"},
    "on": {"pv": "mode", "type": "bool"},
    "text": {"pv": "text", "type": "string"},
    "note": {"pv": "note", "type": "string"},
    "count": {"pv": "count", "type": "int"},
}


def section(protocol: str, refresh_s: float, **addresses: list[str]) -> EpicsSection:
    keys = {"driver": "epics", "prefix": "x:", "values": VALUES, "timeout": PATIENCE_S / 2}
    return EpicsSection.model_validate({**keys, "protocol": protocol, "refresh": refresh_s, **addresses})


class Watched:
    """A driver, the last sample of each point, and what it reported."""

    def __init__(self, section: EpicsSection, resources: SharedResources) -> None:
        driver = build("x", section, resources).driver
        assert isinstance(driver, EpicsDriver)
        self.driver = driver
        self.last: dict[str, Sample] = {}
        self.reports: list[LinkReport] = []
        driver.monitor(lambda batch: self.last.update({sample.point: sample for sample in batch}))

    async def prove_until(self, true: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                assert set(await self.driver.prove()) == set(VALUES)
                self.reports += self.driver.reports()
                await asyncio.sleep(0.05)


@pytest.fixture
async def resources() -> AsyncIterator[SharedResources]:
    made = SharedResources()
    yield made
    await made.close()


async def test_a_change_that_a_server_forgot_to_send_is_found_and_subscribed_to_again(
    resources: SharedResources,
) -> None:
    ioc = Ioc(RECORDS, lambda name, value: None)
    await ioc.start()
    server = ForgetfulServer(ioc.port)
    await server.start()
    watched = Watched(section("ca", 0.5, name_servers=[server.address]), resources)
    try:
        await watched.driver.connect()
        await watched.prove_until(lambda: server.subscriptions == len(VALUES) == len(watched.last))
        await watched.driver.prove()  # it asks once for each value by itself
        server.forget()
        ioc.set({"x:a": 7.0, "x:mode": 1})
        await watched.prove_until(
            lambda: [watched.last[name].value for name in ("a", "mode", "on", "b")] == [7.0, "On", True, 2.0]
        )
        await watched.prove_until(lambda: server.subscriptions >= len(VALUES) + 3)
        reported = {name for report in watched.reports for name in report.points}
        assert "a" in reported <= {"a", "mode", "on"}  # `mode` and `on` are one variable
        assert "x:a" in " ".join(report.message for report in watched.reports)
        ioc.set({"x:a": 8.0})  # a subscription that was made anew brings changes by itself
        async with asyncio.timeout(PATIENCE_S):
            while watched.last["a"].value != 8.0:
                await asyncio.sleep(0.01)
        assert all(sample.quality is Quality.GOOD for sample in watched.last.values())
    finally:
        await watched.driver.close()
        await server.stop()
        await ioc.stop()


@pytest.mark.parametrize("protocol", ["ca", "pva"])
async def test_what_does_not_change_is_asked_for_without_a_report(protocol: str, resources: SharedResources) -> None:
    ioc = Ioc(RECORDS, lambda name, value: None, protocol=protocol)
    await ioc.start()
    watched = Watched(section(protocol, 0.05, address_list=[ioc.address]), resources)
    try:
        await watched.driver.connect()
        for _ in range(6):
            await asyncio.sleep(0.06)
            assert set(await watched.driver.prove()) == set(VALUES)
            assert not watched.driver.reports()
        assert [watched.last[name].value for name in VALUES] == [1.0, 2.0, "Off", False, "abc", "long", 3]
    finally:
        await watched.driver.close()
        await ioc.stop()


async def test_with_pvaccess_it_is_found_as_well(resources: SharedResources) -> None:
    ioc = Ioc(RECORDS, lambda name, value: None, protocol="pva")
    await ioc.start()
    watched = Watched(section("pva", 0.3, address_list=[ioc.address]), resources)
    try:
        await watched.driver.connect()
        await watched.prove_until(lambda: len(watched.last) == len(VALUES))
        monitors = watched.driver._monitors  # pyright: ignore[reportPrivateUsage]
        assert isinstance(monitors, PvMonitors)
        for one in monitors._monitors["x:a"]:  # pyright: ignore[reportPrivateUsage]
            one.subscription.close()  # brings nothing more, and nothing tells it
        ioc.set({"x:a": 7.0})
        await watched.prove_until(lambda: watched.last["a"].value == 7.0)
        assert [report.points for report in watched.reports] == [("a",)]
        ioc.set({"x:a": 8.0})
        async with asyncio.timeout(PATIENCE_S):
            while watched.last["a"].value != 8.0:
                await asyncio.sleep(0.01)
    finally:
        await watched.driver.close()
        await ioc.stop()
