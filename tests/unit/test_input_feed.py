"""The feed of readings to derived points."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from countingroom.core.values import Quality, Reading
from countingroom.devices.input_feed import InputFeed

READING = Reading(value=1.0, quality=Quality.GOOD, device_ns=1, received_ns=1)


def test_a_fault_in_one_device_keeps_no_reading_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    feed, got = InputFeed(), list[Mapping[str, Reading]]()
    feed.want(["a.x"])
    feed.open()

    def fail(readings: Mapping[str, Reading]) -> None:
        raise RuntimeError("broken")

    feed.follow(["a.x"], fail)
    feed.follow(["a.x"], got.append)
    feed.rows("a", [("x", READING), ("y", READING)])
    assert got == [{"a.x": READING}]
    assert "not computed from a.x" in caplog.text


def test_a_device_that_is_lost_is_told_once() -> None:
    feed, got = InputFeed(), list[Mapping[str, Reading]]()
    feed.want(["a.x", "b.x"])
    feed.open()
    feed.follow(["a.x", "b.x"], got.append)
    feed.rows("a", [("x", READING)])
    feed.lost("a", "gone", 5)
    feed.lost("a", "gone", 6)
    feed.lost("b", "gone", 6)  # never read
    (_, lost) = got
    assert (lost["a.x"].value, lost["a.x"].quality, lost["a.x"].reason) == (1.0, Quality.STALE, "gone")
