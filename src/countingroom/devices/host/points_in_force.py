"""The points of a device as they are in force: those of its driver, with what the description says of them."""

from __future__ import annotations

from countingroom.core.points import Point
from countingroom.devices.host.staleness import with_least_stale_after
from countingroom.devices.port import MonitoringDriver, ProvingDriver
from countingroom.devices.registry import Hosted

POLLS = 3.0
"""A point that is polled or proven is not declared STALE before this many poll intervals."""


def points_in_force(hosted: Hosted, described: tuple[Point, ...]) -> tuple[Point, ...]:
    """The points that the driver describes, with the calibrations and overrides of the description."""
    points = hosted.in_force(described)
    if isinstance(hosted.driver, ProvingDriver) or not isinstance(hosted.driver, MonitoringDriver):
        points = tuple(with_least_stale_after(point, POLLS * hosted.section.poll) for point in points)
    return points
