"""Uptime of the mirror: which part of each day its news were fresh, by kind of source. Pure.

A kind of source is fresh for two minutes after one of its sources answered. Days are those of UTC. Time before the
first answer that is known does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from countingroom.mirror.store.values import FreshDay
from countingroom.site.drawing import ChartDrawing, DrawnBox, DrawnLine, DrawnPart
from countingroom.site.now_view import SOURCE_NAMES

DAYS = 90
_DAY_US = 86_400_000_000
_WIDTH, _HEIGHT, _TOP, _BASE = 640.0, 66.0, 4.0, 62.0
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


def _uptime(kind: str, rows: Sequence[FreshDay], now: int) -> KindUptime:
    begun = min(row.begun for row in rows)
    of = {row.day: row for row in rows}
    today = now // _DAY_US
    days: list[UptimeDay] = []
    known = fresh = 0
    for day in range(today - DAYS + 1, today + 1):
        begin, end = max(begun, day * _DAY_US), min(now, (day + 1) * _DAY_US)
        name = datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")
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


def strip(uptime: KindUptime) -> ChartDrawing:
    """A bar for each day, as high as its share; a day that is not known has a low light one."""
    step = _WIDTH / len(uptime.days)
    parts: list[DrawnPart] = []
    for place, day in enumerate(uptime.days):
        height = (_BASE - _TOP) * max(0.04, day.share) if day.share is not None else 3.0
        look = "f-none" if day.share is None else next(look for least, look in _LEVELS if day.share >= least)
        parts.append(DrawnBox(place * step + 1, _BASE - height, step - 2, height, look))
    parts.append(DrawnLine(0, _BASE + 1, _WIDTH, _BASE + 1, "ax"))
    label = f"{uptime.name}: fresh {uptime.share:.2%} of the last {len(uptime.days)} days, a bar for each day"
    return ChartDrawing(label, _WIDTH, _HEIGHT, tuple(parts))


def known_days(uptime: KindUptime) -> list[UptimeDay]:
    """Days that are known, the newest first."""
    return [one for one in reversed(uptime.days) if one.share is not None]
