"""Times as the site writes them, in the time zone that the viewer chose. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from countingroom.core.times import duration

UTC_NAME = "UTC"
NOTHING = "–"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,2}")
OFFERED = (
    "UTC",
    "Europe/Zurich",
    "Europe/Berlin",
    "Europe/London",
    "America/Chicago",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Australia/Sydney",
)
"""In the list of the pages; any other name may stand in the address."""
_OF_THIS_COMPUTER = frozenset({"localtime", "posixrules", "Factory"})
"""Names of files beside the zones: the first ones would tell where the site is."""
_COPIES = ("posix/", "right/")
"""Folders with the zones a second time; in `right` without leap seconds, so that all times would be wrong."""


def is_zone(name: str) -> bool:
    """Whether a zone of this name is known here."""
    if name == UTC_NAME:
        return True
    if not _NAME.fullmatch(name) or name in _OF_THIS_COMPUTER or name.startswith(_COPIES):
        return False  # it becomes the path of a file
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def zone(name: str) -> tzinfo:
    """The zone; UTC for a name that is none."""
    return UTC if name == UTC_NAME or not is_zone(name) else ZoneInfo(name)


def moment(at_s: float | None, place: tzinfo) -> datetime | None:
    """The time in a zone; None outside the years that can be written."""
    if at_s is None:
        return None
    try:
        return datetime.fromtimestamp(at_s, place)
    except (OverflowError, ValueError, OSError):
        return None


def clock(at_s: float | None, place: tzinfo) -> str:
    """`14:18:07`."""
    at = moment(at_s, place)
    return at.strftime("%H:%M:%S") if at else NOTHING


def short(at_s: float | None, place: tzinfo, now_s: float) -> str:
    """`14:18:07` on the same day, `26 Nov 18:20` in the same year, else with its year."""
    at, now = moment(at_s, place), moment(now_s, place)
    if at is None or now is None:
        return NOTHING
    if at.date() == now.date():
        return at.strftime("%H:%M:%S")
    return at.strftime("%-d %b %H:%M" if at.year == now.year else "%-d %b %Y %H:%M")


def full(at_s: float | None, place: tzinfo) -> str:
    """`2026-11-30 14:18:07 UTC`."""
    at = moment(at_s, place)
    return at.strftime("%Y-%m-%d %H:%M:%S %Z") if at else NOTHING


def iso(at_s: float | None) -> str:
    """For programs: `2026-11-30T14:18:07Z`; empty where there is none."""
    at = moment(at_s, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""


def span(seconds: float | None) -> str:
    """`4 s`, `12 min`, `1 h 48 min`, `3 d 2 h`; a dash for nothing."""
    return NOTHING if seconds is None else duration(round(seconds))


def grouped(value: float | None, digits: int = 0) -> str:
    """`18 442 107`, with thin spaces; a dash for nothing."""
    if value is None:
        return NOTHING
    return f"{value:,.{digits}f}".replace(",", "\u2009")


def compact(value: float | None) -> str:
    """`18.4 M`, for a tooltip or a cell of the timeline."""
    if value is None:
        return NOTHING
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}"
