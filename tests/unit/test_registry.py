"""Law: a section finds its driver, and what cannot work is said before anything is connected."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import ValidationError

from countingroom.core.errors import ConfigurationError
from countingroom.devices import registry
from countingroom.devices.description import DevicesSection, kind_of
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.section import DeviceSection


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


def test_a_section_must_say_of_which_driver_it_is() -> None:
    with pytest.raises(ConfigurationError):
        kind_of(DeviceSection)
