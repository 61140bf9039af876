"""A drawing as values, so that the same chart stands on a page as SVG and in a file as PDF. Pure.

Lengths are units of the drawing, from its left upper corner. A look is a word: the style sheet of the site and the
palette of the file each say what colour it is.
"""

from __future__ import annotations

import math
from typing import Literal

from markupsafe import Markup, escape
from msgspec import Struct

Anchor = Literal["start", "middle", "end"]
SERIES = ("k0", "k1", "k2", "k3", "k4", "k5")
"""Looks of series that have no meaning of their own."""
_PART_DEG = 5.0
_WHOLE = 400.0
"""A drawing that is not so wide has half of the width of the page."""


class DrawnBox(Struct, frozen=True):
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    look: str


class DrawnLine(Struct, frozen=True):
    """A line: `gl` of the grid, `ax` of an axis."""

    x1: float
    y1: float
    x2: float
    y2: float
    look: str


class DrawnText(Struct, frozen=True):
    """A text; `y` is its base line."""

    x: float
    y: float
    text: str
    anchor: Anchor = "start"


class DrawnShape(Struct, frozen=True):
    """A filled polygon."""

    points: tuple[tuple[float, float], ...]
    look: str


class DrawnDots(Struct, frozen=True):
    """Points of one series."""

    points: tuple[tuple[float, float], ...]
    look: str


DrawnPart = DrawnBox | DrawnLine | DrawnText | DrawnShape | DrawnDots


class ChartDrawing(Struct, frozen=True):
    """A chart."""

    label: str
    """What it shows, for those who do not see it."""
    width: float
    height: float
    parts: tuple[DrawnPart, ...]


def sector(middle: tuple[float, float], inner: float, outer: float, begin: float, end: float, look: str) -> DrawnShape:
    """A part of a ring, from a share of the turn to another, clockwise from above."""
    steps = max(1, math.ceil((end - begin) * 360 / _PART_DEG))
    turns = [2 * math.pi * (begin + (end - begin) * step / steps) for step in range(steps + 1)]
    x, y = middle
    there = [(x + outer * math.sin(turn), y - outer * math.cos(turn)) for turn in turns]
    back = [(x + inner * math.sin(turn), y - inner * math.cos(turn)) for turn in reversed(turns)]
    return DrawnShape((*there, *back), look)


def svg(drawing: ChartDrawing) -> Markup:
    """The drawing for a page."""
    size = f"0 0 {drawing.width:.0f} {drawing.height:.0f}"
    half = " half" if drawing.width < _WHOLE else ""
    label = escape(drawing.label)
    begin = f'<svg class="plot chart{half}" viewBox="{size}" role="img" aria-label="{label}">'
    return Markup(begin + "".join(map(_part, drawing.parts)) + "</svg>")  # noqa: S704 (each text in it is escaped)


def _part(part: DrawnPart) -> str:
    match part:
        case DrawnBox(x, y, width, height, look):
            return f'<rect class="{look}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
        case DrawnLine(x1, y1, x2, y2, look):
            return f'<line class="{look}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
        case DrawnText(x, y, text, anchor):
            where = "" if anchor == "start" else f' text-anchor="{anchor}"'
            return f'<text x="{x:.1f}" y="{y:.1f}"{where}>{escape(text)}</text>'
        case DrawnShape(points, look):
            shown = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            return f'<polygon class="{look}" points="{shown}"/>'
        case DrawnDots(points, look):
            path = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in points)
            return f'<path class="{look} dots" d="{path}"/>'
