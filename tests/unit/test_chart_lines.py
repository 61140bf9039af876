"""The lines of charts in the browser end where an outage begins, and say with which quality. Run by node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.node import node

SERIES = Path(__file__).parents[2] / "src" / "countingroom" / "console" / "static" / "js" / "series.js"
S = 1_000_000_000


def run(program: str) -> Any:
    text = (
        f"const {{Line}} = await import({json.dumps(SERIES.as_uri())}); const line = new Line('p');"
        f"{program}; console.log(JSON.stringify({{t: line.t, mean: line.mean, q: line.quality, "
        "columns: line.columns(400).slice(0, 2), outages: line.outages(400)}))"
    )
    done = subprocess.run(
        [node(), "--input-type=module", "-e", text], capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def series(rows: list[tuple[float, float | None, int]], bucket_s: float = 0) -> str:
    return json.dumps(
        {
            "resolution": "raw/2s" if bucket_s else "raw",
            "bucket_ns": bucket_s * S,
            "time_ns": [seconds * S for seconds, _, _ in rows],
            "mean": [mean for _, mean, _ in rows],
            "low": [mean for _, mean, _ in rows],
            "high": [mean for _, mean, _ in rows],
            "quality": [quality for _, _, quality in rows],
            "count": [0 if quality == 3 and mean is None else 1 for _, mean, quality in rows],
        }
    )


def test_a_stale_sample_ends_the_line_though_it_keeps_its_value() -> None:
    told = run(f"line.begin({series([(100, 5.0, 0), (200, 5.0, 2), (260, 5.0, 2), (320, 6.0, 0)])})")
    assert told["t"] == [100, 199.999, 200, 260, 320]  # it held until the outage began
    assert told["mean"] == [5, 5, None, None, 6]
    assert told["outages"] == [{"from": 200, "to": 320, "quality": 2}]


def test_a_bucket_that_ends_stale_is_not_held_to_the_next() -> None:
    rows: list[tuple[float, float | None, int]] = [(100, 5.0, 0), (102, 5.0, 2), (160, None, 2), (220, 6.0, 0)]
    told = run(f"line.begin({series(rows, 2)})")
    assert (told["t"], told["mean"]) == ([100, 102, 104, 160, 220], [5, 5, None, None, 6])
    assert told["outages"] == [{"from": 104, "to": 220, "quality": 2}]


def test_what_was_not_recorded_is_an_outage_of_its_own() -> None:
    told = run(f"line.begin({series([(100, 5.0, 0), (101, None, 3), (300, 6.0, 0)])})")
    assert told["outages"] == [{"from": 101, "to": 300, "quality": 4}]


def test_an_outage_in_the_feed_begins_when_it_is_told_and_ends_with_the_value() -> None:
    # A stale row, and a constant value that is proven again, have the old time of the device.
    told = run(f"line.take([5, 0, {100 * S}, 0], 100); line.take([5, 2, {100 * S}, 4], 200)")
    assert (told["t"], told["mean"]) == ([100, 199.999, 200], [5, 5, None])
    assert told["columns"] == [[100, 199.999, 200], [5, 5, None]]
    assert told["outages"] == [{"from": 200, "to": 400, "quality": 2}]
    told = run(
        f"line.take([5, 0, {100 * S}, 0], 100); line.take([5, 2, {100 * S}, 4], 200);"
        f"line.take([5, 0, {100 * S}, 0], 300)"
    )
    assert (told["t"], told["mean"]) == ([100, 199.999, 200, 300], [5, 5, None, 5])
    assert told["columns"] == [[100, 199.999, 200, 300, 400], [5, 5, None, 5, 5]]
    assert told["outages"] == [{"from": 200, "to": 300, "quality": 2}]


def test_a_line_without_an_outage_has_none() -> None:
    told = run(f"line.begin({series([(100, 5.0, 0), (200, 6.0, 1)])}); line.take([7, 0, {300 * S}, 0], 300)")
    assert (told["mean"], told["outages"]) == ([5, 6, 7], [])


def test_a_line_that_grows_for_hours_says_when_its_past_is_to_be_asked_for_again() -> None:
    """A trend of a day that stayed open lost its past after 40 minutes of five values a second."""
    rows: list[tuple[float, float | None, int]] = [(second * 60.0, 1.0, 0) for second in range(100)]
    found = run(
        f"line.begin({series(rows)}); const cut = [line.isCut];"
        "for (let i = 0; i < 11900; i++) line.take([2, 0, (6000 + i) * 1e9, 0]); cut.push(line.isCut);"
        "line.take([2, 0, 2e13, 0]); cut.push(line.isCut, line.t.length);"
        f"line.begin({series(rows)}); cut.push(line.isCut); line.quality = cut"
    )
    assert found["q"] == [False, False, True, 6001, False]
    assert found["t"][0] == 0
