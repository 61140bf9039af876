"""Checks the services that are agents and roles against the other sections of the description."""

from __future__ import annotations

from collections.abc import Iterator

from countingroom.app.fleet_runs import run_problems
from countingroom.core.fleet.usage import device_of
from countingroom.core.yaml.located import Problem
from countingroom.devices.description import DevicesSection
from countingroom.experiment import Loaded
from countingroom.fleet.description import FleetSection


def fleet_problems(loaded: Loaded) -> Iterator[Problem]:
    """Services that name no system, a system twice, or could not reach the bus; nodes whose power or values are at odds
    with the devices."""
    for path, text in run_problems(loaded.experiment):
        if loaded.is_whole(("fleet",)) and loaded.is_whole(("runs", "systems")):
            yield loaded.problem(("fleet", *path), text)
    if loaded.is_whole(("fleet",)) and loaded.is_whole(("devices",)):
        devices = loaded.experiment.section(DevicesSection).root
        for name, node in loaded.experiment.section(FleetSection).nodes.items():
            if node.power and node.power.device not in devices:
                place = ("fleet", "nodes", name, "power", "device")
                yield loaded.problem(place, f"there is no device {node.power.device}")
            if device_of(name) in devices:
                yield loaded.problem(
                    ("devices", device_of(name)), f"the node {name} of the fleet has its values under this name"
                )
