"""The measurements of the tracker DCS, as lines beside `readings`, so that its dashboards keep drawing. Pure.

Its Telegraf wrote a message of a device as one point with many fields; here each sample is a point with one field,
which draws the same. As there, values of a device that is not reached are not written.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from countingroom.core.values import Quality
from countingroom.history.columns import Columns
from countingroom.history.stores.line_protocol import quoted


class TrackerField(Struct, frozen=True, kw_only=True):
    """Where a point stands in the measurements of the tracker."""

    key: str
    """Measurement and tags, as `line_protocol.key` gives them."""
    name: str
    is_integer: bool = False
    state: Mapping[int, str] = {}
    """Value -> what the field `fsm_state` says with it."""
    state_below: str = ""
    """`fsm_state` of other values below 0."""


def tracker_lines(columns: Columns, fields: Mapping[str, TrackerField]) -> list[str]:
    """The lines of those points that the tracker has."""
    found: list[str] = []
    present = (columns.quality < Quality.STALE) & np.isfinite(columns.number)
    for row in np.flatnonzero(present).tolist():
        if field := fields.get(columns.names[row]):
            found.append(_line(field, float(columns.number[row]), int(columns.time_ns[row])))
    return found


def _line(field: TrackerField, number: float, time_ns: int) -> str:
    value = f"{round(number)}i" if field.is_integer else repr(number)
    state = field.state.get(round(number), field.state_below if number < 0 else "") if field.is_integer else ""
    said = f",fsm_state={quoted(state)}" if state else ""
    return f"{field.key} {field.name}={value}{said} {time_ns}"
