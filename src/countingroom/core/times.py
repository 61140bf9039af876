"""Parses and formats times that users write. A time without a zone is UTC; a relative time counts from `now`.

Accepted: `now`, `-90s`, `-1h30min`, `-2m`, `now-2d`, `+10min`, `today`, `yesterday 06:00`, `2026-11-22`, `20261122`,
`2026-11-22T06:00:00.25+01:00`, and a number since the epoch: its size tells whether it is seconds, ms, us or ns.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from countingroom.core.errors import RequestError

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
    "y": 31_557_600_000_000_000,
}
_PARTS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_RELATIVE = re.compile(r"(?:now)?\s*([+-])\s*((?:\d+(?:\.\d+)?\s*[a-z]+\s*)+)")
_TERM = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
_FRACTION = re.compile(r"([^\d+-]\d\d(?::\d\d:|\d\d)\d\d)[.,](\d+)", re.ASCII)
"""Decimals after seconds of a time, `T06:00:00.25` or `T060000.25`. After minutes or in an offset none are taken."""
_EPOCH_NUMBER = re.compile(r"(\d{9,10})(?:\.(\d{1,9}))?|\d+", re.ASCII)
_NS_OF_DIGITS = {9: 10**9, 10: 10**9, 12: 10**6, 13: 10**6, 15: 1000, 16: 1000, 18: 1, 19: 1}
"""Digits of a number since the epoch -> ns of its unit, for times from 1973 to 2286. Numbers of other sizes are
refused: as ns of 1970, which they once were, they were never meant."""
_DATE_DIGITS = 8
_DAY = re.compile(r"(today|yesterday|tomorrow)(?:[T ]+(\d\d:\d\d.*))?", re.IGNORECASE)
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_LONGEST = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DECADE_NS = 315_576_000_000_000_000
_FIRST_NS, _LAST_NS = -29 * _DECADE_NS, 29 * _DECADE_NS
"""Nearly the range of 64-bit nanoseconds, with a margin so that sums do not overflow."""


def parse_time(text: str, *, now_ns: int) -> int:
    """The time in ns since the epoch; RequestError (`wrong_time`) when the text is not a time."""
    instant = _instant(text.strip(), now_ns) if len(text) < _LONGEST else None
    if instant is None:
        raise RequestError(
            f"{text[:_LONGEST]!r} is not a time",
            code="wrong_time",
            suggestion="write now, -1h, -2d12h, yesterday, 2026-11-22, 2026-11-22T06:00:00Z, or a number since the "
            "epoch, in seconds (10 digits), ms (13), us (16) or ns (19)",
        )
    if not _FIRST_NS <= instant <= _LAST_NS:
        raise RequestError(
            f"{text!r} is outside the range of recorded times",
            code="wrong_time",
            suggestion=f"give a time from {format_time(_FIRST_NS)} to {format_time(_LAST_NS)}",
        )
    return instant


def _instant(plain: str, now_ns: int) -> int | None:
    relative = plain.lower()
    if relative == "now":
        return now_ns
    if number := _EPOCH_NUMBER.fullmatch(plain):
        return _epoch_ns(plain, number[1], number[2] or "")
    if day := _DAY.fullmatch(plain):
        moment = _EPOCH + timedelta(days=now_ns // _UNITS_NS["d"] + _DAYS[day[1].lower()])
        return _iso_ns(f"{moment:%Y-%m-%d}T{day[2] or '00:00'}")
    if match := _RELATIVE.fullmatch(relative):
        span = _span_ns(match[2])
        if span is None:
            return None
        return now_ns + span if match[1] == "+" else now_ns - span
    return _iso_ns(plain)


def _epoch_ns(plain: str, seconds: str | None, decimals: str) -> int | None:
    if seconds:
        return int(seconds) * _UNITS_NS["s"] + int(decimals.ljust(9, "0"))
    if len(plain) == _DATE_DIGITS:
        return _iso_ns(plain)
    return int(plain) * _NS_OF_DIGITS[len(plain)] if len(plain) in _NS_OF_DIGITS else None


def format_time(time_ns: int) -> str:
    """The time as ISO 8601 in UTC, with as many decimals (0, 3, 6 or 9) as it needs."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    whole = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f"{rest:09d}"
    while decimals.endswith("000"):
        decimals = decimals[:-3]
    return f"{whole}.{decimals}Z" if decimals else f"{whole}Z"


def duration(seconds: float) -> str:
    """How long, as people read it: `0.25 s`, `45 s`, `5 min`, `1 h 30 min`, `2 d 4 h`. At most the two largest units.

    Every page, command and text that shows a length of time takes this one, or `duration` of `format.js`, its equal.
    """
    shown = float(f"{max(0.0, round(seconds, 3)):.3g}")
    if shown < 60:
        return f"{shown:g} s"
    whole = round(seconds)
    for index, (unit, size) in enumerate(_PARTS):
        if whole >= size:
            count, rest = divmod(whole, size)
            below, smaller = _PARTS[index + 1]
            return f"{count} {unit} {rest // smaller} {below}" if rest >= smaller else f"{count} {unit}"
    return f"{whole} s"


def format_span(span_ns: int) -> str:
    """A duration in the largest unit that divides it: `1h`, `90s`, `250ms`."""
    for unit, size in reversed(_UNITS_NS.items()):
        if unit not in ("y", "w", "m") and span_ns % size == 0:
            return f"{span_ns // size}{unit}"
    return f"{span_ns}ns"


def _span_ns(text: str) -> int | None:
    total = 0
    for number, unit in _TERM.findall(text):
        if unit not in _UNITS_NS:
            return None
        whole, _, decimals = number.partition(".")
        size = _UNITS_NS[unit]
        total += int(whole) * size + int(decimals or "0") * size // 10 ** len(decimals)
    return total


def _iso_ns(text: str) -> int | None:
    fraction = 0
    text = text.upper()  # `t` and `z` are ISO 8601 too
    if match := _FRACTION.search(text):
        fraction = int(match[2][:9].ljust(9, "0"))
        text = text[: match.end(1)] + text[match.end() :]
    if "." in text or "," in text or (text.isdecimal() and len(text) != _DATE_DIGITS):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + fraction
