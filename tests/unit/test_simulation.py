"""A simulated device differs from the real one in its address alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from countingroom.app.simulation import KIND_OF_DRIVER, Simulators, pointed_at
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError
from countingroom.devices.description import DevicesSection, sections
from countingroom.devices.section import DeviceSection
from countingroom.experiment import load
from countingroom.simulators.run import KINDS, faults

DEMO = Path(__file__).parents[2] / "examples" / "demo" / "experiment.yaml"


def test_every_driver_of_ours_has_a_simulator() -> None:
    assert set(KIND_OF_DRIVER) == {driver for driver, section in sections().items() if section.has_hardware}
    assert set(KIND_OF_DRIVER.values()) <= set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_simulator_can_lose_and_regain_its_link(kind: str) -> None:
    assert {"drop", "restore"} <= {fault.name for fault in faults(kind)}


def test_only_the_address_is_replaced() -> None:
    section = load(DEMO).section(DevicesSection)["co2"]
    simulated = pointed_at(section, {"host": "127.0.0.1", "port": 40123})
    assert simulated.model_dump() == {**section.model_dump(), "host": "127.0.0.1", "port": 40123}
    assert pointed_at(section, {}) == section


@pytest.mark.parametrize("address", [{"port": 70000}, {"port": "far away"}, {"planet": "Mars"}])
def test_an_address_that_a_driver_cannot_use_is_refused(address: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="cannot use"):
        pointed_at(load(DEMO).section(DevicesSection)["co2"], address)


async def test_a_driver_without_a_simulator_is_told() -> None:
    class Section(DeviceSection):
        driver: str = "telepathy"

    with pytest.raises(ConfigurationError):
        Simulators(MemoryBus(), SystemClock(), {"mind": Section()}, again={})
