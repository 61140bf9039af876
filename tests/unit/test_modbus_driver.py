"""The generic driver sees a table as it is, and says whose fault it is when it does not."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest
from pydantic import ValidationError

from countingroom.core.errors import DeviceError, LinkError, NotFound
from countingroom.core.points import Type
from countingroom.core.values import Quality
from countingroom.devices.drivers.modbus.build import build
from countingroom.devices.drivers.modbus.description import ModbusSection
from countingroom.devices.drivers.modbus.driver import ModbusDriver
from countingroom.devices.port import Sample
from countingroom.devices.resources import SharedResources
from countingroom.simulators.modbus import ModbusSimulator
from tests.contract.drivers.modbus import TABLE

Pair = tuple[ModbusSimulator, ModbusDriver]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    simulator = ModbusSimulator({"registers": TABLE})
    address = await simulator.start()
    driver = ModbusDriver(ModbusSection.model_validate({**address, "registers": TABLE, "timeout": 0.3}))
    try:
        await driver.connect()
        yield simulator, driver
    finally:
        await driver.close()
        await simulator.stop()


async def said(driver: ModbusDriver) -> dict[str, Sample]:
    return {sample.point: sample for sample in await driver.read()}


async def test_its_values_arrive_in_their_types(pair: Pair) -> None:
    values = {name: sample.value for name, sample in (await said(pair[1])).items()}
    assert values == {"pressure": pytest.approx(2.0, abs=0.1), "valve_open": False, "mode": 0, "speed": 0.0}


async def test_writing_a_bit_leaves_its_neighbours_alone(pair: Pair) -> None:
    simulator, driver = pair
    simulator.image.words[1, "holding", 20] = 0b1000_0000_0000_0001
    await driver.write("valve_open", True)
    assert simulator.image.words[1, "holding", 20] == 0b1000_0000_0000_1001
    await driver.write("valve_open", False)
    assert simulator.image.words[1, "holding", 20] == 0b1000_0000_0000_0001


async def test_negative_integers_survive(pair: Pair) -> None:
    await pair[1].write("mode", -7)
    assert (await said(pair[1]))["mode"].value == -7


async def test_no_number_comes_as_no_number(pair: Pair) -> None:
    simulator, driver = pair
    await simulator.fault("nan", {"point": "pressure"})
    value = (await said(driver))["pressure"].value
    assert isinstance(value, float) and math.isnan(value)
    with pytest.raises(NotFound):
        await simulator.fault("nan", {"point": "nothing"})


async def test_a_frozen_device_is_a_lost_link_and_can_be_reached_again(pair: Pair) -> None:
    simulator, driver = pair
    await simulator.fault("freeze", {})
    with pytest.raises(LinkError):
        await driver.read()
    await driver.close()
    await simulator.fault("restore", {})
    await driver.connect()
    assert (await said(driver))["mode"].value == 0


async def test_a_register_the_device_refuses_spoils_its_own_points_only(pair: Pair) -> None:
    simulator, _ = pair
    table = {**TABLE, "missing": {"address": 900, "type": "float32", "input": True}}
    section = ModbusSection.model_validate(
        {"host": "127.0.0.1", "port": await simulator.server.open(), "registers": table}
    )
    driver = ModbusDriver(section)
    await driver.connect()
    samples = await said(driver)
    assert samples["missing"].quality is Quality.BAD and samples["mode"].quality is Quality.GOOD
    with pytest.raises(DeviceError, match="illegal address"):
        await driver.write("missing", 1.0)
    await driver.close()


def test_the_device_of_a_section_has_its_points_and_channels() -> None:
    table = {"a.v": {"address": 1, "type": "float32"}, "b.v": {"address": 3, "input": True}, "all": {"address": 4}}
    hosted = build(
        "adc",
        ModbusSection.model_validate({"host": "h", "registers": table, "settings": {"b.v": 3}}),
        SharedResources(),
    )
    assert hosted.behaviour.channels == ("a", "b")
    assert [(point.channel, point.column, point.type) for point in hosted.driver.points] == [
        ("a", "v", Type.FLOAT),
        ("b", "v", Type.INT),
        ("", "all", Type.INT),
    ]
    assert [write.point for write in hosted.behaviour.settings()] == ["b.v"]


@pytest.mark.parametrize("register", [{"address": 70000}, {"address": 1, "typ": "int"}, {"address": 1, "bit": 16}])
def test_a_register_that_cannot_be_is_refused(register: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ModbusSection.model_validate({"host": "h", "registers": {"x": register}})


def test_everything_a_table_cannot_mean_is_told_with_its_place() -> None:
    section = ModbusSection.model_validate(
        {
            "host": "h",
            "registers": {
                "a": {"address": 1, "bit": 3},
                "b": {"address": 2, "write_low": 3},
                "c": {"address": 3, "input": True, "write_low": 0, "write_high": 9, "readback": "elsewhere"},
                "d": {"address": 4, "input": True, "write_low": 0},
            },
            "settings": {"a": 1, "c": 2},
        }
    )
    assert [path for path, _ in section.problems()] == [
        ("registers", "c", "readback"),
        ("settings", "a"),
        ("registers", "d"),
    ]
    assert [path for name in "abc" for path, _ in section.registers[name].problems()] == [("bit",), ("write_low",)]
