"""The charts of a report: a ring of shares, stacked bars, points over runs or sections. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from msgspec import Struct

from countingroom.site import zones
from countingroom.site.drawing import (
    SERIES,
    ChartDrawing,
    DrawnBox,
    DrawnDots,
    DrawnLine,
    DrawnPart,
    DrawnText,
    sector,
)

WIDTH = 640.0
_ROW = 20.0
_LETTER = 6.6
"""Width of a letter, about."""
_LABEL = 26
"""Letters of a name beside a bar."""
BARS = 40
SHARES = 6
"""Of more than so many the rest is one share, as colours are few."""
_REST = "others"
_NARROW = 310.0


class RingShare(Struct, frozen=True):
    """A part of a ring."""

    name: str
    value: int
    look: str = ""


class Bar(Struct, frozen=True):
    """A bar of parts: values and looks."""

    name: str
    values: tuple[int, ...]


class PointSeries(Struct, frozen=True):
    """Points of a name."""

    name: str
    points: tuple[tuple[int, float], ...]


def ring(label: str, shares: Sequence[RingShare]) -> ChartDrawing | None:
    """Shares of a whole with their names, numbers and percentages; None where there are none."""
    shown = [one for one in shares if one.value > 0]
    if len(shown) > SHARES:
        rest = sum(one.value for one in shown[SHARES - 1 :])
        shown = [*shown[: SHARES - 1], RingShare(_REST, rest, "k0")]
    total = sum(one.value for one in shown)
    if not total:
        return None
    height = max(170.0, 30 + 24.0 * len(shown))
    middle = (110.0, height / 2)
    parts: list[DrawnPart] = []
    begin = 0.0
    for place, one in enumerate(shown):
        end = begin + one.value / total
        look = one.look or SERIES[1 + place % (len(SERIES) - 1)]
        # A thin gap between two shares; a single one is a whole ring.
        gap = 0.003 if len(shown) > 1 and end - begin > 0.01 else 0.0
        parts.append(sector(middle, 42.0, 75.0, begin + gap, end - gap, look))
        y = height / 2 + 24.0 * (place - (len(shown) - 1) / 2)
        parts.append(DrawnBox(230, y - 6, 12, 12, look))
        parts.append(DrawnText(252, y + 4, _cut(one.name, 34)))
        parts.append(DrawnText(540, y + 4, zones.grouped(one.value), "end"))
        parts.append(DrawnText(610, y + 4, f"{one.value / total:.1%}", "end"))
        begin = end
    parts.append(DrawnText(middle[0], middle[1] + 4, zones.grouped(total), "middle"))
    return ChartDrawing(label, WIDTH, height, tuple(parts))


def bars(label: str, bars_of: Sequence[Bar], legend: Sequence[tuple[str, str]]) -> ChartDrawing | None:
    """Bars of parts, each with its numbers; None where there are none. `legend`: name and look of each part."""
    shown = bars_of[:BARS]
    most = max((sum(one.values) for one in shown), default=0)
    if not most:
        return None
    left, right = _LABEL * _LETTER + 12, 60.0
    scale = (WIDTH - left - right) / most
    parts: list[DrawnPart] = list(_legend(legend, 0.0))
    y = 30.0
    for one in shown:
        parts.append(DrawnText(left - 8, y + 13, _cut(one.name, _LABEL), "end"))
        x = left
        for value, (_, look) in zip(one.values, legend, strict=True):
            if value:
                parts.append(DrawnBox(x, y + 2, max(1.0, value * scale - 1), _ROW - 5, look))
            x += value * scale
        parts.append(DrawnText(x + 5, y + 13, _numbers(one.values)))
        y += _ROW
    if len(bars_of) > BARS:
        parts.append(DrawnText(left, y + 15, f"and {len(bars_of) - BARS} more, which are in the table"))
        y += _ROW
    parts.append(DrawnLine(left - 0.5, 30, left - 0.5, y, "ax"))
    return ChartDrawing(label, WIDTH, y + 6, tuple(parts))


def _numbers(values: Sequence[int]) -> str:
    there = [str(one) for one in values if one]
    return " + ".join(there) if len(there) < 3 else str(sum(values))


def points(label: str, title: str, series: Sequence[PointSeries], *, narrow: bool = True) -> ChartDrawing | None:
    """Rates over runs or sections, on a scale by powers of ten; None without a point."""
    every = [point for one in series for point in one.points if point[1] > 0]
    if not every:
        return None
    width, height = (_NARROW, 170.0) if narrow else (WIDTH, 230.0)
    left, top, bottom = 52.0, 42.0, height - 24
    low = math.floor(math.log10(min(value for _, value in every)) + 1e-9)
    high = max(low + 1, math.ceil(math.log10(max(value for _, value in every)) - 1e-9))
    first, last = min(at for at, _ in every), max(at for at, _ in every)
    wide = max(1, last - first)

    def x(at: float) -> float:
        return left + 8 + (width - left - 24) * ((at - first) / wide if last > first else 0.5)

    def y(value: float) -> float:
        return bottom - (bottom - top) * (math.log10(value) - low) / (high - low)

    parts: list[DrawnPart] = [DrawnText(0, 12, _cut(title, int(width / _LETTER)))]
    step = math.ceil((high - low) / 5)
    for power in range(low, high + 1, step):
        parts.append(DrawnLine(left, y(10.0**power), width - 8, y(10.0**power), "gl"))
        parts.append(DrawnText(left - 6, y(10.0**power) + 4, f"{zones.compact(10.0**power)}", "end"))
    parts.append(DrawnLine(left, bottom, width - 8, bottom, "ax"))
    for place, one in enumerate(series):
        dots = tuple((x(at), y(value)) for at, value in one.points if value > 0)
        parts.append(DrawnDots(dots, SERIES[1 + place % (len(SERIES) - 1)]))
    names = [(one.name, SERIES[1 + place % (len(SERIES) - 1)]) for place, one in enumerate(series)]
    parts.extend(_legend(names, 16.0, width))
    parts.append(DrawnText(x(first), height - 8, str(first), "start" if last > first else "middle"))
    if last > first:
        parts.append(DrawnText(x(last), height - 8, str(last), "end"))
    return ChartDrawing(label, width, height, tuple(parts))


def _legend(names: Sequence[tuple[str, str]], y: float, width: float = WIDTH) -> Iterator[DrawnPart]:
    x = 0.0
    for name, look in names:
        text = _cut(name, 20)
        if x + 24 + len(text) * _LETTER > width:
            break
        yield DrawnBox(x, y + 3, 11, 11, look)
        yield DrawnText(x + 17, y + 13, text)
        x += 17 + (len(text) + 2) * _LETTER


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
