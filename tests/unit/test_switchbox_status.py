"""What a switchbox says is read strictly, and what is said to it has only the forms that it knows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from countingroom.core.errors import OutOfRange
from countingroom.core.values import Quality
from countingroom.devices.description import DevicesSection
from countingroom.devices.drivers.switchbox import codec
from countingroom.devices.drivers.switchbox.points import points
from countingroom.devices.port import Sample


def said(text: str) -> dict[str, Sample]:
    return {one.point: one for one in codec.samples(text)}


@given(st.booleans(), st.booleans(), st.integers(0, (1 << 48) - 1))
def test_a_status_is_every_switch_and_the_number_of_channels(lv: bool, hv: bool, mask: int) -> None:
    found = said(json.dumps({"lv": int(lv), "hv": int(hv), "channels": mask}))
    assert set(found) == {point.name for point in points(stale_after_s=5.0, confirm_s=5.0)}
    assert (found["lv"].value, found["hv"].value) == (lv, hv)
    on = {number for number in range(1, 49) if found[f"{number}.enabled"].value}
    assert sum(1 << (number - 1) for number in on) == mask and found["channels_on"].value == len(on)
    assert codec.is_readable(list(found.values()))


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        ("-1", "is -1"),
        (str(1 << 48), "mask of 48 bits"),
        ("1" * 4000, "bits"),
        ('"5"', "'5'"),
        ("5.0", "5.0"),
        ("1e3", "1000.0"),
        ("true", "True"),
        ("null", "None"),
        ("[1]", r"\[1\]"),
    ],
)
def test_a_mask_that_is_none_is_bad_and_hides_no_high_voltage(mask: str, why: str) -> None:
    text = f'{{"lv": 1, "hv": 1, "channels": {mask}}}'
    if len(text) > codec.MOST_LETTERS:
        assert all("letters" in one.reason for one in codec.samples(text))
        return
    found = said(text)
    assert found["lv"].value is True and found["hv"].value is True
    for name in ("channels_on", "1.enabled", "48.enabled"):
        assert found[name].quality is Quality.BAD and found[name].value is None
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(found["channels_on"].reason)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON"),
        ('{"lv": 1, "hv"', "no JSON"),
        ("[]", "no lv, hv and channels"),
        ("7", "no lv, hv and channels"),
        ('{"lv": 1, "lv": 0, "hv": 0, "channels": 0}', "twice"),
        ('{"lv": NaN, "hv": 0, "channels": 0}', "NaN"),
        ("[" * 900, "status"),
        ("x" * 2000, "2000 letters"),
    ],
)
def test_what_is_no_status_makes_every_point_bad(text: str, why: str) -> None:
    found = codec.samples(text)
    assert len(found) == 51 and all(one.quality is Quality.BAD and why in one.reason for one in found)


@pytest.mark.parametrize("lv", ["2", "-1", '"1"', "1.0", "true", "null"])
def test_a_switch_is_0_or_1(lv: str) -> None:
    found = said(f'{{"lv": {lv}, "hv": 0, "channels": 0}}')
    assert found["lv"].quality is Quality.BAD and "0 or 1" in found["lv"].reason and found["hv"].value is False
    missing = said('{"hv": 0, "channels": 0}')["lv"]
    assert missing.quality is Quality.BAD and "no lv" in missing.reason


@settings(max_examples=30)
@given(st.text('{}[]":,0123456789-.eEtruefalsnNvhcl ', max_size=40))
def test_any_text_is_judged_and_never_an_error(text: str) -> None:
    assert len(codec.samples(text)) == 51


@pytest.mark.parametrize(
    ("point", "value", "text"),
    [
        ("lv", True, "LV|ON"),
        ("hv", False, "HV|OFF"),
        ("7.enabled", True, "CH7|ON"),
        ("48.enabled", False, "CH48|OFF"),
        ("channels_on", 0, "CH*|OFF"),
    ],
)
def test_a_command_has_its_text(point: str, value: object, text: str) -> None:
    assert codec.request(point, value) == text


@pytest.mark.parametrize(
    ("point", "value"),
    [(".enabled", True), ("0.enabled", True), ("49.enabled", True), ("*.enabled", True), ("channels_on", 4), ("lv", 1)],
)
def test_what_the_box_does_not_take_is_not_said(point: str, value: object) -> None:
    with pytest.raises(OutOfRange, match="cannot set"):
        codec.request(point, value)


@pytest.mark.parametrize("keys", [{}, {"port": "/dev/ttyUSB0", "mqtt": {}}, {"mqtt": {"status_topic": "SB/#"}}])
def test_a_section_names_one_way_to_the_box(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"port .* or mqtt|subscriptions only"):
        DevicesSection.model_validate({"box": {"driver": "switchbox", **keys}})


def test_a_section_that_cannot_work_is_told() -> None:
    keys = {"mqtt": {"status_topic": "SB/cmd", "client_id": "sb"}, "labels": {"49": "x", "7": "sensor"}}
    section = DevicesSection.model_validate({"box": {"driver": "switchbox", **keys}})["box"]
    assert [path for path, _ in section.problems()] == [("mqtt", "status_topic"), ("labels", "49")]  # type: ignore[attr-defined]
    assert [one.value for one in section.unshared()] == ["sb"]
    serial = DevicesSection.model_validate({"box": {"driver": "switchbox", "port": "socket://x"}})["box"]
    assert [path for path, _ in serial.problems()] == [("port",)]  # type: ignore[attr-defined]
