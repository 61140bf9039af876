"""The driver of text instruments before a bath of the package lewis, which we did not write, by a table alone."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from countingroom.core.values import Quality
from countingroom.devices.drivers.text.description import TextSection
from countingroom.devices.drivers.text.driver import TextDriver
from countingroom.devices.serial.line import SerialPorts
from tests.contract.lewis_bath import LewisHarness, bath
from tests.patience import PATIENCE_S


@pytest.fixture
def port() -> Generator[int]:
    with bath("julabo-version-1") as port:
        yield port


async def test_a_bath_that_we_did_not_write_is_read_and_set_by_a_table(port: int) -> None:
    line, ports = LewisHarness(port), SerialPorts()
    await line.start()
    try:
        section = TextSection.model_validate(
            {
                "driver": "text",
                "port": line.address,
                "line_end": "CR",
                "identify": {"query": "VERSION", "reply": "JULABO"},
                "values": {
                    "bath": {"query": "IN_PV_00", "unit": "degC"},
                    "setpoint": {
                        "query": "IN_SP_00",
                        "set": "OUT_SP_00 {value:.2f}",
                        "write_low": -50,
                        "write_high": 150,
                    },
                    "running": {"query": "IN_MODE_05", "set": "OUT_MODE_05 {value}", "type": "bool"},
                    "nothing": {"query": "NO_SUCH_QUERY"},
                },
            }
        )
        driver = TextDriver(section, ports)
        await driver.connect()
        await driver.write("setpoint", 42.5)
        await driver.write("running", True)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = {one.point: one for one in await driver.read()}
                if found["running"].value is True and found["setpoint"].value == 42.5:
                    break
        assert found["bath"].quality is Quality.GOOD and isinstance(found["bath"].value, float)
        assert "JULABO" in str(found["identification"].value)
        assert found["nothing"].quality is Quality.BAD
    finally:
        await ports.close()
        await line.stop()
