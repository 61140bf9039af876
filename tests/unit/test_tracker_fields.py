"""The points of the demo have the fields of the tracker DCS, by the names and types that its Telegraf wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from countingroom.app.tracker_fields import tracker_fields
from countingroom.devices.description import DevicesSection
from countingroom.experiment import load
from countingroom.history.stores.tracker_layout import TrackerField

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def fields() -> dict[str, TrackerField]:
    return tracker_fields(load(ROOT / "examples" / "demo" / "experiment.yaml").section(DevicesSection))


def test_a_channel_has_its_tags_and_all_fields_that_the_dashboards_draw(fields: dict[str, TrackerField]) -> None:
    series = "channels,id=1,module=middle,lv_board=1,lv_channel=1,hv_board=12,hv_channel=1"
    assert fields["caen.1.lv_vMon"] == TrackerField(key=series, name="lv_vMon")
    assert fields["caen.1.hv_status"] == TrackerField(key=series, name="hv_status", is_integer=True)
    assert fields["caen.3.lv_setV"].key == "channels,id=3,lv_board=1,lv_channel=3,hv_board=12,hv_channel=3"
    names = {field.name for name, field in fields.items() if name.startswith("caen.1.")}
    assert names >= {"lv_setV", "lv_vMon", "lv_iMon", "lv_temp", "hv_setV", "hv_vMon", "hv_iMon", "hv_rampUpSpeed"}
    assert sum(field.is_integer for name, field in fields.items() if name.startswith("caen.1.")) == 8


def test_chiller_plant_and_sensors_have_theirs(fields: dict[str, TrackerField]) -> None:
    chiller = "chiller,topic=julabo/status"
    assert fields["chiller.internal_temp"] == TrackerField(key=chiller, name="internal_temp")
    assert fields["chiller.status_code"].state == {0: "ERROR", 1: "ERROR", 2: "OFF", 3: "ON"}
    assert fields["co2.TT05_CO2"] == TrackerField(key="MARTA,topic=MARTA/status", name="TT05_CO2")
    assert fields["co2.set_start_co2"].is_integer
    humidity = fields["coldbox.ESP01.humidity"]
    assert humidity == TrackerField(key="sensors,sensor=ESP01,topic=ESP01/sensors/BME/humi", name="BMI_humi")
    assert not [name for name in fields if name.endswith(".pw") or "_FS" in name or name == "co2.alarms"]


def test_every_field_is_a_point_of_its_device(fields: dict[str, TrackerField]) -> None:
    from countingroom.cli.check_devices import build_devices
    from countingroom.experiment import load_with_problems

    hosted, _ = build_devices(load_with_problems(ROOT / "examples" / "demo" / "experiment.yaml"))
    points = {f"{name}.{point.name}" for name, device in hosted.items() for point in device.driver.points}
    assert set(fields) <= points
