"""Devices and the values of their points on the public site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from countingroom.mirror.store.values import RecordRow
from countingroom.site.devices_view import TREND_S, devices, trend, values
from tests.unit.test_public_site import stand

NOW_S = 1_796_000_000.0


def row(kind: str, key: str, at_s: float = NOW_S, **body: Any) -> RecordRow:
    return RecordRow(kind=kind, key=key, sequence=1, at=round(at_s * 1e6), body=body)


@pytest.mark.parametrize(
    ("body", "mark", "level"),
    [
        ({"common": "on"}, "full", ""),
        ({"common": "off", "link": "connected"}, "empty", ""),
        ({"common": "moving"}, "half", ""),
        ({"common": "error"}, "g1", "g1"),
        ({"common": "no_link"}, "stale", "stale"),
        ({"common": "on", "link": "disconnected"}, "stale", "stale"),
        ({}, "", ""),
    ],
)
def test_the_mark_of_a_device_tells_its_state(body: dict[str, Any], mark: str, level: str) -> None:
    (found,) = devices([row("device", "gas", device="gas", state="X_Y", **body)])
    assert (found.mark, found.level, found.state) == (mark, level, "X Y")


def test_those_in_error_are_first_and_a_device_with_points_alone_is_there() -> None:
    found = devices(
        [
            row("device", "a", state="ON", common="on"),
            row("device", "z", state="ERROR", common="error"),
            row("point", "m/t", device="m", point="t", value=1.0),
            RecordRow(kind="device", key="gone", sequence=2, at=0, body=None),
        ]
    )
    assert [one.name for one in found] == ["z", "a", "m"]
    assert [one.name for one in found[2].points] == ["t"]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"value": 20.987654321}, "20.9877"),
        ({"value": 3}, "3"),
        ({"value": 3.2e-9}, "3.2e-09"),
        ({"is_on": True}, "on"),
        ({"is_on": False}, "off"),
        ({"text": "<b>"}, "<b>"),
        ({}, "–"),
        ({"quality": "bad"}, "–"),
    ],
)
def test_a_value_is_shown_as_it_left(body: dict[str, Any], shown: str) -> None:
    (found,) = devices([row("point", "gas/o2", device="gas", point="o2", **body)])
    assert found.points[0].shown == shown


def points(*given: tuple[float, float | None], quality: str = "good") -> list[RecordRow]:
    """The newest first, as the store gives them. `given`: s ago, the oldest first, and the value."""
    rows = [
        row("point", "gas/o2", NOW_S - ago, device="gas", point="o2", quality=quality)
        if value is None
        else row("point", "gas/o2", NOW_S - ago, device="gas", point="o2", value=value, quality=quality)
        for ago, value in given
    ]
    return rows[::-1]


def path(drawn: str) -> str:
    (found,) = re.findall(r'path d="([^"]*)"', drawn)
    return found


def test_a_trend_is_a_line_from_the_least_to_the_most() -> None:
    drawn = trend(values(points((TREND_S, 1.0), (TREND_S / 2, 3.0), (0, 2.0))), NOW_S)
    assert path(drawn) == "M0.0 40.0L250.0 6.0L500.0 23.0"
    assert "The last six hours, from 1 to 3" in drawn


def test_a_gap_of_a_trend_is_a_gap() -> None:
    minutes = [(60.0 * one, 1.0) for one in range(40, 30, -1)] + [(60.0 * one, 2.0) for one in range(10, 0, -1)]
    assert path(trend(values(points(*minutes)), NOW_S)).count("M") == 2


def test_what_is_not_good_or_no_number_is_not_drawn() -> None:
    assert not trend(values(points((60, 1.0), (30, 2.0), quality="stale")), NOW_S)
    assert not trend(values(points((60, None), (30, 2.0))), NOW_S)
    assert not trend(values(points((TREND_S + 60, 1.0), (30, 2.0))), NOW_S)


async def test_the_page_shows_devices_with_values_and_the_last_hours(tmp_path: Path) -> None:
    async with stand(tmp_path) as one:
        page = (await one.get("/devices")).text
        assert page.index('id="pump"') < page.index('id="gas"'), "in error first"
        assert "pump trip" in page and "ERROR" in page
        assert "20.9" in page and "<td>valve</td>" in page and "on</td>" in page
        assert page.count('<svg class="plot small"') == 1
        now = (await one.get("/")).text
        assert "/dqm/devices#gas" in now and "ERROR" in now
        assert (await one.get("/wall")).status == 200


async def test_values_and_their_history_as_json(tmp_path: Path) -> None:
    async with stand(tmp_path) as one:
        found = {device["device"]: device for device in (await one.get("/api/v1/devices")).json}
        assert found["pump"]["state"] == "ERROR" and found["pump"]["points"] == []
        told = {point["point"]: point["value"] for point in found["gas"]["points"]}
        assert told == {"o2": 20.9, "valve": True, "humidity": None}
        history = (await one.get("/api/v1/history?device=gas&point=o2&hours=1")).json
        assert history["unit"] == "%" and 60 <= len(history["values"]) <= 62
        assert history["values"][-1]["value"] == 20.9 and history["values"][0]["value"] > 21.4
        assert [each["at"] for each in history["values"]] == sorted(each["at"] for each in history["values"])
        assert len((await one.get("/api/v1/history?device=gas&point=o2")).json["values"]) == 91


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("device=gas&point=x", 404),
        ("device=x&point=o2", 404),
        ("device=gas", 400),
        ("device=gas&point=o2&hours=0", 400),
    ],
)
async def test_a_point_that_is_not_published_has_no_history(tmp_path: Path, query: str, status: int) -> None:
    async with stand(tmp_path) as one:
        assert (await one.get(f"/api/v1/history?{query}")).status == status
