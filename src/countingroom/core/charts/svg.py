"""Draws a state machine as SVG: boxes on the grid of `layout.py`, lines between them, the present state filled.

Colours come from CSS classes: `chart` (the svg), `state` with `present` and `safe` (rect and text in a g), `edge`
(lines), `head` (arrow heads), `event` (labels). `svg(…, standalone=True)` includes a style sheet, for use as a file.

The steps: each edge gets a kind by the cells of its ends. `down` is a straight line between neighbouring rows, `across`
one between neighbouring columns, `loop` returns to its own box, `left` and `right` run through a gutter at that side.
Each end at the side of a box gets a port of its own, so that lines do not touch; the heights of the boxes and the
widths of the gutters follow from the number of ports, lines and the lengths of the labels. Shorter gutter lines are
nearer to the boxes, which avoids crossings.
"""

from __future__ import annotations

from html import escape as text_of
from math import hypot

from countingroom.core.charts.chart import Chart
from countingroom.core.charts.layout import Edge, Escape, Layout, layout

_STYLE = """<style>
.chart { font: 12px Inter, system-ui, sans-serif; background: #e8eaec }
.chart .state rect { fill: #f4f6f8; stroke: #b6bcc2 }
.chart .state text { text-anchor: middle; fill: #15191d }
.chart .present rect { fill: #424b54; stroke: #15191d; stroke-width: 2 }
.chart .present text { fill: #fff; font-weight: 700 }
.chart .edge { fill: none; stroke: #5b636b }
.chart .head { fill: #5b636b }
.chart .event { font-size: 11px; fill: #4a525a }
</style>"""

_LETTER, _SMALL = 8.0, 6.2
"""Width of a letter in the name of a state and of an event, px. Rather large, because the font is not known."""
_PORT, _TRACK, _STUB, _BETWEEN = 13.0, 14.0, 22.0, 46.0
"""Distance of two ports, distance of two lines in a gutter, length of a short arrow, distance of two rows; in px."""

Spot = tuple[float, float]
Way = tuple[str, str, str]
"""The line of a port: (begin, end, kind of line)."""


def svg(chart: Chart, present: str | None = None, *, standalone: bool = False) -> str:
    """The diagram as SVG text; the state `present` is filled."""
    return _Picture(chart, layout(chart)).draw(present, standalone=standalone)


class _Picture:
    """One diagram: sorts the edges by kind, assigns the ports, computes the sizes; `draw` writes the SVG."""

    def __init__(self, chart: Chart, plan: Layout) -> None:
        self.chart = chart
        self.plan = plan
        self.ports: dict[tuple[str, str], list[Way]] = {}
        self.kinds: dict[str, list[Edge]] = {"loop": [], "across": [], "down": [], "left": [], "right": []}
        for edge in plan.edges:
            self._sort(edge)
        for kind in ("left", "right"):
            self.kinds[kind].sort(key=lambda edge: abs(plan.cells[edge.begin][0] - plan.cells[edge.end][0]))
        for one in plan.escapes:
            self._port(one.end, "right", ("", one.end, one.event))
        self._measure()

    def _sort(self, edge: Edge) -> None:
        """Choose the kind of line, and add a port at both its boxes."""
        (row, column), (below, aside) = self.plan.cells[edge.begin], self.plan.cells[edge.end]
        kind, out, into = "right", "right", "right"
        if edge.begin == edge.end:
            kind, into = "loop", ""
        elif abs(row - below) == 1:
            kind, out, into = "down", "", ""
        elif row == below and abs(column - aside) == 1:
            kind, out, into = ("across", "right", "left") if column < aside else ("across", "left", "right")
        elif column == aside == 0:
            kind, out, into = "left", "left", "left"
        self.kinds[kind].append(edge)
        for state, side in ((edge.begin, out), (edge.end, into)):
            if side:
                self._port(state, side, (edge.begin, edge.end, kind))

    def _port(self, state: str, side: str, way: Way) -> None:
        self.ports.setdefault((state, side), []).append(way)

    def _measure(self) -> None:
        cells = self.plan.cells.values()
        rows, columns = (max(cell[axis] for cell in cells) + 1 for axis in (0, 1))
        self.wide = max(92.0, max(map(len, self.plan.cells)) * _LETTER + 36)
        self.high = max([28.0, *((len(ways) + 1) * _PORT for ways in self.ports.values())])
        texts = {kind: max([0.0, *(_long(edge) for edge in edges)]) for kind, edges in self.kinds.items()}
        stub = max([0.0, *(len(_escape_label(one)) * _SMALL + _STUB for one in self.plan.escapes)])
        beside = max(texts["loop"] + _STUB, stub) if texts["loop"] or stub else 0.0
        self.gap = max(30.0, texts["across"] + 24, beside + 16)
        self.left = 12 + (texts["left"] + 12 + len(self.kinds["left"]) * _TRACK if self.kinds["left"] else 0)
        self.left = max(self.left, texts["down"] - self.wide / 3 + 12)
        self.top = 34.0
        self.right = self.left + columns * self.wide + (columns - 1) * self.gap
        self.right += max(beside + 8, texts["right"] + _STUB + 12)
        self.width = self.right + len(self.kinds["right"]) * _TRACK + 12
        self.height = self.top + rows * (self.high + _BETWEEN) - _BETWEEN + 16

    def _corner(self, state: str) -> Spot:
        row, column = self.plan.cells[state]
        return self.left + column * (self.wide + self.gap), self.top + row * (self.high + _BETWEEN)

    def _spot(self, state: str, side: str, way: Way) -> Spot:
        ways = self.ports[state, side]
        part = (ways.index(way) + 1) / (len(ways) + 1)
        x, y = self._corner(state)
        return x + (0 if side == "left" else self.wide), y + self.high * part

    def draw(self, present: str | None, *, standalone: bool) -> str:
        label = f"State machine {self.chart.name}" + (f", present state {present}" if present else "")
        size = f'viewBox="0 0 {self.width:.0f} {self.height:.0f}" width="{self.width:.0f}" height="{self.height:.0f}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" {size} role="img" aria-label="{text_of(label)}">',
            *([_STYLE] if standalone else []),
            *self._begin(),
            *(part for edge in self.kinds["down"] for part in self._down(edge)),
            *(part for edge in self.kinds["across"] for part in self._across(edge)),
            *(part for edge in self.kinds["loop"] for part in self._loop(edge)),
            *(part for edge in self.kinds["left"] for part in self._left(edge)),
            *(part for edge in self.kinds["right"] for part in self._right(edge)),
            *(part for one in self.plan.escapes for part in self._escape(one)),
            *(self._box(state, present) for state in self.plan.cells),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _begin(self) -> list[str]:
        if self.chart.initial not in self.plan.cells:
            return []
        x, y = self._corner(self.chart.initial)
        return [
            f'<circle class="head" cx="{x + 14:.1f}" cy="{y - 20:.1f}" r="4"/>',
            *_line([(x + 14, y - 16), (x + 14, y)]),
        ]

    def _down(self, edge: Edge) -> list[str]:
        """A line between neighbouring rows: straight down, back up beside it, or diagonally from corner to corner."""
        (row, column), (below, aside) = self.plan.cells[edge.begin], self.plan.cells[edge.end]
        both = any(other.begin == edge.end and other.end == edge.begin for other in self.kinds["down"])
        downward, corner = row < below, 0.88 if column < aside else 0.12
        corner += (0.5 - corner) * 0.2 if both and not downward else 0
        share = 0.5 if not both else 0.67 if downward else 0.33
        (x, y), (to_x, to_y) = self._corner(edge.begin), self._corner(edge.end)
        begin = (x + self.wide * (share if column == aside else corner), y + (self.high if downward else 0))
        end = (to_x + self.wide * (share if column == aside else 1 - corner), to_y + (0 if downward else self.high))
        before = both and not downward and column == aside
        part = 0.5 if column == aside else 0.3
        at_x, at_y = begin[0] + (end[0] - begin[0]) * part, begin[1] + (end[1] - begin[1]) * part + 4
        return [*_line([begin, end]), _text(edge, at_x + (-5 if before else 5), at_y, "end" if before else "start")]

    def _across(self, edge: Edge) -> list[str]:
        onward = self.plan.cells[edge.begin][1] < self.plan.cells[edge.end][1]
        way, out, into = (edge.begin, edge.end, "across"), *(("right", "left") if onward else ("left", "right"))
        begin, end = self._spot(edge.begin, out, way), self._spot(edge.end, into, way)
        return [*_line([begin, end]), _text(edge, (begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2 - 4, "middle")]

    def _loop(self, edge: Edge) -> list[str]:
        x, y = self._spot(edge.begin, "right", (edge.begin, edge.end, "loop"))
        return [*_line([(x, y - 4), (x + 12, y - 4), (x + 12, y + 3), (x, y + 3)]), _text(edge, x + 18, y + 4, "start")]

    def _left(self, edge: Edge) -> list[str]:
        """A line through the left gutter, between boxes of the first column."""
        way, edges = (edge.begin, edge.end, "left"), self.kinds["left"]
        begin, end = self._spot(edge.begin, "left", way), self._spot(edge.end, "left", way)
        x = 12 + (len(edges) - 1 - edges.index(edge)) * _TRACK
        return [*_line([begin, (x, begin[1]), (x, end[1]), end]), _text(edge, begin[0] - 5, begin[1] - 3, "end")]

    def _right(self, edge: Edge) -> list[str]:
        """A line through the right gutter; it passes neighbours on that side in the space below the row."""
        way, track = (edge.begin, edge.end, "right"), self.kinds["right"].index(edge) * _TRACK
        begin, end = self._spot(edge.begin, "right", way), self._spot(edge.end, "right", way)
        x, lane = self.right + track, self.high + min(9 + track / 2, _BETWEEN - 12)
        inward = [(x, end[1]), end]
        if not self.plan.last_in_row(edge.end):
            y = self._corner(edge.end)[1] + lane
            inward = [(x, y), (end[0] + 14, y), (end[0] + 14, end[1]), end]
        if not self.plan.last_in_row(edge.begin):
            y = self._corner(edge.begin)[1] + lane
            outward = [begin, (begin[0] + 9, begin[1]), (begin[0] + 9, y), (x, y)]
            return [*_line([*outward, *inward]), _text(edge, begin[0] + 13, y - 3, "start")]
        after = begin[0] + _STUB + 8 + _long(edge)  # the line has a gap for its label
        stub = f'<polyline class="edge" points="{_points([begin, (begin[0] + _STUB, begin[1])])}"/>'
        label = _text(edge, begin[0] + _STUB + 4, begin[1] + 4, "start")
        return [stub, label, *_line([(after, begin[1]), (x, begin[1]), *inward])]

    def _escape(self, one: Escape) -> list[str]:
        x, y = self._spot(one.end, "right", ("", one.end, one.event))
        title = f"<title>{text_of(one.event)} from {text_of(', '.join(one.begins))}</title>"
        label = f'<text class="event" x="{x + _STUB + 4:.1f}" y="{y + 4:.1f}">{text_of(_escape_label(one))}</text>'
        return ["<g>", title, *_line([(x + _STUB, y), (x, y)]), label, "</g>"]

    def _box(self, state: str, present: str | None) -> str:
        x, y = self._corner(state)
        is_present = state == present
        names = "state" + (" present" if is_present else "") + (" safe" if state in self.chart.safe else "")
        rect = f'<rect x="{x:.1f}" y="{y:.1f}" width="{self.wide:.1f}" height="{self.high:.1f}" rx="4"/>'
        word = ("▶ " if is_present else "") + text_of(state)
        return (
            f'<g class="{names}" data-state="{text_of(state)}">{rect}'
            f'<text x="{x + self.wide / 2:.1f}" y="{y + self.high / 2 + 4:.1f}">{word}</text></g>'
        )


def _label(edge: Edge) -> str:
    return ", ".join(edge.events)


def _long(edge: Edge) -> float:
    return len(_label(edge)) * _SMALL


def _escape_label(one: Escape) -> str:
    return f"{one.event} (from {len(one.begins)})"


def _text(edge: Edge, x: float, y: float, anchor: str) -> str:
    return f'<text class="event" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text_of(_label(edge))}</text>'


def _line(spots: list[Spot]) -> list[str]:
    """A line through the spots with an arrow head at its end."""
    (fx, fy), (x, y) = spots[-2], spots[-1]
    long = hypot(x - fx, y - fy) or 1.0
    dx, dy = (x - fx) / long, (y - fy) / long
    wings = [(x - 7 * dx - 3.5 * dy, y - 7 * dy + 3.5 * dx), (x - 7 * dx + 3.5 * dy, y - 7 * dy - 3.5 * dx)]
    return [
        f'<polyline class="edge" points="{_points(spots)}"/>',
        f'<polygon class="head" points="{_points([(x, y), *wings])}"/>',
    ]


def _points(spots: list[Spot]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
