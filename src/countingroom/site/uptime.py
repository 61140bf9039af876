"""Uptime of the mirror: which part of each day its news were fresh, by kind of source. Pure.

A kind of source is fresh for two minutes after one of its sources answered. Days are those of UTC. Time before the
first answer that is known does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from countingroom.mirror.store.values import FreshDay
from countingroom.site.drawing import ChartDrawing, DrawnBox, DrawnLine, DrawnPart, DrawnShape
from countingroom.site.notes_view import NOTE, NoteView
from countingroom.site.now_view import SOURCE_NAMES

DAYS = 90
_DAY_US = 86_400_000_000
_WIDTH, _HEIGHT, _TOP, _BASE = 640.0, 74.0, 4.0, 62.0
_LEVELS = ((0.999, "f-good"), (0.95, "f-late"), (0.0, "f-crashed"))


class UptimeDay(Struct, frozen=True, kw_only=True):
    """One day."""

    day: str
    """`2026-11-30`."""
    share: float | None
    """From 0 to 1; none where it is not known."""
    away_s: float
    """So long it was not fresh."""


class KindUptime(Struct, frozen=True, kw_only=True):
    """Uptime of a kind of source."""

    kind: str
    name: str
    share: float
    """Over all days that are known."""
    away_s: float
    days: tuple[UptimeDay, ...]
    """The last 90, the oldest first."""


def uptimes(rows: Iterable[FreshDay], now_s: float) -> tuple[KindUptime, ...]:
    """By kind of source; those that never answered are left out."""
    by_kind: dict[str, list[FreshDay]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    return tuple(_uptime(kind, by_kind[kind], round(now_s * 1e6)) for kind in SOURCE_NAMES if kind in by_kind)


def first_day(now_s: float) -> int:
    """The first day that is shown, in days since 1970."""
    return int(now_s // 86_400) - DAYS + 1


def _name(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def _uptime(kind: str, rows: Sequence[FreshDay], now: int) -> KindUptime:
    begun = min(row.begun for row in rows)
    of = {row.day: row for row in rows}
    today = now // _DAY_US
    days: list[UptimeDay] = []
    known = fresh = 0
    for day in range(today - DAYS + 1, today + 1):
        begin, end = max(begun, day * _DAY_US), min(now, (day + 1) * _DAY_US)
        name = _name(day)
        if begin >= end:
            days.append(UptimeDay(day=name, share=None, away_s=0.0))
            continue
        row = of.get(day)
        # The last answer counts for two minutes, of which a part may lie ahead.
        there = min(max(0, row.fresh - max(0, row.until - now)), end - begin) if row else 0
        known, fresh = known + end - begin, fresh + there
        days.append(UptimeDay(day=name, share=there / (end - begin), away_s=(end - begin - there) / 1e6))
    share = fresh / known if known else 0.0
    return KindUptime(kind=kind, name=SOURCE_NAMES[kind], share=share, away_s=(known - fresh) / 1e6, days=tuple(days))


def noted_days(every: Iterable[NoteView], now_s: float) -> dict[str, list[NoteView]]:
    """Day -> the incidents and maintenance of it, of the days that are shown. Days are those of UTC."""
    found: dict[str, list[NoteView]] = {}
    for one in every:
        if one.sort == NOTE or (span := one.span(now_s)) is None:
            continue
        for day in range(max(first_day(now_s), int(span[0] // 86_400)), int(span[1] // 86_400) + 1):
            found.setdefault(_name(day), []).append(one)
    return found


def strip(uptime: KindUptime, noted: Mapping[str, Sequence[NoteView]] | None = None) -> ChartDrawing:
    """A bar for each day, as high as its share; a day that is not known has a low light one. A day with an incident or
    maintenance has a mark below its bar."""
    step = _WIDTH / len(uptime.days)
    parts: list[DrawnPart] = []
    for place, day in enumerate(uptime.days):
        height = (_BASE - _TOP) * max(0.04, day.share) if day.share is not None else 3.0
        look = "f-none" if day.share is None else next(look for least, look in _LEVELS if day.share >= least)
        parts.append(DrawnBox(place * step + 1, _BASE - height, step - 2, height, look))
        if told := (noted or {}).get(day.day):
            is_incident = any(one.sort == "incident" for one in told)
            middle, low = (place + 0.5) * step, _BASE + 10
            tip = (middle - 4, low), (middle + 4, low), (middle, _BASE + 3)
            box = (middle - 3, low), (middle + 3, low), (middle + 3, low - 6), (middle - 3, low - 6)
            parts.append(DrawnShape(tip, "f-stuck") if is_incident else DrawnShape(box, "k1"))
    parts.append(DrawnLine(0, _BASE + 1, _WIDTH, _BASE + 1, "ax"))
    label = f"{uptime.name}: fresh {uptime.share:.2%} of the last {len(uptime.days)} days, a bar for each day"
    return ChartDrawing(label, _WIDTH, _HEIGHT, tuple(parts))


def known_days(uptime: KindUptime) -> list[UptimeDay]:
    """Days that are known, the newest first."""
    return [one for one in reversed(uptime.days) if one.share is not None]
