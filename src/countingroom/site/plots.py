"""Plots as SVG, made by the site: delivery delay and accepted events by section, and a small trend. Pure.

Colours come from the classes `k0` … `k5` of the style sheet; a section that was not delivered is a gap with a name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from countingroom.site import zones
from countingroom.site.clients import StreamFigures

LATE_S = 120.0
_WIDTH, _HEIGHT = 640.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 8.0, 20.0, 24.0
_MOST_MARKS = 400
"""Of one stream; of more sections several share one."""
_COLOURS = 6
_HATCH = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line class="hatchl" x1="0" y1="0" x2="0" y2="6" stroke-width="2"/></pattern></defs>'
)


class _Axes:
    """Places of values in the picture."""

    def __init__(self, last: int, most: float) -> None:
        self.last = max(1, last)
        self._wide = self.last + 1  # half a section is right of the last one
        self.most = most
        self.inside = _WIDTH - _LEFT - _RIGHT
        self.bottom = _HEIGHT - _BOTTOM

    def x(self, section: float) -> float:
        return _LEFT + self.inside * section / self._wide

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - _TOP) * max(0.0, min(value, self.most)) / self.most

    def drawn(self, unit: str, scale: float) -> Iterable[str]:
        yield f'<text x="{_LEFT - 8:.0f}" y="11" text-anchor="end">{escape(unit)}</text>'
        for value in _ticks(self.most):
            y = self.y(value)
            yield f'<line class="gl" x1="{_LEFT:.0f}" x2="{_WIDTH - _RIGHT:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{_LEFT - 8:.0f}" y="{y + 4:.1f}" text-anchor="end">{value / scale:g}</text>'
        for section in _ticks(self.last):
            yield f'<text x="{self.x(section):.1f}" y="{_HEIGHT - 7:.0f}" text-anchor="middle">{section:g}</text>'
        yield f'<line class="ax" x1="{_LEFT:.0f}" x2="{_WIDTH - _RIGHT:.0f}" y1="{self.bottom}" y2="{self.bottom}"/>'


def gaps(streams: Sequence[StreamFigures]) -> list[tuple[int, int]]:
    """Sections from the first to the last one that no stream has, as ranges."""
    there = sorted({section for one in streams for section in one.sections})
    return [(before + 1, after - 1) for before, after in pairwise(there) if after - before > 1]


def delay_plot(streams: Sequence[StreamFigures]) -> Markup:
    """From the end of a section to its file, a dot for each stream."""
    values = [delay for one in streams for delay in one.delays_s if delay is not None]
    axes = _Axes(_last(streams), _round_up(max([10.0, *values]) * 1.05))
    parts = [*_begin("Delivery delay by section, in s"), *axes.drawn("s", 1), *_gaps(axes, streams)]
    if axes.most > LATE_S:
        y = axes.y(LATE_S)
        parts.append(f'<line class="late" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="latet" x="{_LEFT + 6}" y="{y - 5:.1f}">late over {LATE_S:.0f} s</text>')
    for number, one in enumerate(streams):
        dots = "".join(
            f"M{axes.x(section):.1f} {axes.y(delay):.1f}h0"
            for section, delay in _thinned(list(zip(one.sections, one.delays_s, strict=True)))
        )
        parts.append(f'<path class="k{number % _COLOURS}" d="{dots}" {_DOT}/>')
    return _end(parts)


_DOT = 'stroke="currentColor" stroke-width="3.4" stroke-linecap="round" fill="none"'


def events_plot(streams: Sequence[StreamFigures]) -> Markup:
    """Accepted events of each section, the streams on one another."""
    rows = [dict(zip(one.sections, one.accepted, strict=True)) for one in streams]
    step = max(1, math.ceil(_last(streams) / _MOST_MARKS))
    bins = sorted({section // step for row in rows for section in row})
    heights = [[sum(row.get(b * step + i) or 0.0 for i in range(step)) / step for row in rows] for b in bins]
    most = _round_up(max([1.0, *(sum(one) for one in heights)]))
    scale, unit = (1000.0, "k") if most >= 2000 else (1.0, "")
    axes = _Axes(_last(streams), most)
    parts = [*_begin("Accepted events by section"), *axes.drawn(unit, scale), *_gaps(axes, streams)]
    width = max(0.8, (axes.x(1) - axes.x(0)) * step * 0.78)
    base = [0.0] * len(bins)
    for number in range(len(streams)):
        path: list[str] = []
        for place, b in enumerate(bins):
            height = heights[place][number]
            if height > 0:
                low, high = axes.y(base[place]), axes.y(base[place] + height)
                left = axes.x(b * step + step / 2 - 0.5) - width / 2
                path.append(f"M{left:.1f} {low:.1f}v{high - low:.1f}h{width:.1f}v{low - high:.1f}z")
            base[place] += height
        parts.append(f'<path class="k{number % _COLOURS}" fill="currentColor" d="{"".join(path)}"/>')
    return _end(parts)


def small_trend(streams: Sequence[StreamFigures]) -> Markup:
    """Accepted events of all streams by section as one line; a gap is a gap. Empty without two sections."""
    total: dict[int, float] = {}
    for one in streams:
        for section, events in zip(one.sections, one.accepted, strict=True):
            total[section] = total.get(section, 0.0) + (events or 0.0)
    points = _thinned(sorted(total.items()))[-200:]
    if len(points) < 2:
        return Markup()
    first, last, most = points[0][0], points[-1][0], max(1.0, *(value for _, value in points))
    path, before = "", None
    step = max(2, math.ceil(len(total) / _MOST_MARKS) + 1)
    for section, value in points:
        x = 500 * (section - first) / max(1, last - first)
        path += f"{'L' if before is not None and section - before <= step else 'M'}{x:.1f} {40 - 34 * value / most:.1f}"
        before = section
    return small_line(f"Accepted events by section, up to {zones.compact(most)}", path)


def small_line(label: str, path: str, *, has_tooltip: bool = False) -> Markup:
    """A line on a base of 500 by 44, without axes. `path`: the numbers and letters of an SVG path; `has_tooltip`: the
    label is shown at the pointer too."""
    shown = escape(label)
    tooltip = f"<title>{shown}</title>" if has_tooltip else ""
    return Markup(  # noqa: S704 (the label is escaped, and a path is made of numbers)
        f'<svg class="plot small" viewBox="0 0 500 44" preserveAspectRatio="none" role="img"'
        f' aria-label="{shown}">{tooltip}<line class="ax" x1="0" x2="500"'
        f' y1="43" y2="43"/><path d="{path}" fill="none" stroke="var(--fill)" stroke-width="1.6"'
        ' vector-effect="non-scaling-stroke"/></svg>'
    )


def _begin(label: str) -> Iterable[str]:
    yield f'<svg class="plot" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{escape(label)}">{_HATCH}'


def _end(parts: Iterable[str]) -> Markup:
    return Markup("".join(parts) + "</svg>")  # noqa: S704 (numbers and texts of this module alone)


def _gaps(axes: _Axes, streams: Sequence[StreamFigures]) -> Iterable[str]:
    for first, last in gaps(streams):
        left, right = axes.x(first - 0.5), axes.x(last + 0.5)
        size = f'width="{max(2.0, right - left):.1f}" height="{axes.bottom - _TOP:.1f}"'
        yield f'<rect class="gap" x="{left:.1f}" y="{_TOP:.0f}" {size}/>'


def _last(streams: Sequence[StreamFigures]) -> int:
    return max((one.sections[-1] for one in streams if one.sections), default=1)


def _thinned(points: Sequence[tuple[int, float | None]]) -> list[tuple[int, float]]:
    """At most so many: of several sections the largest value, so that a late one is never left out."""
    known = [(section, value) for section, value in points if value is not None]
    step = max(1, math.ceil(len(known) / _MOST_MARKS))
    parts = (known[start : start + step] for start in range(0, len(known), step))
    return [max(part, key=lambda one: one[1]) for part in parts]


def _round_up(value: float) -> float:
    size = 10 ** math.floor(math.log10(value))
    return next(step * size for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * size >= value * 0.9999)


def _ticks(most: float) -> list[float]:
    size = 10 ** math.floor(math.log10(max(most, 1e-9)))
    step = next(one * size / 10 for one in (1, 2, 5, 10, 20, 50) if most / (one * size / 10) <= 7)
    return [one * step for one in range(math.floor(most / step + 1e-9) + 1)]
