"""Checks the section `snapshots` against the points of the devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from countingroom.core.snapshots.rules import EXACT, SnapshotRules, is_kept, tolerance
from countingroom.core.yaml.located import Path, Problem
from countingroom.devices.registry import Hosted
from countingroom.experiment import Loaded
from countingroom.snapshots.description import SnapshotsSection


def snapshot_warnings(loaded: Loaded, hosted: Mapping[str, Hosted]) -> Iterator[Problem]:
    """Patterns that fit no point that a snapshot keeps, and tolerances of points that are compared by equality."""
    section = loaded.experiment.section(SnapshotsSection)
    points = {f"{device}.{point.name}": point for device, one in hosted.items() for point in one.driver.points}
    kept = {
        address: point
        for address, point in points.items()
        if is_kept(SnapshotRules(), address.partition(".")[0], point)
    }
    for pattern, rule in section.points.items():
        fitting = [point for address, point in kept.items() if fnmatchcase(address, pattern)]
        if not fitting:
            yield _unfit(loaded, ("points", pattern), pattern)
        elif not rule.leave_out and all(tolerance(SnapshotRules(absolute=1.0), "", one) == EXACT for one in fitting):
            message = "no point of this pattern is a number: they are compared by equality, the tolerance does nothing"
            yield loaded.problem(("snapshots", "points", pattern), message)
    for number, stage in enumerate(section.order):
        for place, pattern in enumerate(stage):
            if not any(fnmatchcase(address, pattern) for address in kept):
                yield _unfit(loaded, ("order", number, place), pattern)


def _unfit(loaded: Loaded, path: Path, pattern: str) -> Problem:
    message = f"{pattern} fits no point that can be written, of those that the description tells"
    return loaded.problem(("snapshots", *path), message)
