"""The simulated plant starts, cools, stops and alarms like one, and the real driver and behaviour follow it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

import pytest

from countingroom.core.errors import LinkError, NotFound
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Observation
from countingroom.devices.drivers.marta.behaviour import MartaBehaviour
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.driver import MartaDriver
from countingroom.simulators.marta import MartaSimulator
from countingroom.simulators.marta_plant import ALARM, OPERATING, READY, ROOM_C, Inputs, Plant, boiling_pressure


@pytest.mark.parametrize(("temperature", "bar"), [(-35.0, 12.0), (-20.0, 19.7), (0.0, 34.9), (20.0, 57.3)])
def test_co2_boils_where_the_tables_say(temperature: float, bar: float) -> None:
    assert boiling_pressure(temperature) == pytest.approx(bar, rel=0.02)


def test_a_plant_comes_to_its_setpoint_and_its_pressure_goes_with_it() -> None:
    plant = Plant()
    plant.set(Inputs(chiller=True))
    plant.step(60)
    assert plant.chiller_c < -30 and plant.status == READY
    plant.set(Inputs(chiller=True, co2=True, temperature_c=-25.0, speed_rpm=3000.0))
    plant.step(200)
    values = plant.values()
    assert plant.status == OPERATING
    assert values["ST04_CO2_calc"] == pytest.approx(-25.0, abs=0.5)
    assert values["PT04_CO2"] == pytest.approx(boiling_pressure(-25.0), rel=0.03)
    assert values["LP_speed"] == 3000.0 and values["FT01_CO2"] == pytest.approx(2.5, abs=0.1)
    assert values["SC01_CO2_calc"] > 1.0


def test_with_flow_control_the_pump_finds_the_speed_for_the_flow() -> None:
    plant = Plant()
    plant.set(Inputs(chiller=True, co2=True, flow_active=True, flow_g_per_s=4.0))
    plant.step(60)
    assert plant.flow_g_per_s == pytest.approx(4.0, abs=0.05)


def test_the_pump_does_not_run_without_the_chiller() -> None:
    plant = Plant()
    plant.set(Inputs(co2=True))
    plant.step(30)
    assert plant.speed_rpm == 0.0 and plant.liquid_c == pytest.approx(ROOM_C, abs=1.5)


def test_a_full_stop_holds_until_it_is_reset_and_its_reason_is_gone() -> None:
    plant = Plant()
    running = Inputs(chiller=True, co2=True)
    plant.set(running)
    plant.causes.add("EB_FS")
    plant.step(20)
    assert plant.status == ALARM and plant.speed_rpm == 0.0
    plant.set(running._replace(alarm_reset=True))
    plant.step(0.1)
    assert plant.status == ALARM
    plant.causes.clear()
    plant.set(Inputs())
    plant.step(0.1)
    assert plant.status == ALARM
    plant.set(Inputs(alarm_reset=True))
    assert plant.status == READY


class Operator:
    """The real driver and behaviour, used as the host uses them."""

    def __init__(self, section: MartaSection) -> None:
        self.driver = MartaDriver(section)
        self.behaviour = MartaBehaviour(section)

    async def readings(self) -> dict[str, Reading]:
        return {
            sample.point: Reading(value=sample.value, quality=sample.quality, device_ns=1, received_ns=1)
            for sample in await self.driver.read()
        }

    async def state(self) -> Observation:
        return self.behaviour.observe_device({}, await self.readings())

    async def do(self, command: str, **arguments: Scalar) -> None:
        for write in self.behaviour.writes(command, "", arguments, await self.readings()):
            await self.driver.write(write.point, write.value)


Pair = tuple[MartaSimulator, Operator]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    section = MartaSection(host="127.0.0.1", timeout=5.0)
    simulator = MartaSimulator(section.model_dump(mode="json"))
    address = await simulator.start()
    operator = Operator(section.model_copy(update=dict(address)))
    try:
        await operator.driver.connect()
        yield simulator, operator
    finally:
        await operator.driver.close()
        await simulator.stop()


async def test_a_shift_from_start_to_stop(pair: Pair) -> None:
    _, operator = pair
    states = [(await operator.state()).state]
    for command in ("start_chiller", "start_co2", "stop_co2", "stop_chiller"):
        await operator.do(command)
        states.append((await operator.state()).state)
    assert states == ["CONNECTED", "CHILLER_RUNNING", "CO2_RUNNING", "CHILLER_RUNNING", "CONNECTED"]


async def test_an_alarm_without_a_text_of_its_own_shows_and_clears_and_nothing_restarts(pair: Pair) -> None:
    simulator, operator = pair
    await operator.do("start_chiller")
    await operator.do("start_co2")
    await simulator.fault("trip", {"alarm": "CP_LP_FS"})
    readings = await operator.readings()
    assert (await operator.state()).state == "ALARM"
    assert readings["alarms"].value == "Full stop: compressor low pressure (CP_LP_FS)"
    await operator.do("clear_alarms")
    readings = await operator.readings()
    assert (await operator.state()) == Observation(state="CONNECTED")
    assert readings["alarms"].value == "" and readings["set_alarm_reset"].value is False
    assert simulator.plant.inputs[:4] == (False, False, False, False)


async def test_a_warning_is_told_and_stops_nothing(pair: Pair) -> None:
    simulator, operator = pair
    await operator.do("start_chiller")
    await simulator.fault("trip", {"alarm": "PT04_CO2_HP_W"})
    assert (await operator.state()).state == "CHILLER_RUNNING"
    assert "PT04_CO2_HP_W" in str((await operator.readings())["alarms"].value)
    with pytest.raises(NotFound):
        await simulator.fault("trip", {"alarm": "status"})


async def test_setpoints_are_read_back_by_the_plant_itself(pair: Pair) -> None:
    _, operator = pair
    await operator.do("set_temperature_setpoint", temperature=-15.5)
    await operator.do("set_speed_setpoint", speed=3500)
    await operator.do("set_flow_active", active=True)
    readings = await operator.readings()
    assert readings["temperature_setpoint"].value == -15.5
    assert readings["speed_setpoint"].value == 3500.0
    assert readings["set_flow_active"].value is True and readings["set_start_co2"].value is False


async def test_no_number_stays_none_while_the_plant_goes_on(pair: Pair) -> None:
    simulator, operator = pair
    await simulator.fault("nan", {"point": "TT05_CO2"})
    await operator.do("start_chiller")
    value = (await operator.readings())["TT05_CO2"].value
    assert isinstance(value, float) and math.isnan(value)


async def test_reading_and_writing_at_the_same_time_do_not_mix(pair: Pair) -> None:
    _, operator = pair

    async def write() -> None:
        for number in range(20):
            await operator.driver.write("set_speed_setpoint", 1000.0 + number)

    async def read() -> None:
        for _ in range(20):
            readings = await operator.readings()
            assert readings["status"].value == 1
            assert 1000.0 <= float(readings["set_speed_setpoint"].value or 0) <= 1500.0
            assert all(reading.quality is Quality.GOOD for reading in readings.values())

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        group.create_task(read())


async def test_a_plant_that_is_off_at_first_is_reached_when_it_appears(pair: Pair) -> None:
    simulator, operator = pair
    await operator.driver.close()
    await simulator.fault("drop", {})
    with pytest.raises(LinkError):
        await operator.driver.connect()
    await simulator.fault("restore", {})
    await operator.driver.connect()
    assert (await operator.state()).state == "CONNECTED"
