"""A written time means one instant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import RequestError
from countingroom.core.times import format_span, format_time, parse_time

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
    ],
)
def test_what_people_write_is_understood(text: str, instant: int) -> None:
    assert parse_time(text, now_ns=NOW) == instant


@pytest.mark.parametrize("text", ["", "yesterday", "-1 fortnight", "2026-13-01", "1h", "--1h", "12", "-"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_time(text, now_ns=NOW)
    assert refused.value.cause.code == "wrong_time"
    assert "-1h" in refused.value.cause.suggestion


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
