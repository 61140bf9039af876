"""A written time means one instant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import RequestError
from countingroom.core.times import duration, format_span, format_time, parse_time

NOW = 1_790_000_000_123_456_789
S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("now", NOW),
        (" -1h ", NOW - 3600 * S),
        ("now-2d12h", NOW - 60 * 3600 * S),
        ("+1.5min", NOW + 90 * S),
        ("1970-01-02", 86400 * S),
        ("1970-01-01T00:00:01.25Z", S + S // 4),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00:00.123456789", 123_456_789),
        ("1790000000123456789", NOW),
        ("1790000000123456", NOW - 789),
        ("1790000000123", NOW - 456_789),
        ("1790000000", NOW - 123_456_789),
        ("1790000000.123456789", NOW),
        ("999999999", 999_999_999 * S),
        ("20261128", 1_795_824_000 * S),
        ("2026-11-28", 1_795_824_000 * S),
        ("20261128T0600", 1_795_824_000 * S + 6 * 3600 * S),
        ("20261128T060000.25", 1_795_824_000 * S + 6 * 3600 * S + S // 4),
        ("20261128T060000,123456789Z", 1_795_824_000 * S + 6 * 3600 * S + 123_456_789),
        ("20261128T060000.25+0100", 1_795_824_000 * S + 5 * 3600 * S + S // 4),
        ("-2m", NOW - 120 * S),
        ("NOW", NOW),
        ("-2H", NOW - 7200 * S),
        ("-1h30m", NOW - 5400 * S),
        ("today", 1_789_948_800 * S),
        ("yesterday", 1_789_862_400 * S),
        ("Yesterday 06:30", 1_789_862_400 * S + 6 * 3600 * S + 1800 * S),
        ("today 06:00:00.5", 1_789_948_800 * S + 6 * 3600 * S + S // 2),
    ],
)
def test_what_people_write_is_understood(text: str, instant: int) -> None:
    assert parse_time(text, now_ns=NOW) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tuesday",
        "-1 fortnight",
        "2026-13-01",
        "1h",
        "--1h",
        "12",
        "-",
        "yesterday 25:00",
        "yesterdaynow",
        "today-",
        "2026-11-28T06:00.5",
        "yesterday 06:00.5",
        "20261128T0600.5",
        "2026-11-28T06:00:00+01:00:00.5",
        "2026-11-28T06:00:00.25.5",
    ],
)
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_time(text, now_ns=NOW)
    assert refused.value.cause.code == "wrong_time"
    assert "-1h" in refused.value.cause.suggestion


@pytest.mark.parametrize(
    "text", ["20261328", "1234567", "12345678901", "20261128060000", "12345678901234567", "1e9", "-5"]
)
def test_a_number_whose_unit_its_size_does_not_tell_is_refused_with_the_sizes(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_time(text, now_ns=NOW)
    assert refused.value.cause.code == "wrong_time"
    assert "seconds (10 digits), ms (13)" in refused.value.cause.suggestion


@pytest.mark.parametrize(
    "text", ["-1000000d", "-99999999999999999999d", "9" * 30, "9" * 5000, "0001-01-01", "9999-12-31"]
)
def test_a_time_that_no_record_could_hold_is_refused_with_what_it_could(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_time(text, now_ns=NOW)
    assert refused.value.cause.code == "wrong_time"
    assert refused.value.cause.suggestion


@given(st.integers(0, 4_000_000_000 * S))
def test_a_written_instant_reads_back_exactly(instant: int) -> None:
    assert parse_time(format_time(instant), now_ns=0) == instant


@given(st.integers(1, 10**18))
def test_a_written_span_reads_back_exactly(span: int) -> None:
    assert parse_time(f"-{format_span(span)}", now_ns=span) == 0


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (0.25, "0.25 s"),
        (0.0004, "0 s"),
        (6.2, "6.2 s"),
        (12.5, "12.5 s"),
        (45, "45 s"),
        (59.96, "1 min"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (300, "5 min"),
        (605, "10 min 5 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (5400, "1 h 30 min"),
        (28800, "8 h"),
        (90_061, "1 d 1 h"),
        (180 * 86_400, "180 d"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@given(st.integers(60, 10**9))
def test_a_duration_is_never_longer_than_it_was_and_loses_less_than_its_second_unit(seconds: int) -> None:
    sizes = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    words = duration(seconds).split()
    units = words[1::2]
    told = sum(int(count) * sizes[unit] for count, unit in zip(words[::2], units, strict=True))
    order = list(sizes)
    smaller = order[min(order.index(units[0]) + 1, 3)]
    assert 0 <= seconds - told < sizes[smaller]
