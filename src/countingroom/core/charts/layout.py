"""Places the states of a diagram on a grid. The layout depends only on the table, so a machine always looks the same.

The algorithm, a simple layered layout:

1. An event that leads from three or more states to one state (`abort`, `error`) becomes an `Escape`. It is drawn once,
   as a short arrow at its end, because lines from everywhere would hide the rest.
2. The row of a state is its longest path from the initial state over the other edges. A depth-first search leaves out
   the edges that lead back to a state on its present path.
3. Within a row, the state with the longest continuation below it comes first. So the main sequence runs down the first
   column and the side branches are to its right. More than three states of one row continue in the next grid row.
"""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.charts.chart import Chart

MANY = 3
"""An event that leads from at least so many states to one state is an escape."""
COLUMNS = 3
"""Maximum number of states in a row."""


class Escape(Struct, frozen=True, kw_only=True):
    """`event` leads to `end` from all of `begins`."""

    event: str
    end: str
    begins: tuple[str, ...]


class Edge(Struct, frozen=True, kw_only=True):
    """All events that lead from one state to another, without escapes."""

    begin: str
    end: str
    events: tuple[str, ...]


class Layout(Struct, frozen=True, kw_only=True):
    """The grid cell (row, column) of each state, and the edges."""

    cells: dict[str, tuple[int, int]]
    edges: tuple[Edge, ...]
    escapes: tuple[Escape, ...]

    def last_in_row(self, state: str) -> bool:
        """Whether it is the rightmost state of its row."""
        row, column = self.cells[state]
        return all(other <= column for line, other in self.cells.values() if line == row)


def layout(chart: Chart) -> Layout:
    """The layout of a chart. Each state has its own cell."""
    escapes = _escapes(chart)
    escaping = {(begin, escape.event) for escape in escapes for begin in escape.begins}
    ways: dict[tuple[str, str], list[str]] = {}
    for state in chart.states:
        for event in chart.allowed(state):
            if (state, event) not in escaping:
                ways.setdefault((state, chart.step(state, event)), []).append(event)
    edges = tuple(Edge(begin=begin, end=end, events=tuple(events)) for (begin, end), events in ways.items())
    return Layout(cells=_cells(chart, edges), edges=edges, escapes=escapes)


def _escapes(chart: Chart) -> tuple[Escape, ...]:
    begins: dict[tuple[str, str], list[str]] = {}
    for state in chart.states:
        for event in chart.allowed(state):
            begins.setdefault((event, chart.step(state, event)), []).append(state)
    ends: dict[str, set[str]] = {}
    for event, end in begins:
        ends.setdefault(event, set()).add(end)
    return tuple(
        Escape(event=event, end=end, begins=tuple(states))
        for (event, end), states in begins.items()
        if len(states) >= MANY and len(ends[event]) == 1
    )


def _cells(chart: Chart, edges: tuple[Edge, ...]) -> dict[str, tuple[int, int]]:
    depth = _depths(chart, edges)
    ahead = _ahead(edges, depth)
    cells: dict[str, tuple[int, int]] = {}
    row = 0
    for level in range(max(depth.values()) + 1):
        states = sorted((state for state in depth if depth[state] == level), key=lambda state: -ahead[state])
        for index, state in enumerate(states):
            cells[state] = (row + index // COLUMNS, index % COLUMNS)
        row += (len(states) + COLUMNS - 1) // COLUMNS
    return cells


def _depths(chart: Chart, edges: tuple[Edge, ...]) -> dict[str, int]:
    """The row of each state: its longest path from the initial state without edges that lead back.

    A state that only escapes reach gets the row below the first state that it leads to; when there is none, a row of
    its own at the end.
    """
    start = chart.initial if chart.initial in chart.states else chart.states[0]
    onward, order = _onward(edges, start)
    depth = {start: 0}
    for state in order:
        for end in onward[state]:
            depth[end] = max(depth.get(end, 0), depth[state] + 1)
    level = max(depth.values()) + 1
    for state in (state for state in chart.states if state not in depth):
        near = [depth[edge.end] for edge in edges if edge.begin == state and edge.end in depth]
        depth[state] = min(near) + 1 if near and level > 1 else level
    return depth


def _onward(edges: tuple[Edge, ...], start: str) -> tuple[dict[str, list[str]], list[str]]:
    """For each state its successors without those that lead back, and the states in topological order.

    Depth-first search from `start`. An edge to a state on the present path would close a cycle, so it is left out.
    """
    onward: dict[str, list[str]] = {}
    way: list[str] = []
    done: list[str] = []

    def walk(state: str) -> None:
        way.append(state)
        onward[state] = [edge.end for edge in edges if edge.begin == state and edge.end not in way]
        for end in onward[state]:
            if end not in onward:
                walk(end)
        done.append(way.pop())

    walk(start)
    return onward, done[::-1]


def _ahead(edges: tuple[Edge, ...], depth: dict[str, int]) -> dict[str, int]:
    """For each state the length of the longest continuation, row by row, below it."""
    ahead = dict.fromkeys(depth, 0)
    for state in sorted(depth, key=lambda state: -depth[state]):
        below = [ahead[e.end] + 1 for e in edges if e.begin == state and depth[e.end] == depth[state] + 1]
        ahead[state] = max(below, default=0)
    return ahead
