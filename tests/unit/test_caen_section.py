"""A channel file of a test stand loads unchanged, and what cannot be is refused with its place."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from countingroom.devices.drivers.caen.build import build, variables
from countingroom.devices.drivers.caen.description import CaenSection
from countingroom.devices.resources import SharedResources
from tests.input_files import Channels

ONE: dict[str, Any] = {"lv": {"board": 0, "chan": 0}, "hv": {"board": 12, "chan": 0}, "module": "m"}


def section(channels: dict[Any, Any], **more: Any) -> CaenSection:
    return CaenSection.model_validate({"driver": "caen", "channels": channels, **more})


def test_a_channel_file_in_use_loads_unchanged(channels: Channels) -> None:
    written = yaml.safe_load(channels.file.read_text())
    made = CaenSection.model_validate({"driver": "caen", **written})
    assert list(made.channels) == list(written["channels"])
    assert made.everywhere.lv.tripExt == channels.trip_mask
    assert made.channels[channels.changed].lv.setV == channels.changed_v
    hosted = build("caen", made, SharedResources())
    assert len(hosted.driver.points) == 27 * len(made.channels) + 1
    assert hosted.channel_labels[channels.changed] == channels.changed_label


def test_the_settings_of_a_channel_replace_those_of_all(channels: Channels) -> None:
    written = yaml.safe_load(channels.file.read_text())
    hosted = build("caen", CaenSection.model_validate({"driver": "caen", **written}), SharedResources())
    wanted = {write.point: write.value for write in hosted.behaviour.settings()}
    assert wanted[f"{channels.changed}.lv_setV"] == channels.changed_v
    assert wanted[f"{channels.plain}.lv_setV"] == written["global"]["lv"]["setV"] != channels.changed_v
    assert wanted[f"{channels.plain}.hv_rampUpSpeed"] == written["global"]["hv"]["rampUpSpeed"]


def test_variables_are_named_as_the_mainframe_names_them() -> None:
    made = section({"7": {**ONE, "lv": {"board": 3, "chan": 5}, "hv": {"board": 15, "chan": 11}}})
    names = {variable.point.name: variable.pv for variable in variables(made)}
    assert names["7.lv_vMon"] == "cleanroom:03:005:VMon"
    assert names["7.hv_rampDwnSpeed"] == "cleanroom:15:011:RDWn"
    assert names["7.lv_rampDwnTime"] == "cleanroom:03:005:RDwTime"


def test_48_channels_of_two_mainframes_are_1296_variables() -> None:
    for prefix in ("left", "right"):
        channels = {
            str(n): {"lv": {"board": n // 8, "chan": n % 8}, "hv": {"board": 12 + n // 12, "chan": n % 12}}
            for n in range(24)
        }
        assert len(variables(section(channels, prefix=prefix))) - 1 == 1296 // 2


@pytest.mark.parametrize(("written", "deadband"), [("Low", 0.001), ("High", 0.01)])
def test_the_deadband_of_hv_currents_follows_the_range_of_the_meter(written: str, deadband: float) -> None:
    made = section({"0": ONE}, **{"global": {"hv": {"imRange": written}}})
    points = {variable.point.name: variable.point for variable in variables(made)}
    assert points["0.hv_iMon"].deadband == deadband
    assert points["0.hv_maxI"].deadband == deadband
    assert points["0.hv_vMon"].deadband == 0.01
    assert points["0.lv_iMon"].deadband == 0.01
    assert points["0.lv_temp"].deadband == 2.0


def test_masks_may_be_quoted() -> None:
    made = section({"0": ONE}, **{"global": {"lv": {"tripExt": "0b10001", "tripInt": "0x11"}}})
    assert (made.everywhere.lv.tripExt, made.everywhere.lv.tripInt) == (17, 17)


def test_a_channel_number_need_not_be_quoted() -> None:
    assert list(section({3: ONE}).channels) == ["3"]


def changed(path: str, value: Any) -> dict[str, Any]:
    channel = deepcopy(ONE)
    side, _, key = path.partition(".")
    channel[side][key] = value
    return channel


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("lv.board", 5),
        ("lv.board", -1),
        ("lv.chan", 8),
        ("hv.board", 11),
        ("hv.board", 16),
        ("hv.chan", 12),
        ("lv.setV", 15.5),
        ("hv.setV", 801),
        ("hv.setV", -1),
        ("hv.maxI", 3501),
        ("hv.tripMode", "Later"),
        ("hv.imRange", "Middle"),
        ("lv.tripInt", "seventeen"),
        ("lv.colour", "red"),
    ],
)
def test_what_the_hardware_has_not_is_refused_at_its_place(path: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        section({"4": changed(path, value)})
    (error,) = refused.value.errors()
    assert error["loc"][:4] == ("channels", "4", *path.split("."))


def test_an_output_is_used_by_one_channel_only() -> None:
    other = {"lv": {"board": 0, "chan": 1}, "hv": {"board": 12, "chan": 0}}
    assert list(section({"0": ONE, "1": other}).problems()) == [
        (("channels", "1", "hv"), "board 12 chan 0 is the hv output of channel 0 already")
    ]


def test_writes_are_limited_to_what_outputs_can_do() -> None:
    points = {variable.point.name: variable.point for variable in variables(section({"0": ONE}))}
    assert (points["0.lv_setV"].write_low, points["0.lv_setV"].write_high) == (0.0, 15.0)
    assert (points["0.hv_setV"].write_low, points["0.hv_setV"].write_high) == (0.0, 800.0)
    assert not points["0.hv_vMon"].writable
    assert points["0.hv_setV"].rate == "0.hv_rampUpSpeed"
