"""The panels of a device: numbers over time with their limits, and states and texts as stretches. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from countingroom.core.points import Limits, Point, Type
from countingroom.core.units import written
from countingroom.history.grafana.sources import DataSource, Json

_UNITS = {
    "degC": "celsius",
    "K": "kelvin",
    "V": "volt",
    "A": "amp",
    "W": "watt",
    "percent": "percent",
    "ppm": "ppm",
    "rpm": "rotrpm",
    "bar": "pressurebar",
    "s": "s",
    "ms": "ms",
    "Hz": "hertz",
}
"""Units that Grafana has by name; others are written behind the number."""
_GREEN, _YELLOW, _RED = "green", "orange", "red"
_WIDE, _HALF, _HIGH, _LOW_HIGH = 24, 12, 8, 5
_GAP_MS = 125_000
"""A line is not drawn over a longer time without a sample."""


def panels(device: str, points: Sequence[Point], source: DataSource) -> list[Json]:
    """Main points first; the others below in a row that is folded."""
    layout = _Layout()
    for panel in _panels(device, [point for point in points if point.main], source):
        layout.add(panel)
    rest = list(_panels(device, [point for point in points if not point.main], source))
    found = layout.panels
    if rest:
        row = layout.row("All values")
        below = _Layout(layout.next_id, layout.bottom)
        for panel in rest:
            below.add(panel)
        row["panels"] = below.panels
        found.append(row)
    return found


def _panels(device: str, points: Sequence[Point], source: DataSource) -> Iterator[Json]:
    groups: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        groups.setdefault(_group(point), []).append(point)
    for (kind, *_), group in groups.items():
        if kind == "number":
            yield _numbers(device, group, source)
        else:
            yield _states(device, group, source, is_text=kind == "text")


def _group(point: Point) -> tuple[str, ...]:
    """Points of one panel: the column of all channels; without channels those of one unit."""
    if point.type is Type.STRING:
        return ("text", point.column if point.channel else "")
    if point.type is Type.BOOL or point.codes:
        return ("state", point.column if point.channel else point.name if point.codes else "")
    return ("number", point.column if point.channel else "", point.unit)


def _title(points: Sequence[Point]) -> str:
    first = points[0]
    label = first.label or first.column or first.name
    return label if first.channel or len(points) == 1 else ", ".join(point.label or point.name for point in points[:4])


def _numbers(device: str, points: Sequence[Point], source: DataSource) -> Json:
    first = points[0]
    defaults: Json = {
        "unit": grafana_unit(first.unit),
        "decimals": first.precision,
        "thresholds": _thresholds(first.limits),
        "custom": {
            "lineInterpolation": "stepAfter",
            "spanNulls": _GAP_MS,
            "showPoints": "auto",
            "thresholdsStyle": {"mode": "off" if first.limits == Limits() else "line"},
        },
    }
    overrides = [
        _override(source.series(device, point.name), _of_point(point))
        for point in points
        if point.limits != first.limits
    ]
    return {
        "type": "timeseries",
        "title": _title(points),
        "description": first.description,
        "datasource": source.reference,
        "targets": [source.numbers(device, [point.name for point in points])],
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "none"},
        },
    }


def _of_point(point: Point) -> Json:
    return {
        "thresholds": _thresholds(point.limits),
        "custom.thresholdsStyle": {"mode": "off" if point.limits == Limits() else "line"},
    }


def _override(series: str, properties: Json) -> Json:
    return {
        "matcher": {"id": "byName", "options": series},
        "properties": [{"id": name, "value": value} for name, value in properties.items()],
    }


def _states(device: str, points: Sequence[Point], source: DataSource, *, is_text: bool) -> Json:
    first = points[0]
    words = first.codes or ({"0": "off", "1": "on"} if first.type is Type.BOOL else {})
    options = {value: {"text": text, "index": place} for place, (value, text) in enumerate(words.items())}
    defaults: Json = {
        "mappings": [{"type": "value", "options": options}] if options else [],
        "custom": {"fillOpacity": 70, "lineWidth": 0, "spanNulls": _GAP_MS},
    }
    return {
        "type": "state-timeline",
        "title": _title(points),
        "description": first.description,
        "datasource": source.reference,
        "targets": [source.words(device, [point.name for point in points], is_text=is_text)],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {
            "mergeValues": True,
            "showValue": "auto",
            "alignValue": "left",
            "rowHeight": 0.9,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        },
    }


def grafana_unit(unit: str) -> str:
    """The name that Grafana has for a unit."""
    if not unit:
        return "none"
    return _UNITS.get(unit) or f"suffix: {written(unit)}"


def _thresholds(limits: Limits) -> Json:
    """The colours from low to high: the value of a step is where its colour begins."""
    steps: list[Json] = []
    colour = _GREEN
    if limits.warning_low is not None:
        colour = _YELLOW
    if limits.alarm_low is not None:
        colour = _RED
    steps.append({"color": colour, "value": None})
    if limits.alarm_low is not None:
        steps.append({"color": _GREEN if limits.warning_low is None else _YELLOW, "value": limits.alarm_low})
    if limits.warning_low is not None:
        steps.append({"color": _GREEN, "value": limits.warning_low})
    if limits.warning_high is not None:
        steps.append({"color": _YELLOW, "value": limits.warning_high})
    if limits.alarm_high is not None:
        steps.append({"color": _RED, "value": limits.alarm_high})
    return {"mode": "absolute", "steps": steps}


class _Layout:
    """Places panels: numbers in two columns, states over the whole width."""

    def __init__(self, first_id: int = 1, top: int = 0) -> None:
        self.panels: list[Json] = []
        self.next_id = first_id
        self.bottom = top
        self._is_left_taken = False

    def add(self, panel: Json) -> None:
        """Place a panel behind the others."""
        is_half = panel["type"] == "timeseries"
        if self._is_left_taken and not is_half:
            self.bottom += _HIGH
            self._is_left_taken = False
        where = {
            "x": _HALF if self._is_left_taken else 0,
            "y": self.bottom,
            "w": _HALF if is_half else _WIDE,
            "h": _HIGH if is_half else _LOW_HIGH,
        }
        self.panels.append({"id": self.next_id, "gridPos": where, **panel})
        self.next_id += 1
        if not is_half:
            self.bottom += _LOW_HIGH
        elif self._is_left_taken:
            self.bottom += _HIGH
            self._is_left_taken = False
        else:
            self._is_left_taken = True

    def row(self, title: str) -> Json:
        """A folded row below the panels, without its content yet."""
        if self._is_left_taken:
            self.bottom += _HIGH
            self._is_left_taken = False
        where = {"x": 0, "y": self.bottom, "w": _WIDE, "h": 1}
        row: Json = {"id": self.next_id, "type": "row", "title": title, "collapsed": True, "gridPos": where}
        self.next_id += 1
        self.bottom += 1
        return row
