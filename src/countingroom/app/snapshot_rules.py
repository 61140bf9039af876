"""The rules for snapshots, from the section `snapshots` and the areas of the devices."""

from __future__ import annotations

from fnmatch import fnmatchcase

from countingroom.alarms.description import AlarmsSection
from countingroom.core.snapshots.rules import SnapshotRules
from countingroom.devices.description import DevicesSection
from countingroom.experiment import Experiment
from countingroom.snapshots.description import SnapshotsSection


def snapshot_rules(experiment: Experiment) -> SnapshotRules:
    """Tolerances, order, and device -> its area: the one that it names, else the first that lists it."""
    named = experiment.own_areas
    listed = experiment.section(AlarmsSection).all_areas()
    areas: dict[str, str] = {}
    for device, _ in experiment.section(DevicesSection).items():
        fitting = (
            path for path, area in listed.items() if any(fnmatchcase(device, pattern) for pattern in area.devices)
        )
        if area := named.get(f"device.{device}") or next(fitting, ""):
            areas[device] = area
    return experiment.section(SnapshotsSection).rules(areas)
