"""What the pages on EPICS devices show is a description that holds, and says what it is said to say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from countingroom.core.points import Type
from countingroom.devices.drivers.caen.build import build as build_caen
from countingroom.devices.drivers.caen.charts import CHANNEL
from countingroom.devices.drivers.caen.description import CaenSection
from countingroom.devices.drivers.epics.build import build as build_epics
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.resources import SharedResources
from countingroom.experiment import Experiment, load

HOWTO = Path(__file__).parents[2] / "docs" / "howto"


def shown(page: str) -> str:
    found = re.search(r"^```yaml\n(experiment:.*?)^```", (HOWTO / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def described(tmp_path: Path, request: pytest.FixtureRequest) -> Experiment:
    file = tmp_path / "experiment.yaml"
    file.write_text(shown(request.param))
    return load(file)


@pytest.mark.parametrize("described", ["caen.md"], indirect=True)
def test_the_mainframe_of_the_page(described: Experiment) -> None:
    section = described.devices["caen"]
    assert isinstance(section, CaenSection)
    made = build_caen("caen", section, SharedResources())
    assert made.behaviour.channels == ("0", "1")
    assert made.behaviour.inactive == {"1"}
    assert made.location == "ca://caen.example"


def test_the_table_of_states_on_the_page_is_the_chart() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|.*\| (.*)\|$", (HOWTO / "caen.md").read_text(), re.MULTILINE)
    commands = {"lv_on", "lv_off", "hv_on", "hv_off"}
    assert {state for state, _ in rows} == set(CHANNEL.states)
    for state, listed in rows:
        assert set(re.findall(r"`(\w+)`", listed)) == commands & set(CHANNEL.allowed(state)), state


@pytest.mark.parametrize("described", ["epics-device.md"], indirect=True)
def test_the_device_of_the_page(described: Experiment) -> None:
    section = described.devices["vacuum"]
    assert isinstance(section, EpicsSection)
    points = {point.name: point for point in build_epics("vacuum", section, SharedResources()).driver.points}
    assert points["pressure"].limits.alarm_high == 1e-2
    assert points["pump"].choices == (0, 1)
    assert points["speed_set"].readback == "speed"
    assert points["interlock"].type is Type.BOOL
