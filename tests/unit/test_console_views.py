"""Values are written the way their instrument means them, and a page's counts add up."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.console.present import device_views
from countingroom.console.present import format as write
from countingroom.console.present.device_rows import DeviceRows
from countingroom.core.alarms.states import AlarmState, BaseState, Shelf
from countingroom.core.messages import DeviceState, Link
from countingroom.core.points import Limits, Point, Type
from countingroom.core.values import Quality, Reading
from tests.console.stage import CHILLER, caen


@pytest.mark.parametrize(
    ("point", "given_", "told"),
    [
        (Point(name="v", precision=1), 1450.24, "1450.2"),
        (Point(name="v", precision=2), -0.0004, "-4.00e-4"),
        (Point(name="v"), None, "–"),
        (Point(name="v", type=Type.BOOL), True, "on"),
        (Point(name="v", type=Type.INT, codes={"3": "ramping up"}), 3, "ramping up"),
        (Point(name="v", type=Type.INT), 1500, "1500"),
        (Point(name="v"), 1.5e9, "1.500e+9"),
        (Point(name="v", type=Type.STRING), "<b>", "<b>"),
    ],
)
def test_a_value_is_written_as_its_instrument_means_it(point: Point, given_: float | str | None, told: str) -> None:
    assert write.value(point, given_) == told


@given(st.floats(-1e300, 1e300), st.integers(0, 6))
def test_no_number_is_written_as_nan_or_minus_nothing(number: float, precision: int) -> None:
    text = write.value(Point(name="v", precision=precision), number)
    assert "nan" not in text.lower()
    assert not (text.startswith("-") and float(text) == 0)
    assert math.isfinite(float(text))


def test_limits_and_what_is_allowed_are_told_as_ranges() -> None:
    point = Point(name="v", precision=0, limits=Limits(warning_low=10, warning_high=40, alarm_high=45), write_high=800)
    assert write.limits(point) == "warning outside 10 to 40 · alarm above 45"
    assert write.allowed(point) == "≤ 800"
    assert write.allowed(Point(name="v")) == ""


def test_main_columns_come_first_and_settings_know_their_readback() -> None:
    assert [column.name for column in device_views.columns(caen())] == [
        "hv_setV",
        "hv_vMon",
        "hv_iMon",
        "hv_rampUpSpeed",
    ]
    assert device_views.partner(caen())["0.hv_vMon"].name == "0.hv_setV"
    assert [point.name for point in device_views.key_points(caen())] == ["0.hv_iMon", "0.hv_vMon"]


def test_the_card_of_a_device_with_channels_shows_the_voltage_of_each() -> None:
    rows = device_views.card_rows(caen())
    assert [(row.channel, row.point.name) for row in rows[:2]] == [("0", "0.hv_vMon"), ("1", "1.hv_vMon")]
    assert [row.channel for row in device_views.card_rows(CHILLER)] == [""] * len(device_views.card_rows(CHILLER))


def test_a_compact_catalogue_says_only_what_is_unusual() -> None:
    told = device_views.compact(CHILLER)
    status = next(point for point in told["points"] if point["name"] == "status")
    assert status == {"name": "status", "label": "Status", "type": "string"}


@given(
    st.lists(
        st.tuples(st.sampled_from(Quality), st.floats(-20, 20)),
        min_size=len(caen().points),
        max_size=len(caen().points),
    ),
    st.lists(st.tuples(st.integers(0, len(caen().points) - 1), st.integers(1, 4), st.sampled_from(BaseState))),
    st.sampled_from(["on", "off", "error"]),
    st.booleans(),
)
def test_every_point_is_counted_once(
    told: list[tuple[Quality, float]], alarmed: list[tuple[int, int, BaseState]], common: str, alive: bool
) -> None:
    board = DeviceRows()
    board.learn(caen())
    for channel in ("", "0", "1", "2"):
        board.state(
            DeviceState(device="caen", channel=channel, state="X", common=common, link=Link.CONNECTED, since_ns=1)
        )
    board.alive("caen", alive, now_ns=5)
    for number, priority, base in alarmed:
        board.alarm(f"a{number}", alarm(caen().points[number].name, priority=priority, base=base))
    readings = [
        (point.name, Reading(value=None if q is Quality.BAD else v, quality=q, device_ns=1, received_ns=1))
        for point, (q, v) in zip(caen().points, told, strict=True)
    ]
    shown = board.show("caen", readings)
    summary = board.summary("caen")
    assert summary.normal + summary.alarm + summary.off + summary.no_link == len(caen().points)
    last = {number: (priority, base) for number, priority, base in alarmed}
    opened = [priority for priority, base in last.values() if base is not BaseState.NORMAL and priority < 4]
    assert sum(summary.priorities) == len(opened)
    assert summary.worst == min(opened, default=4 if summary.no_link else 0)
    for number, (priority, base) in last.items():
        level = shown[caen().points[number].name][3]
        assert level in (4, priority if base.is_active and priority < 4 else 0)
    if not alive:
        assert {row[3] for row in shown.values()} == {4}


def alarm(point: str, **more: Any) -> AlarmState:
    told: dict[str, Any] = {"title": point, "base": BaseState.UNACKNOWLEDGED, "priority": 2, "text": "x"}
    times = {"occurrence": 1, "since_ns": 1, "changed_ns": 1}
    return AlarmState(id=point, device="caen", point=point, **(told | times | more))


def test_the_level_of_a_point_is_the_priority_of_its_open_alarm_and_of_nothing_else() -> None:
    board = DeviceRows()
    board.learn(caen())
    hot = Reading(value=99.0, quality=Quality.GOOD, device_ns=100, received_ns=100)

    def level() -> int:
        return board.show("caen", [("0.hv_iMon", hot)])["0.hv_iMon"][3]

    assert level() == 0  # beyond its limits: the console does not judge that
    assert board.alarm("a", alarm("0.hv_iMon")) == {("caen", "0.hv_iMon")}
    assert board.alarm("b", alarm("0.hv_iMon", priority=1)) == {("caen", "0.hv_iMon")}
    assert level() == 1
    assert board.alarm("b", None) == {("caen", "0.hv_iMon")}
    assert level() == 2
    shelf = Shelf(by="ben", reason="r", since_ns=1, until_ns=2)
    board.alarm("a", alarm("0.hv_iMon", shelf=shelf))
    assert (level(), board.summary("caen").priorities) == (0, (0, 0, 0))
    board.alarm("a", alarm("0.hv_iMon", base=BaseState.RETURNED))
    assert (level(), board.summary("caen").priorities) == (0, (0, 1, 0))
    assert board.alarm("c", None) == set()
