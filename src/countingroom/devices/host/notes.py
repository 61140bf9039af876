"""Events about values that are refused, and about changes that are not published: many of them are one event.

Used by `device.py`, which records what this module makes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.points import Point
from countingroom.devices.host.points import PointTable
from countingroom.devices.port import Driver, ReportingDriver, ThinningDriver

_log = logging.getLogger(__name__)

TOLD_ONE_BY_ONE = 5
"""Points that become BAD together have an event each up to this number, and one for all beyond."""
MOST_TOLD = 100
"""Points with their reasons in such an event."""

FIRST_THINNED_S = 10.0
THINNED_S = 600.0
"""Least time between two events about changes that were not published."""
THINNED_NAMED = 5


class Note(Struct, frozen=True):
    """An event of the kind NOTE: its message and its other fields."""

    message: str
    fields: dict[str, Any]


def of_refusals(device: str, points: Mapping[str, Point], refusals: Sequence[tuple[str, str]]) -> Iterator[Note]:
    """One note for each point that is BAD; one for all of many at once, as when a server is away that has them."""
    source = f"devices.{device}"
    if len(refusals) > TOLD_ONE_BY_ONE:
        yield _of_many(device, source, refusals)
        return
    for name, reason in refusals:
        cause = Cause(
            code="bad_value",
            message=reason,
            source=f"{source}.{name}",
            suggestion="look at the points that it is computed from"
            if points[name].inputs
            else "check what the device sends for this point",
        )
        _log.warning("%s.%s is BAD: %s", source, name, reason)
        yield Note(
            f"{device}.{name} is BAD: {reason}", {"channel": points[name].channel, "cause": cause, "severity": 3}
        )


def _of_many(device: str, source: str, refusals: Sequence[tuple[str, str]]) -> Note:
    names = [name for name, _ in refusals]
    shown = ", ".join(names[:TOLD_ONE_BY_ONE])
    cause = Cause(
        code="bad_value",
        message=f"{names[0]}: {refusals[0][1]}",
        source=source,
        evidence={"points": len(names)},
        suggestion="look at the points of the device, each of which gives its reason",
    )
    message = f"{len(names)} points of {device} are BAD: {shown} and others"
    _log.warning("%s: %d points are BAD: %s and others", source, len(names), shown)
    return Note(message, {"cause": cause, "severity": 3, "data": dict(refusals[:MOST_TOLD])})


def of_reports(device: str, driver: Driver) -> Iterator[Note]:
    """One note for each report of the driver since the last call."""
    source = f"devices.{device}"
    for report in driver.reports() if isinstance(driver, ReportingDriver) else ():
        cause = Cause(
            code=report.code,
            message=report.message,
            source=source,
            evidence={"points": len(report.points)},
            suggestion="look whether the server of the device is overloaded or was changed",
        )
        _log.warning("%s: %s", source, report.message)
        yield Note(
            f"{device}: {report.message}",
            {"cause": cause, "severity": 3, "data": {"points": report.points[:MOST_TOLD]}},
        )


class ThinnedNotes:
    """When to tell of changes that were not published, and what."""

    def __init__(self, device: str, driver: Driver, table: PointTable, now_s: float) -> None:
        self._device = device
        self._driver = driver
        self._table = table
        self._told = 0
        self._due_s = now_s + FIRST_THINNED_S

    def due(self, now_s: float, *, at_the_end: bool = False) -> Note | None:
        """The note that is due at this monotonic time, or None."""
        if now_s < self._due_s and not at_the_end:
            return None
        by_client = self._driver.thinned if isinstance(self._driver, ThinningDriver) else 0
        thinned = self._table.thinned
        count = thinned.total() + by_client - self._told
        if count <= 0:
            return None
        self._told += count
        self._due_s = now_s + THINNED_S
        named = ", ".join(name for name, _ in thinned.most_common(THINNED_NAMED))
        message = f"{count} changes of {self._device} were not published: newer ones came before, or too many at once"
        if named:
            message += f"; most of {named}"
        _log.info("devices.%s: %s", self._device, message)
        data = {"changes": count, "in_the_client": by_client}
        return Note(f"{message}. `every_change: true` keeps all of a point", {"data": data})
