"""Diagrams of a state machine as text: Mermaid, Graphviz or SVG."""

from __future__ import annotations

from countingroom.core.charts.chart import Chart
from countingroom.core.charts.svg import svg


def mermaid(chart: Chart, present: str | None = None) -> str:
    """A Mermaid `stateDiagram-v2`; the present state has the class `present`."""
    ids = {state: f"s{index}" for index, state in enumerate(chart.states)}
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{_quoted(state)}" as {ids[state]}' for state in chart.states]
    if chart.initial in ids:
        lines.append(f"    [*] --> {ids[chart.initial]}")
    lines += [f"    {ids[begin]} --> {ids[end]}: {', '.join(events)}" for (begin, end), events in edges(chart).items()]
    if present in ids:
        lines += ["    classDef present fill:#424b54,color:#fff", f"    class {ids[present]} present"]
    return "\n".join(lines) + "\n"


def dot(chart: Chart, present: str | None = None) -> str:
    """A Graphviz digraph; safe states have a double border, the present state is filled."""
    lines = [f'digraph "{_escaped(chart.name)}" {{', "    node [shape=box, style=rounded];"]
    for state in chart.states:
        marks = [f'label="{_escaped(state)}"']
        marks += ["peripheries=2"] if state in chart.safe else []
        marks += ['style="rounded,filled", fillcolor="#424b54", fontcolor="white"'] if state == present else []
        lines.append(f'    "{_escaped(state)}" [{", ".join(marks)}];')
    if chart.initial in chart.states:
        lines += ["    __begin [shape=point];", f'    __begin -> "{_escaped(chart.initial)}";']
    for (begin, end), events in edges(chart).items():
        label = _escaped(", ".join(events))
        lines.append(f'    "{_escaped(begin)}" -> "{_escaped(end)}" [label="{label}"];')
    return "\n".join([*lines, "}"]) + "\n"


def edges(chart: Chart) -> dict[tuple[str, str], list[str]]:
    """(state, next) -> the events between them, in table order. Of duplicate rows the first counts, as in `step`."""
    found: dict[tuple[str, str], list[str]] = {}
    for state in chart.states:
        for event in chart.allowed(state):
            found.setdefault((state, chart.step(state, event)), []).append(event)
    return found


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _quoted(text: str) -> str:
    return text.replace('"', "'")


__all__ = ["dot", "edges", "mermaid", "svg"]
