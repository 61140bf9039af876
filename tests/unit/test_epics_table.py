"""An EPICS device is its table; a table that cannot work is refused before anything is reached."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from countingroom.core.points import Type
from countingroom.devices.drivers.epics.build import build
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.registry import build as build_any
from countingroom.devices.resources import SharedResources


def section(values: dict[str, Any], **more: Any) -> EpicsSection:
    return EpicsSection.model_validate({"driver": "epics", "values": values, **more})


def test_a_row_of_the_table_is_a_point() -> None:
    made = build(
        "lab", section({"pressure": {"pv": "p1", "unit": "mbar", "deadband": 0.5}}, prefix="lab:"), SharedResources()
    )
    (point,) = made.driver.points
    assert (point.name, point.unit, point.deadband, point.type) == ("pressure", "mbar", 0.5, Type.FLOAT)
    assert not point.writable
    assert point.stale_after_s == 10


def test_a_name_with_a_dot_is_a_column_of_a_channel() -> None:
    made = build("rack", section({"a.v": {"pv": "a:v"}, "a.i": {"pv": "a:i"}, "b.v": {"pv": "b:v"}}), SharedResources())
    assert made.behaviour.channels == ("a", "b")
    assert [(p.channel, p.column) for p in made.driver.points] == [("a", "v"), ("a", "i"), ("b", "v")]


def test_words_are_the_choices_and_their_meaning() -> None:
    made = build(
        "lab", section({"pump": {"pv": "pump", "type": "int", "words": {"Off": 0, "On": 1}}}), SharedResources()
    )
    (point,) = made.driver.points
    assert point.choices == (0, 1)
    assert point.codes == {"0": "Off", "1": "On"}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "at least 1"),
        ({"a": {"pv": ""}}, "at least 1 character"),
        ({"a": {"pv": "two words"}}, "pattern"),
        ({"a b": {"pv": "x"}}, "letters, digits"),
        ({"a.b.c": {"pv": "x"}}, "letters, digits"),
        ({"a": {"pv": "x", "deadband": -1}}, "greater than or equal to 0"),
        ({"a": {"pv": "x", "colour": "red"}}, "Extra inputs"),
    ],
)
def test_a_table_that_cannot_work_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        section(values)


@pytest.mark.parametrize(
    ("value", "complaints"),
    [
        ({"writable": True}, []),
        ({"writable": True, "write_low": 3, "write_high": 2}, ["write_high 2 is below write_low 3"]),
        ({"write_high": 3}, ["write_high is for values with `writable: true`"]),
        ({"writable": True, "choices": [1, 2]}, []),
        ({"type": "string", "writable": True}, []),
    ],
)
def test_a_value_that_contradicts_itself_is_told(value: dict[str, Any], complaints: list[str]) -> None:
    found = [message for _, message in section({"a": {"pv": "x", **value}}).values["a"].problems()]
    assert len(found) == len(complaints)
    for message, complaint in zip(found, complaints, strict=True):
        assert message.endswith(complaint)


def test_a_name_that_is_not_in_the_table_is_told_at_its_place() -> None:
    writable = {"pv": "x", "writable": True, "write_low": 0, "write_high": 1, "readback": "b"}
    assert list(section({"a": writable}).problems()) == [
        (("values", "a", "readback"), "there is no value b in this table")
    ]


def test_the_registry_finds_the_builder() -> None:
    made = build_any(
        "lab", section({"a": {"pv": "x"}}, title="Laboratory", address_list=["ioc1:5064"]), resources=SharedResources()
    )
    assert (made.title, made.location) == ("Laboratory", "ca://ioc1:5064")
