"""The Modbus driver before servers that we did not write: modbus-tk, pyModbusTCP, uModbus, pymodbus, libmodbus;
TCP and RTU.

The driver of MARTA plants is before one of them too.
"""

from __future__ import annotations

import asyncio
import ctypes.util
import os
import socket
import sys
import tty
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from countingroom.core.errors import DeviceError
from countingroom.core.values import Quality
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.driver import MartaDriver
from countingroom.devices.drivers.modbus.description import ModbusSection
from countingroom.devices.drivers.modbus.driver import ModbusDriver
from countingroom.devices.port import Sample
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.server

HAS_LIBMODBUS = ctypes.util.find_library("modbus") is not None
SERVERS = [
    *("tk-tcp", "tk-rtu", "pyModbusTCP", "uModbus", "pymodbus-rtu-over-tcp"),
    pytest.param("libmodbus", marks=pytest.mark.skipif(not HAS_LIBMODBUS, reason="libmodbus5 is not installed")),
]
FREE = {"input": True, "write_low": 0, "write_high": 65535}
TABLE: dict[str, Any] = {
    "first": {"address": 0},
    "tenth": {"address": 10, "scale": 0.5},
    "last": {"address": 99},
    "beyond": {"address": 100, **FREE},
    "coil": {"address": 5, "table": "coil", "input": True},
    "coils": {"address": 8, "table": "coil", "input": True, "write_function": 15},
    "seen": {"address": 6, "table": "discrete"},
    "level": {"address": 7, "table": "input"},
    "single": {"address": 20, **FREE, "write_function": 6},
    "several": {"address": 21, **FREE, "type": "uint32"},
    "exchanged": {"address": 23, **FREE, "type": "uint32", "write_function": 23},
    "text": {"address": 30, "type": "string", "length": 4, "input": True},
    "bit": {"address": 40, "type": "bool", "bit": 3, "input": True},
}


class Bus:
    """Two pseudo terminals that are joined, as the two ends of a serial bus."""

    def __init__(self) -> None:
        self._masters: list[int] = []
        self._slaves: list[int] = []
        for _ in range(2):
            master, slave = os.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            self._masters.append(master)
            self._slaves.append(slave)
        self.near, self.far = (os.ttyname(slave) for slave in self._slaves)
        for here, there in (self._masters, self._masters[::-1]):
            asyncio.get_running_loop().add_reader(here, self._pass, here, there)

    def _pass(self, here: int, there: int) -> None:
        os.write(there, os.read(here, 4096))

    def close(self) -> None:
        for master in self._masters:
            asyncio.get_running_loop().remove_reader(master)
        for descriptor in (*self._masters, *self._slaves):
            os.close(descriptor)


@asynccontextmanager
async def serving(kind: str) -> AsyncGenerator[dict[str, Any]]:
    """The keys of the section that lead to this server."""
    bus = Bus() if kind.endswith("-rtu") else None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(__file__).with_name("libmodbus_server.py" if kind == "libmodbus" else "foreign_modbus.py")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program), kind, bus.far if bus else str(port)), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert await child.stdout.readline() == b"ready\n"
        if bus:
            yield {"serial": bus.near}
        else:
            yield {"host": "127.0.0.1", "port": port, "framing": "rtu" if "rtu" in kind else "tcp"}
    finally:
        child.kill()
        await child.wait()
        if bus:
            bus.close()


@pytest.mark.parametrize("kind", SERVERS)
async def test_every_table_and_function_works_with_a_server_of_others(kind: str) -> None:
    table = {name: row for name, row in TABLE.items() if not (kind == "uModbus" and row.get("write_function") == 23)}
    async with serving(kind) as address:
        driver = ModbusDriver(ModbusSection.model_validate({**address, "registers": table, "timeout": 3.0}))
        await driver.connect()
        try:
            samples = await said(driver)
            assert samples["beyond"].quality is Quality.BAD and "illegal address" in samples["beyond"].reason
            values = {name: sample.value for name, sample in samples.items()}
            assert (values["first"], values["tenth"], values["last"]) == (0, 15.0, 297)
            assert (values["coil"], values["coils"], values["seen"], values["level"]) == (True, False, True, 777)
            assert values["several"] == 63 * 65536 + 66, "the most significant word is first"
            writes = {
                "coil": False,
                "coils": True,
                "single": 4711,
                "several": 123456789,
                "exchanged": 987654321,
                "text": "bath 1",
                "bit": True,
            }
            writes = {name: value for name, value in writes.items() if name in table}
            for name, value in writes.items():
                await driver.write(name, value)
            samples = await said(driver)
            assert {name: samples[name].value for name in writes} == writes
            with pytest.raises(DeviceError, match="beyond"):
                await driver.write("beyond", 1)
        finally:
            await driver.close()


async def said(driver: ModbusDriver) -> dict[str, Sample]:
    return {sample.point: sample for sample in await driver.read()}


async def test_a_plant_is_read_and_set_on_a_server_of_others() -> None:
    async with serving("marta") as address:
        where = {"host": address["host"], "port": address["port"]}
        driver = MartaDriver(MartaSection.model_validate({**where, "timeout": 3.0}))
        await driver.connect()
        try:
            values = {name: sample.value for name, sample in (await said(driver)).items()}
            assert (values["PT01_R452A"], values["TT06_CO2"], values["temperature_setpoint"]) == (25.0, 34.0, 51.0)
            assert (values["DP02_CO2_FS"], values["DP02_CO2_W"]) == (True, False)
            assert (values["set_flow_active"], values["set_start_chiller"]) == (True, False)
            await driver.write("set_temperature_setpoint", -12.5)
            await driver.write("set_start_chiller", True)
            values = {name: sample.value for name, sample in (await said(driver)).items()}
            assert values["set_temperature_setpoint"] == -12.5
            assert (values["set_flow_active"], values["set_start_chiller"]) == (True, True), "the other bits stay"
        finally:
            await driver.close()
