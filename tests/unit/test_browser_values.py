"""What the scripts of the pages make of values and times: the same as the server, and nothing made up."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from countingroom.console.present import format as write
from countingroom.console.present.device_rows import DeviceRows
from countingroom.core.errors import RequestError
from countingroom.core.points import Point, Type
from countingroom.core.times import duration, parse_time
from countingroom.core.values import Quality, Reading
from tests.node import node

SCRIPTS = Path(__file__).parents[2] / "src" / "countingroom" / "console" / "static" / "js"
NOW_S = 1_790_000_000


def browser(script: str, names: str, code: str, zone: str = "UTC") -> Any:
    """The JSON of `code`, with these names of a script, on a computer in this zone."""
    where = json.dumps((SCRIPTS / script).as_uri())
    program = f"const {{{names}}} = await import({where});console.log(JSON.stringify({code}))"
    done = subprocess.run(
        [node(), "--input-type=module", "-e", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"TZ": zone},
    )
    return json.loads(done.stdout)


WRITTEN = [
    "now",
    "today",
    "yesterday",
    "-2h",
    "-1h30min",
    "+1.5min",
    "now-2d",
    "2026-11-28",
    "2026-11-28 08:00",
    "2026-11-28T08:00:15Z",
    "2028-02-29",
    "2026-02-29",
    "2026-02-31",
    "2026-04-31 12:00",
    "2026-11-28 24:00",
    "2026-13-01",
    "2026-11-28 08:60",
    "2026-00-10",
    "soon",
    "-99999999w",
    "20261128",
    "20261128T060000.25",
    "20261328",
    "1795953600",
    "1795953600.5",
    "1795953600123",
    "1795953600123456",
    "1795953600123456789",
    "17959536",
    "12",
    "yesterday 06:00",
    "Today 06:30:15",
    "tomorrow",
    "yesterday 25:00",
    "2026-11-28T08:00:15+01:00",
    "2026-11-28T08:00:15.25-0530",
    "2026-11-28T08:00+25:00",
    "2026-11-28T08:00.5",
    "2026-11-28t08:00z",
    "NOW",
    "-2H",
    "-1y",
    "1_795_953_600",
    "0x10",
    "1e9",
]


def test_a_time_that_is_written_in_a_page_is_that_of_the_server_or_none() -> None:
    """A browser takes 2026-02-31 for the third of March."""

    def of_server(text: str) -> float | None:
        try:
            return parse_time(text, now_ns=NOW_S * 10**9) / 1e9
        except RequestError:
            return None

    said = browser("times.js", "parseTime", f"{json.dumps(WRITTEN)}.map((text) => parseTime(text, {NOW_S}))")
    assert dict(zip(WRITTEN, said, strict=True)) == pytest.approx({text: of_server(text) for text in WRITTEN}, abs=1e-5)


@pytest.mark.parametrize("number", [0, -7, 5_000_000_123, 2**53, 2**53 + 1, 2**63 - 1, 2**64 - 1, -(2**63)])
def test_a_whole_number_of_64_bits_is_shown_with_all_its_digits(number: int) -> None:
    board = DeviceRows()
    reading = Reading(value=number, quality=Quality.GOOD, device_ns=1, received_ns=1)
    row = json.loads(msgspec.json.encode(board.show("meter", [("count", reading)])["count"]))
    point = Point(name="count", type=Type.INT, unit="Wh", precision=2)
    shown = browser("format.js", "value", f'value({{"type": "int", "precision": 2}}, {json.dumps(row[0])})')
    assert shown == write.value(point, number) == str(number)
    assert browser("series.js", "number", f"number({json.dumps(row[0])})") == pytest.approx(float(number))


@pytest.mark.parametrize("text", ['"12"', '"1e30"', '"run 1234567890123456"', '""', "null"])
def test_a_text_is_no_number_of_a_chart(text: str) -> None:
    assert browser("series.js", "number", f"number({text})") is None


IN_ADDRESSES = {"3600": 3600, "1790000000": 1_790_000_000, "-5": -5, "now)": None, "": None, "1e300": None, "NaN": None}


def test_what_is_no_time_in_the_address_of_a_page_is_passed_over() -> None:
    texts = json.dumps(list(IN_ADDRESSES))
    assert browser("times.js", "timeIn", f"{texts}.map(timeIn)") == list(IN_ADDRESSES.values())
    durations = [seconds if seconds is None or seconds > 0 else None for seconds in IN_ADDRESSES.values()]
    assert browser("times.js", "durationIn", f"{texts}.map(durationIn)") == durations
    assert browser("times.js", "written, timeIn", "[9e9, -9e9, 1.5].map((one) => written(timeIn(one)))")


def test_local_days_of_23_and_25_hours_begin_at_their_midnight() -> None:
    code = (
        "[1774782000, 1792922400].map((noon) => [0, 1].map((by) => startOfDay(noon, by, true)))"
        '.concat([["2026-10-25 02:30", "2026-10-25 03:00", "2026-10-25 00:30Z"].map((one) => parseTime(one, 0, true))])'
    )
    spring, autumn, hours = browser("times.js", "startOfDay, parseTime", code, zone="Europe/Berlin")
    assert spring[1] - spring[0] == 23 * 3600 and autumn[1] - autumn[0] == 25 * 3600
    assert [begin % 86400 for begin in (*spring, *autumn)] == [82800, 79200, 79200, 82800]
    assert [hour - hours[2] for hour in hours] == [0, 1.5 * 3600, 0], "of the hour that is twice, the first"


def test_a_time_of_yesterday_is_on_the_clock_of_the_user_where_summer_time_ended() -> None:
    midnight_s = 1_792_969_200  # 2026-10-26 00:00 in Berlin; yesterday had 25 hours
    texts = ["yesterday", "yesterday 03:00", "today 06:00", "20261025T0300"]
    code = f"{json.dumps(texts)}.map((one) => parseTime(one, {midnight_s}, true))"
    assert browser("times.js", "parseTime", code, zone="Europe/Berlin") == [
        midnight_s - 25 * 3600,
        midnight_s - 21 * 3600,
        midnight_s + 6 * 3600,
        midnight_s - 21 * 3600,
    ]


def test_a_duration_is_written_as_by_the_server() -> None:
    given = [
        0,
        -1,
        0.0004,
        0.25,
        6.234,
        12.5,
        45,
        59.94,
        59.96,
        60,
        90,
        119.6,
        300,
        605,
        3599.7,
        3600,
        5400,
        90_061,
        15_552_000,
    ]
    assert browser("format.js", "duration", f"{json.dumps(given)}.map(duration)") == [duration(one) for one in given]
