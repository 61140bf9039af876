"""Simulated boards publish on the topics of the section, through a broker of their own, to the real driver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import NotFound
from countingroom.core.values import Quality
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.driver import MqttSensorsDriver
from countingroom.devices.port import Sample
from countingroom.simulators.air import Air
from countingroom.simulators.sensor_topics import outlets
from countingroom.simulators.sensors import SensorSimulator
from tests.patience import PATIENCE_S

SECTION = MqttSensorsSection.model_validate(
    {
        "driver": "mqtt",
        "sensors": {"ESP01": "cold box", "ESP02": "room"},
        "values": {
            "DS_temp": {"topic": "{sensor}/sensors/#/DS/temp", "unit": "degC"},
            "co2": {"topic": "{sensor}/sensors/+/SCD30", "field": "data.0.co2", "unit": "ppm"},
        },
    }
)


def test_without_a_section_two_boards_publish_eight_values_each() -> None:
    topics = [outlet.topic for outlet in outlets({})]
    assert len(set(topics)) == 16
    assert "ESP01/sensors/box/DS/temp" in topics and "ESP02/sensors/box/SCD30/humi" in topics


def test_a_field_is_where_the_section_says() -> None:
    made = outlets(SECTION.model_dump(mode="json"))
    co2 = next(outlet for outlet in made if outlet.value == "co2")
    assert (co2.topic, co2.quantity) == ("ESP01/sensors/box/SCD30", "co2")
    assert json.loads(co2.payload(612.0)) == {"data": [{"co2": 612.0}]}


@given(st.floats(0, 86400), st.sampled_from(["temp", "humi", "co2", "tvoc", "pressure", "other"]))
def test_air_is_never_absurd(seconds: float, quantity: str) -> None:
    value = Air("ESP01").measure(quantity, seconds)
    assert {"temp": (15, 27), "humi": (10, 80), "co2": (200, 1200)}.get(quantity, (0, 1100))[0] <= value <= 1200


class Ear:
    """The real driver, listening."""

    def __init__(self) -> None:
        self.said: dict[str, Sample] = {}
        self._news = asyncio.Event()

    def take(self, samples: Sequence[Sample]) -> None:
        self.said.update({sample.point: sample for sample in samples})
        self._news.set()

    async def until(self, *points: str, quality: Quality = Quality.GOOD) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while any(point not in self.said or self.said[point].quality is not quality for point in points):
                self._news.clear()
                await self._news.wait()


Pair = tuple[SensorSimulator, Ear, MqttSensorsSection]


@pytest.fixture
async def heard() -> AsyncIterator[Pair]:
    simulator = SensorSimulator({**SECTION.model_dump(mode="json"), "period_s": 0.05})
    section = SECTION.model_copy(update=dict(await simulator.start()))
    driver, ear = MqttSensorsDriver(section), Ear()
    driver.monitor(ear.take)
    try:
        await driver.connect()
        yield simulator, ear, section
    finally:
        await driver.close()
        await simulator.stop()


async def test_every_value_of_every_board_arrives(heard: Pair) -> None:
    _, ear, _ = heard
    await ear.until("ESP01.DS_temp", "ESP02.DS_temp", "ESP01.co2", "ESP02.co2")
    assert 15 < float(ear.said["ESP01.DS_temp"].value or 0) < 27


async def test_the_values_of_a_round_are_taken_together(heard: Pair) -> None:
    """Each turn of the device host in which values come is a message for all readers on the bus."""
    _, ear, section = heard
    turns: list[set[str]] = []

    def take(samples: Sequence[Sample]) -> None:
        if not turns or ended[-1]:
            turns.append(set())
            ended.append(False)
            asyncio.get_running_loop().call_soon(ended.__setitem__, len(ended) - 1, True)
        turns[-1].update(sample.point for sample in samples)

    ended: list[bool] = []
    driver = MqttSensorsDriver(section)
    driver.monitor(take)
    await driver.connect()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while {"ESP01.DS_temp", "ESP02.DS_temp", "ESP01.co2", "ESP02.co2"} not in turns:
                await ear.until("ESP01.DS_temp")
                ear.said.clear()
    finally:
        await driver.close()


async def test_a_board_that_publishes_nonsense_is_bad_and_the_other_is_not(heard: Pair) -> None:
    simulator, ear, _ = heard
    await simulator.fault("garbage", {"sensor": "ESP01"})
    await ear.until("ESP01.DS_temp", quality=Quality.BAD)
    ear.said.clear()
    await ear.until("ESP02.DS_temp")
    with pytest.raises(NotFound):
        await simulator.fault("silence", {"sensor": "ESP09"})


async def test_a_broker_that_goes_is_told_and_comes_back_at_its_address(heard: Pair) -> None:
    simulator, ear, section = heard
    await ear.until("ESP01.DS_temp")
    await simulator.fault("drop", {})
    await ear.until("ESP01.DS_temp", "ESP02.co2", quality=Quality.STALE)
    await simulator.fault("restore", {})
    driver = MqttSensorsDriver(section)
    driver.monitor(ear.take)
    await driver.connect()
    await ear.until("ESP01.DS_temp")
    await driver.close()


async def test_another_life_takes_up_the_same_address(heard: Pair) -> None:
    simulator, _, section = heard
    address = {"port": section.port, "password_file": section.password_file}
    await simulator.stop()
    other = SensorSimulator({**SECTION.model_dump(mode="json"), "again": address})
    again = await other.start()
    assert {key: again[key] for key in address} == address
    await other.stop()


SETPOINTS = {
    "driver": "mqtt",
    "sensors": {"PLUG1": "pump"},
    "values": {
        "power": {
            "topic": "{sensor}/state",
            "field": "power.state",
            "type": "int",
            "words": {"OFF": 0, "ON": 1},
            "set_topic": "{sensor}/set",
            "set_payload": '{"state": "{value}"}',
        },
        "target": {
            "topic": "{sensor}/target",
            "unit": "degC",
            "set_topic": "{sensor}/target/set",
            "write_low": 2,
            "write_high": 8,
            "readback": "flow",
        },
        "flow": {"topic": "{sensor}/flow", "field": "t"},
        "light": {"topic": "light", "type": "bool", "set_topic": "light/set"},
    },
}


async def test_a_simulated_board_takes_setpoints_and_tells_them_at_once() -> None:
    simulator = SensorSimulator({**SETPOINTS, "period_s": 0.05})
    section = MqttSensorsSection.model_validate({**SETPOINTS, **await simulator.start()})
    driver, ear = MqttSensorsDriver(section), Ear()
    driver.monitor(ear.take)
    try:
        await driver.connect()
        names = ("PLUG1.power", "PLUG1.target", "PLUG1.flow", "light")
        await ear.until(*names)
        assert [ear.said[name].value for name in names] == [0, 5.0, 5.0, False]
        await driver.write("PLUG1.power", 1)
        await driver.write("PLUG1.target", 3.25)
        await driver.write("light", True)
        async with asyncio.timeout(PATIENCE_S):
            while [ear.said[name].value for name in names] != [1, 3.25, 3.25, True]:
                ear.said.clear()
                await ear.until(*names)
    finally:
        await driver.close()
        await simulator.stop()


def test_a_payload_of_another_form_is_no_setpoint() -> None:
    (plug, *_) = outlets(SETPOINTS)
    assert plug.setpoint('{"state": "ON"}') == "ON"
    assert plug.setpoint("ON") is None
