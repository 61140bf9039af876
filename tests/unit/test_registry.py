"""A section finds its driver, and what cannot work is said before anything is connected."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import ValidationError

from countingroom.core.errors import ConfigurationError
from countingroom.devices import registry
from countingroom.devices.description import DevicesSection, kind_of
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.resources import SharedResources
from countingroom.devices.section import DeviceSection
from countingroom.devices.serial.line import SerialPorts


def sensors(**more: Any) -> MqttSensorsSection:
    return MqttSensorsSection.model_validate({"driver": "mqtt", "values": {"t": {"topic": "hall/t"}}, **more})


def test_the_word_after_driver_chooses_the_section() -> None:
    devices = DevicesSection.model_validate({"hall": {"driver": "mqtt", "values": {}}})
    assert isinstance(devices["hall"], MqttSensorsSection)
    assert len(devices) == 1


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ({"driver": "mqqt"}, "mqqt"),
        ({}, "discriminator"),
        ({"driver": "mqtt", "values": {}, "potr": 1}, "potr"),
        ({"driver": "mqtt", "values": {}, "poll": "0 s"}, "greater than 0"),
    ],
)
def test_a_section_that_cannot_be_is_refused(section: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        DevicesSection.model_validate({"hall": section})


def test_what_the_section_says_for_people_wins_over_the_driver() -> None:
    plain, named = (
        registry.build("hall", sensors()),
        registry.build("hall", sensors(title="Hall", group="Air"), simulated=True),
    )
    assert (plain.title, plain.group, plain.simulated) == ("hall", "Environment", False)
    assert (named.title, named.group, named.simulated) == ("Hall", "Air", True)


def test_an_override_of_no_point_is_told_with_its_place() -> None:
    with pytest.raises(ConfigurationError) as caught:
        registry.build("hall", sensors(points={"temp*": {"deadband": 1}}))
    assert caught.value.cause.source == "devices.hall.points"
    assert "temp*" in caught.value.cause.message


def test_a_driver_whose_code_is_not_there_is_a_configuration_error() -> None:
    class Gone(DeviceSection):
        driver: Literal["gone"] = "gone"
        builder = "countingroom_no_such_package:build"

    with pytest.raises(ConfigurationError, match="countingroom_no_such_package"):
        registry.build("x", Gone())


def chiller(resources: SharedResources | None) -> registry.Hosted:
    return registry.build("chiller", JulaboSection(port="/dev/no-such-port"), resources=resources)


def test_devices_of_one_host_share_its_resources() -> None:
    resources = SharedResources()
    assert resources.get(SerialPorts) is resources.get(SerialPorts)
    assert resources.get(SerialPorts) is not SharedResources().get(SerialPorts)
    chiller(resources)
    with pytest.raises(ConfigurationError, match="other settings"):
        registry.build("x", JulaboSection(port="/dev/no-such-port", baudrate=9600), resources=resources)
    chiller(SharedResources())


def test_a_driver_that_shares_something_is_not_built_without_the_resources_of_a_host() -> None:
    with pytest.raises(TypeError, match="resources of its host"):
        chiller(None)


async def test_resources_are_closed_once() -> None:
    closed: list[str] = []

    class First:
        async def close(self) -> None:
            closed.append("first")

    class Second:
        async def close(self) -> None:
            closed.append("second")

    resources = SharedResources()
    resources.get(First)
    resources.get(Second)
    await resources.close()
    await resources.close()
    assert closed == ["second", "first"]


def test_a_section_must_say_of_which_driver_it_is() -> None:
    with pytest.raises(ConfigurationError):
        kind_of(DeviceSection)
