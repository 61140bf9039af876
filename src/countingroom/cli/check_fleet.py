"""Checks the services that are agents and roles against the other sections of the description."""

from __future__ import annotations

from collections.abc import Iterator

from countingroom.app.fleet_runs import run_problems
from countingroom.core.yaml.located import Problem
from countingroom.experiment import Loaded


def fleet_problems(loaded: Loaded) -> Iterator[Problem]:
    """Services that name no system, a system twice, or could not reach the bus."""
    for path, text in run_problems(loaded.experiment):
        if loaded.is_whole(("fleet",)) and loaded.is_whole(("runs", "systems")):
            yield loaded.problem(("fleet", *path), text)
