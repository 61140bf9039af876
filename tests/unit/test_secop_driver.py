"""The driver of SECoP nodes before a node that has changed, sends errors and nonsense, or is silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.values import Quality
from countingroom.devices.drivers.secop.build import build
from countingroom.devices.drivers.secop.connection import NodeUpdate, SecopConnection
from countingroom.devices.drivers.secop.description import SecopSection
from countingroom.devices.drivers.secop.driver import SecopDriver
from countingroom.simulators.secop import SecopSimulator
from countingroom.simulators.secop_node import DEFAULT_MODULES
from tests.patience import PATIENCE_S


@pytest_asyncio.fixture
async def node() -> AsyncIterator[SecopSimulator]:
    simulator = SecopSimulator({"modules": DEFAULT_MODULES, "equipment_id": "lab.cryo"})
    yield simulator
    await simulator.stop()


async def _driver(node: SecopSimulator, **more: Any) -> SecopDriver:
    keys = {"driver": "secop", "modules": DEFAULT_MODULES, "timeout": 0.2, **await node.start(), **more}
    driver = build("cryo", SecopSection.model_validate(keys)).driver
    assert isinstance(driver, SecopDriver)
    return driver


def _without(described: Any, **accessibles: Any) -> dict[str, Any]:
    cryo = described["cryo"]
    changed = {key: value for key, value in (cryo["accessibles"] | accessibles).items() if value is not None}
    return {"cryo": {**cryo, "accessibles": changed}}


async def _said(driver: SecopDriver) -> dict[str, Any]:
    await driver.prove()  # what the node sent before is there with its answer
    return {sample.point: sample for sample in await driver.read()}


async def test_what_the_node_has_no_more_is_bad_and_the_range_is_its_own(node: SecopSimulator) -> None:
    celsius = {"datainfo": {"type": "double", "unit": "degC"}}
    wide = {"datainfo": {"type": "double", "unit": "K", "min": 0.0, "max": 500.0}, "readonly": False}
    described = _without(DEFAULT_MODULES, value=celsius, target=wide, ramp=celsius)
    driver = await _driver(node, modules=described)
    await driver.connect()
    assert driver.changed == {
        "cryo.value": "its unit is K, and not degC",
        "cryo.ramp": "the node has no cryo:ramp",
    }
    said = await _said(driver)
    assert said["cryo.value"].quality is Quality.BAD and "its unit is K" in said["cryo.value"].reason
    target = next(point for point in driver.points if point.name == "cryo.target")
    assert target.write_high == 320.0
    await driver.close()


async def test_another_node_is_not_used(node: SecopSimulator) -> None:
    driver = await _driver(node, equipment_id="other")
    with pytest.raises(LinkError, match=r"the node is lab\.cryo, and not other") as caught:
        await driver.connect()
    assert caught.value.cause.code == "wrong_device"
    await driver.close()


async def test_errors_and_nonsense_are_bad_with_the_words_of_the_node(node: SecopSimulator) -> None:
    driver = await _driver(node)
    await driver.connect()
    await node.fault("error", {"parameter": "cryo:value", "text": "sensor broken"})
    assert (await _said(driver))["cryo.value"].reason == "HardwareError: sensor broken"
    for sent in ('"warm"', "NaN", "null", "[1]"):
        await node.fault("value", {"parameter": "cryo:value", "json": sent})
        assert (await _said(driver))["cryo.value"].quality is Quality.BAD, sent
    await node.fault("value", {"parameter": "cryo:value", "json": "4.2"})
    assert (await _said(driver))["cryo.value"].value == 4.2
    await node.fault("refuse", {})
    with pytest.raises(DeviceError, match="takes no value now"):
        await driver.write("cryo.target", 5.0)
    await driver.close()


async def test_whatever_a_node_sends_its_link_stays_and_nothing_is_kept_of_what_is_not_described() -> None:
    said: list[NodeUpdate] = []
    connection = SecopConnection("node", said.append, lambda: None)
    huge = "1" + "0" * 400
    for data in (f'[1, {{"t": {huge}}}]', '[1, {"t": NaN}]', '[1, {"t": -Infinity}]', f"[{huge}, {{}}]"):
        connection._take(f"update cryo:value {data}\n".encode())  # pyright: ignore[reportPrivateUsage]
    assert [update.time_s for update in said] == [None] * 4
    odd = b'error_update cryo:value ["Odd", "\\ud800' + b"x" * 9999 + b'", {}]\n'
    connection._take(odd)  # pyright: ignore[reportPrivateUsage]
    assert said[-1].error.encode() and len(said[-1].error) < 400
    keys = {"driver": "secop", "host": "h", "modules": DEFAULT_MODULES}
    driver = build("cryo", SecopSection.model_validate(keys)).driver
    assert isinstance(driver, SecopDriver)
    for update in (*said, *(NodeUpdate(f"other:{n}", n, None) for n in range(3))):
        driver._take(update)  # pyright: ignore[reportPrivateUsage]
    assert set(driver._raw) == {"cryo:value"}  # pyright: ignore[reportPrivateUsage]


async def test_a_silent_node_is_lost(node: SecopSimulator) -> None:
    driver = await _driver(node)
    lost = asyncio.Event()
    await driver.connect()
    driver.monitor(lambda samples: lost.set() if samples[0].quality is Quality.STALE else None)
    await node.fault("freeze", {})
    with pytest.raises(LinkError):
        await driver.prove()
    async with asyncio.timeout(PATIENCE_S):
        await lost.wait()
    await driver.close()


async def test_what_is_no_node_is_told(node: SecopSimulator) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"ACME,PS-12,0042,1.3\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        driver = await _driver(node, port=server.sockets[0].getsockname()[1])
        with pytest.raises(LinkError, match="no SECoP node: it answers 'ACME"):
            await driver.connect()
        await driver.close()
