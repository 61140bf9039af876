"""One Channel Access client a process, shared by devices that know nothing of each other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from epicscorelibs.ca import cadef

from countingroom.core.errors import ConfigurationError, DeviceError, LinkError
from countingroom.core.values import Quality
from countingroom.devices.drivers.epics.access import ChannelAccess, _channels  # pyright: ignore[reportPrivateUsage]
from countingroom.devices.drivers.epics.build import build
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.port import ProvingDriver, Sample
from countingroom.devices.resources import SharedResources
from countingroom.simulators.ioc import Ioc
from countingroom.simulators.ioc_server import IocRecord
from tests.patience import PATIENCE_S

VALUES: dict[str, Any] = {
    "a": {"pv": "a"},
    "b": {"pv": "b", "writable": True, "write_low": -1e9, "write_high": 1e9},
    "text": {"pv": "text", "type": "string", "writable": True},
}


@pytest.fixture
async def resources() -> AsyncIterator[SharedResources]:
    made = SharedResources()
    yield made
    await made.close()


@pytest.fixture
async def ioc() -> AsyncIterator[Ioc]:
    served = Ioc(
        [
            IocRecord(name="x:a", value=1.5),
            IocRecord(name="x:b", value=2.5, writable=True),
            IocRecord(name="x:text", kind="string", value="hello", writable=True),
        ],
        lambda name, value: None,
    )
    await served.start()
    yield served
    await served.stop()


class Heard:
    """A driver and the last sample of each point."""

    def __init__(
        self, resources: SharedResources, values: dict[str, Any], *addresses: str, timeout: float = 3.0
    ) -> None:
        section = EpicsSection.model_validate(
            {
                "driver": "epics",
                "prefix": "x:",
                "values": values,
                "address_list": list(addresses),
                "timeout": timeout,
            }
        )
        driver = build("x", section, resources).driver
        assert isinstance(driver, ProvingDriver)
        self.driver = driver
        self.last: dict[str, Sample] = {}
        driver.monitor(lambda batch: self.last.update({sample.point: sample for sample in batch}))

    async def connect(self) -> None:
        """A server does not send a change that it makes in the moment of the subscription: an answer proves that it is
        in force."""
        await self.driver.connect()
        await self.driver.prove()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                await asyncio.sleep(0.01)


async def test_a_variable_that_nobody_serves_is_stale_and_keeps_none_of_the_others(
    ioc: Ioc, resources: SharedResources
) -> None:
    heard = Heard(resources, {**VALUES, "missing": {"pv": "missing"}}, ioc.address)
    await heard.driver.connect()
    await heard.until(lambda: len(heard.last) == 4)
    assert heard.last["missing"].quality is Quality.STALE
    assert heard.last["a"].value == 1.5
    with pytest.raises(DeviceError, match="missing does not answer"):
        await heard.driver.write("missing", 1.0)
    await heard.driver.close()


async def test_changes_come_with_the_time_of_the_ioc(ioc: Ioc, resources: SharedResources) -> None:
    heard = Heard(resources, VALUES, ioc.address)
    await heard.connect()
    first = heard.last["a"].device_ns
    ioc.set({"x:a": 7.25})
    await heard.until(lambda: heard.last["a"].value == 7.25)
    later = heard.last["a"].device_ns
    assert first is not None
    assert later is not None
    assert later > first
    await heard.driver.close()


async def test_an_alarm_severity_is_a_quality(ioc: Ioc, resources: SharedResources) -> None:
    heard = Heard(resources, VALUES, ioc.address)
    await heard.connect()
    ioc.set({"x:a": 8.0}, severity=2)
    await heard.until(lambda: heard.last["a"].quality is Quality.UNCERTAIN)
    assert heard.last["a"].value == 8.0
    ioc.set({"x:a": 8.0}, severity=3)
    await heard.until(lambda: heard.last["a"].quality is Quality.BAD)
    assert heard.last["a"].value is None
    await heard.driver.close()


async def test_two_devices_may_watch_the_same_variable_and_one_may_leave(ioc: Ioc, resources: SharedResources) -> None:
    one, other = Heard(resources, VALUES, ioc.address), Heard(resources, VALUES, ioc.address)
    await one.connect()
    await other.connect()
    await one.driver.close()
    ioc.set({"x:a": 9.0})
    await other.until(lambda: other.last["a"].value == 9.0)
    await other.driver.write("b", 4.0)
    await other.until(lambda: other.last["b"].value == 4.0)
    await one.driver.connect()
    await one.until(lambda: one.last["b"].value == 4.0)
    await one.driver.close()
    await other.driver.close()


async def test_what_the_ioc_cannot_take_is_its_refusal_and_not_a_lost_link(
    ioc: Ioc, resources: SharedResources
) -> None:
    heard = Heard(resources, {**VALUES, "b": {"pv": "b", "type": "string", "writable": True}}, ioc.address)
    await heard.driver.connect()
    with pytest.raises(DeviceError):
        await heard.driver.write("b", "no number")
    await heard.until(lambda: heard.last["a"].value == 1.5)
    await heard.driver.close()


async def test_a_frozen_server_fails_a_put_in_time(ioc: Ioc, resources: SharedResources) -> None:
    heard = Heard(resources, VALUES, ioc.address)
    await heard.driver.connect()
    ioc.freeze()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(LinkError, match="no answer to a put"):
            await heard.driver.write("b", 1.0)
    ioc.thaw()
    await heard.driver.close()


async def test_devices_built_together_search_at_the_addresses_of_all(ioc: Ioc, resources: SharedResources) -> None:
    second = Ioc([IocRecord(name="x:a", value=3.0), IocRecord(name="x:c", value=4.0)], lambda name, value: None)
    await second.start()
    here, there = (
        Heard(resources, {"b": {"pv": "b"}}, ioc.address),
        Heard(resources, {"c": {"pv": "c"}}, second.address),
    )
    await here.driver.connect()
    await there.driver.connect()
    assert there.last["c"].value == 4.0
    assert here.last["b"].value == 2.5
    await here.driver.close()
    await there.driver.close()
    await second.stop()


async def test_a_variable_that_two_servers_have_is_told_with_both(
    ioc: Ioc, resources: SharedResources, caplog: pytest.LogCaptureFixture
) -> None:
    second = Ioc([IocRecord(name="x:a", value=3.0)], lambda name, value: None)
    await second.start()
    try:
        heard = Heard(resources, {"a": {"pv": "a"}}, ioc.address, second.address, timeout=PATIENCE_S)
        for _ in range(2):
            await heard.driver.connect()
            await heard.until(lambda: "two servers" in caplog.text)
            await heard.driver.close()
    finally:
        await second.stop()
    told = [record.getMessage() for record in caplog.records if "two servers" in record.getMessage()]
    assert len(told) == len(set(told)) <= 2, "whichever of the two answers first"
    assert "x:a" in told[0]
    assert all(address.rpartition(":")[2] in told[0] for address in (ioc.address, second.address))


async def test_a_device_built_late_with_other_addresses_is_told_so(ioc: Ioc, resources: SharedResources) -> None:
    early = Heard(resources, VALUES, ioc.address)
    await early.driver.connect()
    late = Heard(resources, VALUES, "127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="other addresses"):
        await late.driver.connect()
    await early.driver.close()


async def test_the_next_host_of_a_process_searches_at_its_own_addresses(ioc: Ioc) -> None:
    before = {name: os.environ.get(name) for name in ("EPICS_CA_ADDR_LIST", "EPICS_CA_AUTO_ADDR_LIST")}
    first = SharedResources()
    gone = Heard(first, VALUES, "127.0.0.1:9", timeout=0.2)
    with pytest.raises(LinkError):
        await gone.driver.connect()
    await first.close()
    assert {name: os.environ.get(name) for name in before} == before
    second = SharedResources()
    heard = Heard(second, VALUES, ioc.address)
    await heard.driver.connect()
    assert heard.last["a"].value == 1.5
    await second.close()  # while the device still holds its channels
    assert {name: os.environ.get(name) for name in before} == before


async def test_a_second_client_is_refused_while_the_first_holds_channels(ioc: Ioc, resources: SharedResources) -> None:
    heard = Heard(resources, VALUES, ioc.address)
    await heard.driver.connect()
    with pytest.raises(ConfigurationError, match="other addresses"):
        await Heard(SharedResources(), VALUES, "127.0.0.1:9").driver.connect()
    await heard.driver.close()


async def test_a_server_that_returns_with_its_values_is_found_again(ioc: Ioc, resources: SharedResources) -> None:
    heard = Heard(resources, VALUES, ioc.address)
    await heard.driver.connect()
    await heard.driver.write("b", 11.5)
    await heard.until(lambda: heard.last["b"].value == 11.5)
    port = ioc.port
    await ioc.stop()
    await heard.until(lambda: all(sample.quality is Quality.STALE for sample in heard.last.values()))
    with pytest.raises(LinkError):
        await heard.driver.read()
    await heard.driver.close()
    await ioc.start()
    assert ioc.port == port
    await heard.driver.connect()
    assert heard.last["b"].value == 11.5
    await heard.driver.close()


async def test_a_link_that_is_lost_before_its_variable_is_subscribed_harms_no_other(resources: SharedResources) -> None:
    refused: list[str] = []
    access = resources.get(ChannelAccess)
    access.register(["127.0.0.1:9"], [])
    access.start()
    monitors = access.monitors(1.0)
    for pv in ("x:lost", "x:other"):
        monitors.add(pv, lambda value: None, datatype=None, refused=refused.append)
    await asyncio.sleep(0)
    channel = _channels()["x:lost"]
    channel.on_ca_connect_(cadef.CA_OP_CONN_UP)  # the loop comes late: for libca it is not connected any more
    async with asyncio.timeout(PATIENCE_S):
        while not refused:
            await asyncio.sleep(0.01)
    assert "disconnected" in refused[0]
    assert await monitors.describe("x:lost") is None
    await monitors.close()
    assert not _channels()
