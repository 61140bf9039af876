"""The simulated bath behaves like one, and the real driver sees its troubles as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.values import Quality
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.julabo.driver import JulaboDriver
from countingroom.devices.drivers.julabo.points import NOT_KNOWN
from countingroom.devices.port import Sample
from countingroom.devices.serial.line import SerialPorts
from countingroom.simulators.julabo import JulaboSimulator
from countingroom.simulators.julabo_bath import ROOM_C, Bath, Trouble
from countingroom.simulators.julabo_protocol import answer
from tests.patience import PATIENCE_S


def test_a_running_bath_comes_to_its_setpoint_and_holds_it() -> None:
    bath = Bath()
    bath.setpoints[0] = -20.0
    bath.set_running(True)
    bath.step(30)
    assert bath.power == -100.0 and -20 < bath.temperature < ROOM_C
    bath.step(600)
    assert bath.temperature == pytest.approx(-20.0, abs=0.05)
    assert -100 < bath.power < 0


def test_a_stopped_bath_drifts_to_the_room() -> None:
    bath = Bath()
    bath.temperature = -20.0
    bath.step(3600)
    assert bath.temperature == pytest.approx(ROOM_C, abs=0.1) and bath.power == 0.0


def test_on_external_control_the_loop_outside_comes_to_the_setpoint() -> None:
    bath = Bath()
    bath.setpoints[0], bath.external_control = 0.0, True
    bath.set_running(True)
    bath.step(900)
    assert bath.external == pytest.approx(0.0, abs=1.0) and bath.temperature < bath.external


def test_trouble_stops_it_and_stop_acknowledges() -> None:
    bath = Bath()
    bath.set_running(True)
    bath.trip(Trouble(-1, "LOW LEVEL ALARM"))
    assert answer(bath, b"STATUS") == b"-01 LOW LEVEL ALARM" and not bath.running
    answer(bath, b"OUT_MODE_05 1")
    assert not bath.running
    answer(bath, b"OUT_MODE_05 0")
    assert answer(bath, b"STATUS") == b"02 REMOTE STOP"


@given(st.binary(max_size=30))
def test_no_request_breaks_it(request: bytes) -> None:
    said = answer(Bath(), request)
    assert said is None or said


@pytest.fixture
def answer_s() -> float:
    """The time that an answer has: on a busy machine the simulator once answered after more than 0.3 s."""
    return 3.0


@pytest.fixture(params=["", "socket://"])
async def pair(request: pytest.FixtureRequest, answer_s: float) -> AsyncIterator[tuple[JulaboSimulator, JulaboDriver]]:
    simulator = JulaboSimulator({"port": request.param})
    address: Mapping[str, str] = await simulator.start()
    ports = SerialPorts()
    driver = JulaboDriver(JulaboSection(port=address["port"], timeout=answer_s, read_gap=0.0, write_gap=0.0), ports)
    try:
        await driver.connect()
        yield simulator, driver
    finally:
        await driver.close()
        await ports.close()
        await simulator.stop()


async def said(driver: JulaboDriver) -> dict[str, Sample]:
    return {sample.point: sample for sample in await driver.read()}


Pair = tuple[JulaboSimulator, JulaboDriver]


async def test_all_its_values_arrive(pair: Pair) -> None:
    values = {name: sample.value for name, sample in (await said(pair[1])).items()}
    assert values["status_code"] == 2 and values["status_text"] == "REMOTE STOP"
    assert [values[f"setpoint_{n}"] for n in (1, 2, 3)] == [20.0, 5.0, -20.0]
    assert values["used_setpoint"] == 1 and values["ext_is_used"] is False and values["running"] is False
    assert values["internal_temp"] == pytest.approx(ROOM_C, abs=0.2)
    assert "JULABO" in str(values["version"])
    assert values["pressure_stage"] == NOT_KNOWN


async def test_settings_are_taken_and_read_back(pair: Pair) -> None:
    simulator, driver = pair
    for point, value in {"setpoint_2": -31.25, "used_setpoint": 2, "ext_is_used": True, "running": True}.items():
        await driver.write(point, value)
        assert (await said(driver))[point].value == value
    await driver.write("pressure_stage", 3)
    stage = (await said(driver))["pressure_stage"]
    assert simulator.bath.stage == 3
    assert (stage.value, stage.quality) == (3, Quality.UNCERTAIN)


async def test_a_missing_external_sensor_is_no_value_rather_than_zero(pair: Pair) -> None:
    simulator, driver = pair
    await simulator.fault("unplug", {})
    external = (await said(driver))["external_temp"]
    assert external.value is None and external.quality is Quality.BAD


async def test_a_fault_and_manual_control_show_in_the_status(pair: Pair) -> None:
    simulator, driver = pair
    await simulator.fault("trip", {"code": 4, "text": "LOW TEMPERATURE ALARM"})
    assert (await said(driver))["status_code"].value == -4
    await simulator.fault("restore", {})
    await simulator.fault("manual", {})
    assert (await said(driver))["status_code"].value == 0


async def test_garbage_spoils_values_and_not_the_link(pair: Pair) -> None:
    simulator, driver = pair
    await simulator.fault("garbage", {})
    spoilt = await said(driver)
    assert spoilt["status_code"].quality is Quality.BAD
    await simulator.fault("restore", {})
    assert (await said(driver))["status_code"].value == 2


@pytest.mark.parametrize("answer_s", [0.3])
async def test_a_frozen_chiller_is_a_lost_link_and_comes_back_in_step(pair: Pair) -> None:
    simulator, driver = pair
    await simulator.fault("freeze", {})
    for _ in range(3):
        with pytest.raises(LinkError):
            await driver.read()
        await driver.close()
        with pytest.raises(LinkError):
            await driver.connect()
        await driver.close()
    await simulator.fault("restore", {})
    values: dict[str, object] = {}
    async with asyncio.timeout(PATIENCE_S):  # on a busy machine an answer may be late again
        while any(values.get(f"setpoint_{n}") is None for n in (1, 2, 3)):
            await driver.close()
            with suppress(LinkError):
                await driver.connect()
                values = {name: sample.value for name, sample in (await said(driver)).items()}
    assert [values[f"setpoint_{n}"] for n in (1, 2, 3)] == [20.0, 5.0, -20.0]


@pytest.mark.parametrize(("name", "arguments"), [("explode", {}), ("slow", {}), ("slow", {"seconds": "long"})])
async def test_a_fault_it_does_not_know_is_refused(name: str, arguments: dict[str, str]) -> None:
    simulator = JulaboSimulator({})
    await simulator.start()
    with pytest.raises(CountingRoomError):
        await simulator.fault(name, arguments)
    await simulator.stop()
