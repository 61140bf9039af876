"""Checks the rules of the section `pvs` against the existing points and the rights to write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from countingroom.core import command_permissions, policy
from countingroom.core.points import Point
from countingroom.core.policy import Principal
from countingroom.core.yaml.located import Problem
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.devices.description import DevicesSection
from countingroom.devices.registry import Hosted
from countingroom.experiment import Loaded
from countingroom.pvs.access import ANY_HOST
from countingroom.pvs.description import PvsSection


def pvs_problems(loaded: Loaded, hosted: Mapping[str, Hosted]) -> Iterator[Problem]:
    """Patterns of rules that no point can be written by."""
    section, points = loaded.experiment.section(PvsSection), _points(hosted)
    if not loaded.is_whole(("devices",)) or len(hosted) != len(loaded.experiment.section(DevicesSection)):
        return  # devices with mistakes, which are told, have points that are not known here
    for name, rule in section.write.items():
        for place, pattern in enumerate(rule.points):
            if message := _problem(pattern, section.points, points):
                yield loaded.problem(("pvs", "write", name, "points", place), message)
            elif message := _denied(pattern, section.rules[name].principal, points):
                yield loaded.problem(("pvs", "write", name, "roles"), message)


def pvs_warnings(loaded: Loaded) -> Iterator[Problem]:
    """Rules that open more than they seem to."""
    section = loaded.experiment.section(PvsSection)
    for name, rule in section.write.items():
        if ANY_HOST in rule.hosts and section.interface != "127.0.0.1":
            message = f"every program of the network at {section.interface} can write these points: name the hosts"
            yield loaded.problem(("pvs", "write", name, "hosts"), message)
        elif len(rule.hosts) > 1 and ANY_HOST in rule.hosts:
            yield loaded.problem(("pvs", "write", name, "hosts"), f"{ANY_HOST} is every host: the others do nothing")


def _problem(pattern: str, served: list[str], points: Mapping[str, Point]) -> str:
    fitting = [address for address in points if fnmatchcase(address, pattern)]
    if not fitting:
        return f"no point fits {pattern}{did_you_mean(pattern, points)}"
    writable = [one for one in fitting if points[one].writable and not points[one].command_only]
    if not writable:
        return f"no point that fits {pattern} can be written, as {fitting[0]}"
    if not any(fnmatchcase(one, wanted) for one in writable for wanted in served):
        return f"no point that fits {pattern} is served: add it to pvs.points"
    return ""


def _denied(pattern: str, principal: Principal, points: Mapping[str, Point]) -> str:
    """Why the principal may write none of the points."""
    message = ""
    for address, point in points.items():
        if point.writable and not point.command_only and fnmatchcase(address, pattern):
            target = f"device.{address.partition('.')[0]}"
            cause = policy.decide(principal, command_permissions.of_point(point), target, now_ns=0)
            if cause is None:
                return ""
            message = message or f"{address} could not be written: {cause.message}"
    return message


def _points(hosted: Mapping[str, Hosted]) -> dict[str, Point]:
    return {f"{name}.{point.name}": point for name, one in hosted.items() for point in one.points}
