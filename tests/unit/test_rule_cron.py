"""Times of cron: fields, time zones, the hours that come twice or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import ConfigurationError
from countingroom.core.rules.cron import check, count_between, next_ns
from countingroom.core.rules.specs import NEVER, CronTrigger


def ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def shown(found_ns: int) -> str:
    return datetime.fromtimestamp(found_ns / 1e9, UTC).isoformat()


def berlin(expression: str) -> CronTrigger:
    return CronTrigger(expression=expression, zone="Europe/Berlin")


def test_the_next_time_is_after_the_given_one() -> None:
    night = CronTrigger(expression="0 22 * * *")
    assert next_ns(night, ns("2026-11-29T22:00:00+00:00")) == ns("2026-11-30T22:00:00+00:00")
    assert next_ns(night, ns("2026-11-29T22:00:00+00:00") - 1) == ns("2026-11-29T22:00:00+00:00")


def test_a_time_zone_moves_with_summer_time() -> None:
    assert next_ns(berlin("0 22 * * *"), ns("2026-07-01T00:00:00+00:00")) == ns("2026-07-01T20:00:00+00:00")
    assert next_ns(berlin("0 22 * * *"), ns("2026-12-01T00:00:00+00:00")) == ns("2026-12-01T21:00:00+00:00")


def test_a_time_that_the_clock_skips_is_due_when_it_has_skipped_it() -> None:
    # On 2026-03-29 the clock goes from 02:00 to 03:00, at 01:00 UTC.
    assert shown(next_ns(berlin("30 2 * * *"), ns("2026-03-29T00:00:00+00:00"))) == "2026-03-29T01:00:00+00:00"


def test_a_time_that_comes_twice_is_due_once() -> None:
    # On 2026-10-25 the clock goes from 03:00 back to 02:00, at 01:00 UTC.
    first = next_ns(berlin("30 2 * * *"), ns("2026-10-25T00:00:00+00:00"))
    assert shown(first) == "2026-10-25T00:30:00+00:00"
    assert shown(next_ns(berlin("30 2 * * *"), first)) == "2026-10-26T01:30:00+00:00"
    for minutes in range(0, 120, 7):  # asked at any moment of the two hours
        asked_ns = first + minutes * 60_000_000_000
        assert next_ns(berlin("30 2 * * *"), asked_ns) > asked_ns


def test_each_hour_is_due_in_both_passes() -> None:
    first = next_ns(berlin("0 * * * *"), ns("2026-10-25T00:10:00+00:00"))
    assert shown(first) == "2026-10-25T01:00:00+00:00"


def test_a_day_that_does_not_come_is_never_due() -> None:
    with pytest.raises(ConfigurationError):
        check(CronTrigger(expression="0 0 31 2 *"))
    assert next_ns(CronTrigger(expression="0 0 29 2 1#5"), ns("2026-01-01T00:00:00+00:00")) in range(NEVER + 1)


@pytest.mark.parametrize("expression", ["", "* * * *", "* * * * * *", "60 * * * *", "a * * * *", "@daily"])
def test_what_is_no_time_of_cron_is_told(expression: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check(CronTrigger(expression=expression))
    assert "22:00" in caught.value.cause.suggestion


@pytest.mark.parametrize("zone", ["Europe/Berlinn", "", "../etc/passwd", "/etc/localtime"])
def test_what_is_no_time_zone_is_told(zone: str) -> None:
    with pytest.raises(ConfigurationError, match="time zone"):
        check(CronTrigger(expression="* * * * *", zone=zone))


def test_missed_times_are_counted_up_to_a_bound() -> None:
    hourly = CronTrigger(expression="0 * * * *")
    start = ns("2026-11-29T00:00:00+00:00")
    count, last = count_between(hourly, start, ns("2026-11-29T05:00:00+00:00"), most=100)
    assert (count, shown(last)) == (5, "2026-11-29T05:00:00+00:00")
    assert count_between(hourly, start, start + 1, most=100) == (0, 0)
    assert count_between(hourly, start, NEVER, most=7)[0] == 7


@given(st.integers(0, 59), st.integers(0, 23), st.integers(0, 6), st.integers(0, 525_600))
def test_the_library_agrees_with_a_search_minute_by_minute(minute: int, hour: int, day: int, start_min: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=start_min)
    found = next_ns(CronTrigger(expression=f"{minute} {hour} * * {day}"), ns(start.isoformat()))
    one = start + timedelta(minutes=1)
    while (one.minute, one.hour, one.isoweekday() % 7) != (minute, hour, day):
        one += timedelta(minutes=1)
    assert shown(found) == one.isoformat()
