"""Duty calendars and quiet hours, by the clock on the wall."""

# ruff: noqa: DTZ001
from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.notify.duty import Calendar, Override, duties, instant_ns, on_duty, wall
from countingroom.core.notify.routes import QuietHours

BERLIN = ZoneInfo("Europe/Berlin")
WEEK_S = 7 * 86_400.0


def at(text: str) -> int:
    """ns of a time with offset."""
    return round(datetime.fromisoformat(text).timestamp()) * 10**9


def shift(**changes: object) -> Calendar:
    given = {
        "name": "shift",
        "rota": ("anna", "ben"),
        "begins": datetime(2026, 10, 12, 8),
        "every_s": WEEK_S,
        "zone": BERLIN,
    }
    return Calendar(**(given | changes))  # type: ignore[arg-type]


def test_the_duty_changes_at_eight_on_monday_also_after_the_clock_was_set_back() -> None:
    assert on_duty(shift(), at("2026-10-12T07:59:59+02:00")) == ""
    assert on_duty(shift(), at("2026-10-12T08:00:00+02:00")) == "anna"
    assert on_duty(shift(), at("2026-10-26T07:59:59+01:00")) == "ben"
    assert on_duty(shift(), at("2026-10-26T08:00:00+01:00")) == "anna"
    assert on_duty(shift(), at("2027-03-29T07:59:59+02:00")) == "ben"
    assert on_duty(shift(), at("2027-03-29T08:00:00+02:00")) == "anna"


def test_an_override_replaces_the_rota_and_the_last_one_counts() -> None:
    overrides = (
        Override(begin=datetime(2026, 10, 13), end=datetime(2026, 10, 15), person="cara"),
        Override(begin=datetime(2026, 10, 14), end=datetime(2026, 10, 14, 12), person="ben"),
    )
    calendar = shift(overrides=overrides)
    assert on_duty(calendar, at("2026-10-12T23:59:59+02:00")) == "anna"
    assert on_duty(calendar, at("2026-10-13T00:00:00+02:00")) == "cara"
    assert on_duty(calendar, at("2026-10-14T11:00:00+02:00")) == "ben"
    assert on_duty(calendar, at("2026-10-14T12:00:00+02:00")) == "cara"
    assert on_duty(calendar, at("2026-10-15T00:00:00+02:00")) == "anna"
    found = list(duties(calendar, at("2026-10-12T10:00:00+02:00"), 6))
    assert [one.person for one in found] == ["anna", "cara", "ben", "cara", "anna", "ben"]
    assert found[0].until_ns == at("2026-10-13T00:00:00+02:00")
    assert found[4].until_ns == at("2026-10-19T08:00:00+02:00")
    assert found[5].until_ns == at("2026-10-26T08:00:00+01:00")


def test_a_duty_that_never_changes_has_no_end() -> None:
    calendar = shift(rota=("anna",))
    found = list(duties(calendar, at("2026-10-13T00:00:00+02:00"), 5))
    assert [(one.person, one.until_ns) for one in found] == [("anna", None)]
    before = list(duties(calendar, at("2026-10-01T00:00:00+02:00"), 5))
    assert [(one.person, one.until_ns) for one in before] == [("", at("2026-10-12T08:00:00+02:00")), ("anna", None)]


def test_a_time_that_the_clock_jumps_over_is_the_jump() -> None:
    assert instant_ns(datetime(2026, 3, 29, 2, 30), BERLIN) == at("2026-03-29T03:00:00+02:00")
    assert instant_ns(datetime(2026, 3, 29, 3, 0), BERLIN) == at("2026-03-29T03:00:00+02:00")
    assert instant_ns(datetime(2026, 10, 25, 2, 30), BERLIN) == at("2026-10-25T02:30:00+02:00")


def test_a_handover_in_the_hour_that_does_not_exist_is_at_the_jump() -> None:
    calendar = shift(begins=datetime(2026, 3, 22, 2, 30))
    assert on_duty(calendar, at("2026-03-29T01:59:59+01:00")) == "anna"
    assert on_duty(calendar, at("2026-03-29T03:00:00+02:00")) == "ben"
    assert next(duties(calendar, at("2026-03-28T00:00:00+01:00"), 1)).until_ns == at("2026-03-29T03:00:00+02:00")


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-29T21:59:59+01:00", None),
        ("2026-11-29T22:00:00+01:00", "2026-11-30T07:00:00+01:00"),
        ("2026-11-30T03:00:00+01:00", "2026-11-30T07:00:00+01:00"),
        ("2026-11-30T07:00:00+01:00", None),
        ("2026-10-25T01:00:00+02:00", "2026-10-25T07:00:00+01:00"),
    ],
)
def test_quiet_hours_over_midnight(now: str, end: str | None) -> None:
    quiet = QuietHours(begin=time(22), end=time(7), priorities=frozenset({3, 4}), zone=BERLIN)
    assert quiet.end_ns(at(now)) == (None if end is None else at(end))


def test_a_duty_does_not_come_back_in_the_hour_that_is_shown_twice() -> None:
    calendar = shift(rota=("anna", "ben"), begins=datetime(2026, 10, 20, 2, 30), every_s=86400.0)
    times = [at("2026-10-25T00:20:00+00:00") + minutes * 60 * 10**9 for minutes in range(0, 120, 5)]
    assert [on_duty(calendar, time_ns) for time_ns in times] == ["anna"] * 2 + ["ben"] * 22
    quiet = QuietHours(begin=time(22), end=time(2, 30), priorities=frozenset({4}), zone=BERLIN)
    assert [quiet.end_ns(time_ns) is None for time_ns in times] == [False] * 2 + [True] * 22


def test_quiet_hours_within_a_day() -> None:
    quiet = QuietHours(begin=time(12), end=time(13, 30), priorities=frozenset({4}), zone=BERLIN)
    assert quiet.end_ns(at("2026-11-29T12:00:00+01:00")) == at("2026-11-29T13:30:00+01:00")
    assert quiet.end_ns(at("2026-11-29T13:30:00+01:00")) is None
    assert quiet.end_ns(at("2026-11-29T11:59:00+01:00")) is None


ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu")


@given(
    zone=st.sampled_from(ZONES),
    shown=st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2028, 1, 1)),
)
def test_the_wall_shows_the_time_for_the_first_time_at_its_instant(zone: str, shown: datetime) -> None:
    """The slow way: the earliest UTC minute at which the wall shows that time or a later one."""
    shown = shown.replace(second=0, microsecond=0)
    place = ZoneInfo(zone)
    instant = (shown - timedelta(hours=15)).replace(tzinfo=UTC)
    while instant.astimezone(place).replace(tzinfo=None) < shown:
        instant += timedelta(minutes=1)
    assert instant_ns(shown, place) == round(instant.timestamp()) * 10**9


@given(
    zone=st.sampled_from(ZONES),
    now=st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 12, 1)),
    every_h=st.sampled_from([8, 12, 24, 168]),
    rota=st.lists(st.sampled_from("abc"), min_size=1, max_size=3),
    override=st.integers(0, 100),
)
def test_a_duty_holds_until_the_next_one(
    zone: str, now: datetime, every_h: int, rota: list[str], override: int
) -> None:
    place = ZoneInfo(zone)
    begin = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=override)
    calendar = shift(
        rota=tuple(rota),
        begins=datetime(2026, 6, 1, 2, 30),
        every_s=every_h * 3600.0,
        zone=place,
        overrides=(Override(begin=begin, end=begin + timedelta(hours=5), person="x"),),
    )
    now_ns = round(now.replace(tzinfo=UTC).timestamp()) * 10**9
    found = list(duties(calendar, now_ns, 4))
    for one in found:
        assert on_duty(calendar, one.from_ns) == one.person
        if one.until_ns is not None:
            assert on_duty(calendar, one.until_ns - 60 * 10**9) == one.person or one.until_ns - one.from_ns < 60 * 10**9
            assert on_duty(calendar, one.until_ns) != one.person
    for one, following in pairwise(found):
        assert one.until_ns == following.from_ns
        assert following.person == on_duty(calendar, following.from_ns)
        middle = (following.from_ns + (following.until_ns or following.from_ns)) // 2
        assert on_duty(calendar, middle) == following.person
    assert wall(now_ns, place).tzinfo is None
