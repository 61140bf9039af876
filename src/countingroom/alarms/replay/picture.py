"""The picture of a replay as SVG: a time axis, and for each alarm the spans of the replay, the spans of the record, and
the value with its limits. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from msgspec import Struct

from countingroom.alarms.replay.spans import ActiveSpan
from countingroom.core.points import Limits
from countingroom.core.series import Series

MOST_LANES = 60
"""The most alarms in one picture; the table has all alarms."""
CURVE_POINTS = 800
"""Values of a curve: about one for each pixel."""

_WIDTH, _LEFT, _RIGHT = 1180, 270, 20
_HEAD, _BAR, _THIN, _CURVE, _GAP = 64, 14, 6, 76, 14
_MINUTE = 60
_STEPS_S = (
    1, 2, 5, 10, 30, _MINUTE, 120, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
)  # fmt: skip
_MOST_TICKS = 9
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1d2733; }
.small { font-size: 10.5px; fill: #5b6775; }
.head { font-size: 15px; font-weight: 600; }
.page { fill: #ffffff; } .grid { stroke: #dfe4ea; } .frame { fill: #f6f8fa; stroke: #dfe4ea; }
.p1 { fill: #b00020; } .p2 { fill: #d9480f; } .p3 { fill: #c99700; } .p4 { fill: #3b78b0; }
.quiet { fill-opacity: .35; } .recorded { fill: #5b6775; }
.band { fill: #3b78b0; fill-opacity: .25; stroke: none; } .curve { fill: none; stroke: #3b78b0; stroke-width: 1.2; }
.warning { stroke: #c99700; stroke-dasharray: 5 3; } .alarm { stroke: #d9480f; stroke-dasharray: 5 3; }
@media (prefers-color-scheme: dark) {
text { fill: #dde4ec; } .small { fill: #98a5b3; } .page { fill: #12181f; } .grid { stroke: #2a343f; }
.frame { fill: #18202a; stroke: #2a343f; } .recorded { fill: #98a5b3; } .curve { stroke: #7fb2e5; }
.band { fill: #7fb2e5; }
}
"""


class Lane(Struct, frozen=True, kw_only=True):
    """The part of the picture for one alarm, rule or interlock."""

    name: str
    title: str
    replayed: tuple[ActiveSpan, ...] = ()
    recorded: tuple[ActiveSpan, ...] | None = None
    """None: the record has no spans of it."""
    curve: Series | None = None
    """The value below the spans."""
    limits: Limits | None = None
    unit: str = ""

    @property
    def height(self) -> int:
        """Height in pixels."""
        return _BAR + _THIN + 4 + (_CURVE if self.curve else 0) + _GAP


class _Axis:
    """Converts times to pixels."""

    def __init__(self, begin_ns: int, end_ns: int) -> None:
        self.begin_ns = begin_ns
        self.end_ns = end_ns
        self._scale = (_WIDTH - _LEFT - _RIGHT) / max(1, end_ns - begin_ns)

    def x(self, time_ns: int) -> float:
        """The x position of a time in pixels, cut to the frame."""
        time_ns = min(max(time_ns, self.begin_ns), self.end_ns)
        return round(_LEFT + (time_ns - self.begin_ns) * self._scale, 1)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Position and text of each mark."""
        span_s = (self.end_ns - self.begin_ns) / 1e9
        step_s = next((step for step in _STEPS_S if span_s / step <= _MOST_TICKS), _STEPS_S[-1])
        step_ns = step_s * 1_000_000_000
        mark_ns = -(-self.begin_ns // step_ns) * step_ns
        shown = "%d %b" if step_s >= 86_400 else "%d %b %H:%M" if span_s > 86_400 else "%H:%M"
        shown = "%H:%M:%S" if step_s < _MINUTE else shown
        while mark_ns <= self.end_ns:
            yield self.x(mark_ns), _utc(mark_ns, shown)
            mark_ns += step_ns


def picture(title: str, lanes: Sequence[Lane], begin_ns: int, end_ns: int) -> str:
    """The SVG. Lanes beyond MOST_LANES are counted in its last line."""
    shown = lanes[:MOST_LANES]
    height = _HEAD + sum(one.height for one in shown) + 34
    axis = _Axis(begin_ns, end_ns)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        f'<text class="head" x="16" y="24">{escape(title)}</text>',
        '<text class="small" x="16" y="42">upper bar: replayed, pale where not announced; lower bar: recorded; '
        "times are UTC</text>",
    ]
    for x, words in axis.ticks():
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{_HEAD - 6}" y2="{height - 28}"/>')
        parts.append(f'<text class="small" x="{x}" y="{height - 14}" text-anchor="middle">{words}</text>')
    y = _HEAD
    for lane in shown:
        parts += _lane(lane, axis, y)
        y += lane.height
    if not lanes:
        parts.append(f'<text x="{_LEFT}" y="{_HEAD + 12}">nothing was active</text>')
    if left := len(lanes) - len(shown):
        parts.append(f'<text class="small" x="16" y="{height - 14}">and {left} more</text>')
    parts.append("</svg>\n")
    return "\n".join(parts)


def _lane(lane: Lane, axis: _Axis, y: int) -> Iterator[str]:
    yield f'<text x="16" y="{y + 12}">{escape(_short(lane.title))}<title>{escape(lane.name)}</title></text>'
    for span in lane.replayed:
        yield _bar(span, axis, y, _BAR, f"p{span.priority}{'' if span.announced else ' quiet'}")
    for span in lane.recorded or ():
        yield _bar(span, axis, y + _BAR + 2, _THIN, "recorded")
    if lane.curve is not None:
        yield from _curve(lane, lane.curve, axis, y + _BAR + _THIN + 8)


def _bar(span: ActiveSpan, axis: _Axis, y: int, height: int, kind: str) -> str:
    end_ns = axis.end_ns if span.end_ns is None else span.end_ns
    left, right = axis.x(span.begin_ns), axis.x(end_ns)
    until = "until the end" if span.end_ns is None else _utc(end_ns)
    words = f"{_utc(span.begin_ns)} to {until}, priority {span.priority}{f': {span.text}' if span.text else ''}"
    return (
        f'<rect class="{kind}" x="{left}" y="{y}" width="{max(1.5, round(right - left, 1))}" height="{height}" rx="2">'
        f"<title>{escape(words)}</title></rect>"
    )


def _curve(lane: Lane, series: Series, axis: _Axis, top: int) -> Iterator[str]:
    height = _CURVE - 10
    limits = [(value, kind) for value, kind in _limits(lane.limits)]
    known = [one for one in (*series.low, *series.high) if one is not None]
    every = [*known, *(value for value, _ in limits)]
    low, high = min(every, default=0.0), max(every, default=1.0)
    margin = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
    low, high = low - margin, high + margin

    def at(value: float) -> float:
        return round(top + height * (high - value) / (high - low), 1)

    yield f'<rect class="frame" x="{_LEFT}" y="{top}" width="{_WIDTH - _LEFT - _RIGHT}" height="{height}"/>'
    for value, kind in limits:
        yield f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at(value)}" y2="{at(value)}"/>'
    for value in (low + margin, high - margin):
        text = f"{value:.5g} {lane.unit}".strip()
        yield f'<text class="small" x="{_LEFT - 6}" y="{at(value) + 4}" text-anchor="end">{escape(text)}</text>'
    for part in _unbroken(series):
        xs = [axis.x(series.time_ns[row]) for row in part]
        xs.append(axis.x(series.time_ns[part[-1] + 1]) if part[-1] + 1 < len(series.time_ns) else axis.x(axis.end_ns))
        highs = [at(series.high[row] or 0.0) for row in part]
        lows = [at(series.low[row] or 0.0) for row in part]
        means = [at(series.mean[row] or 0.0) for row in part]
        upper, lower = _steps(xs, highs), _steps(xs, lows)
        if highs != lows:
            yield f'<path class="band" d="M{" L".join([*upper, *reversed(lower)])} Z"/>'
        yield f'<path class="curve" d="M{" L".join(_steps(xs, means))}"/>'


def _steps(xs: Sequence[float], ys: Sequence[float]) -> list[str]:
    """The points of a stepped line: a value holds until the next one. `xs` has one element more than `ys`."""
    return [f"{x},{y}" for row, y in enumerate(ys) for x in (xs[row], xs[row + 1])]


def _unbroken(series: Series) -> Iterator[list[int]]:
    """The groups of consecutive rows with values."""
    part: list[int] = []
    for row, mean in enumerate(series.mean):
        if mean is not None and series.low[row] is not None and series.high[row] is not None:
            part.append(row)
        elif part:
            yield part
            part = []
    if part:
        yield part


def _limits(limits: Limits | None) -> Iterator[tuple[float, str]]:
    if limits is None:
        return
    for key, kind in (
        ("alarm_low", "alarm"),
        ("warning_low", "warning"),
        ("warning_high", "warning"),
        ("alarm_high", "alarm"),
    ):
        if (value := getattr(limits, key)) is not None:
            yield value, kind


def _short(title: str) -> str:
    most = 38
    return title if len(title) <= most else f"{title[: most - 1]}…"


def _utc(time_ns: int, shown: str = "%Y-%m-%d %H:%M:%S") -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime(shown)
