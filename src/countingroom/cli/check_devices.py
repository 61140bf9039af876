"""Builds the devices of a description without connecting them, and finds what only the built devices show.

A device with a wrong value is built too, without this value, where the others do not depend on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from countingroom.core.charts.check import Severity
from countingroom.core.charts.check import check as check_chart
from countingroom.core.errors import Cause, ConfigurationError
from countingroom.core.units import is_unit
from countingroom.core.yaml.located import Problem
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.devices.description import DevicesSection
from countingroom.devices.registry import Hosted, build
from countingroom.devices.resources import SharedResources
from countingroom.devices.section import DeviceSection
from countingroom.experiment import Loaded
from countingroom.runs.description import RunsSection
from countingroom.runs.sections.agent import SlowControlAgent


def build_devices(loaded: Loaded) -> tuple[dict[str, Hosted], list[Problem]]:
    """Build every device as the device host does, but those with wrong values that its points may depend on. Returns
    the problems this shows."""
    resources = SharedResources()
    hosted: dict[str, Hosted] = {}
    problems: list[Problem] = []
    devices = loaded.experiment.section(DevicesSection)
    for name, section in devices.items():
        own = _known(section) - _known(DeviceSection)
        if _wrong_among(loaded, name, section, own):
            continue
        try:
            hosted[name] = build(name, section, resources=resources)
        except ConfigurationError as error:
            found = (_problem(loaded, name, cause) for cause in error.cause.causes or (error.cause,))
            problems += [one for one in found if not _is_told(loaded, one)]
            continue
        problems += [loaded.problem(("devices", name), message) for message in _wrong(hosted[name])]
    # The section itself tells these too, but not beside any mistake of one of the two devices.
    for clash in devices.clashes():
        if not any(_wrong_among(loaded, name, devices[name], clash.keys) for name in clash.devices):
            path, message = clash.problem
            problems.append(loaded.problem(("devices", *path), message))
    problems += _agents(loaded, hosted)
    return hosted, problems


def _known(section: DeviceSection | type[DeviceSection]) -> frozenset[str]:
    """The keys that a section has, as in the file."""
    kind = section if isinstance(section, type) else type(section)
    return frozenset(field.alias or name for name, field in kind.model_fields.items())


def _wrong_among(loaded: Loaded, name: str, section: DeviceSection, keys: Collection[str]) -> bool:
    """Whether the value of one of these keys of a device was wrong, or may be there under a misspelled key."""
    known = _known(section)
    for wrong in loaded.wrong_keys(("devices", name)):
        meant = [wrong] if wrong in known else get_close_matches(wrong, sorted(known), n=1)
        if wrong == "" or (meant and meant[0] in keys):
            return True
    return False


def _is_told(loaded: Loaded, found: Problem) -> bool:
    """Whether a section has told this of one of its own keys: limits in the wrong order."""
    return any(
        one.path.startswith(f"{found.path}.") and found.message.startswith(one.message) for one in loaded.problems
    )


def _problem(loaded: Loaded, name: str, cause: Cause) -> Problem:
    """The problem at the key that the cause's source names (`devices.caen.points.3.lv_vMon`), or else at the device."""
    inside = cause.source.removeprefix(f"devices.{name}.")
    part, _, key = inside.partition(".") if inside != cause.source else ("", "", "")
    message = f"{cause.message}; {cause.suggestion}" if cause.suggestion else cause.message
    return loaded.problem(("devices", name, *filter(None, (part, key))), message)


def _wrong(device: Hosted) -> Iterator[str]:
    """Units that are none, each once, and errors of the state machines."""
    unknown = {point.unit: point.name for point in reversed(device.points) if not is_unit(point.unit)}
    for unit, point in unknown.items():
        yield f"point {point}: {unit!r} is not a unit; write it as V, uA, degC or g/s"
    for chart in filter(None, (device.behaviour.chart, device.behaviour.channel_chart)):
        for finding in check_chart(chart):
            if finding.severity is Severity.ERROR:
                yield f"state machine {chart.name}: {finding.text}"


def _agents(loaded: Loaded, hosted: Mapping[str, Hosted]) -> Iterator[Problem]:
    """States and commands that agents name and their devices do not have: the agent would wait for ever."""
    for name, system in loaded.experiment.section(RunsSection).systems.items():
        agent, spot = system.agent, ("runs", "systems", name, "agent")
        if not isinstance(agent, SlowControlAgent) or agent.device not in hosted or not loaded.is_whole(spot):
            continue
        behaviour = hosted[agent.device].behaviour
        states = behaviour.chart.states
        for state in agent.states:
            if state not in states:
                hint = did_you_mean(state, states)
                yield loaded.problem((*spot, "states", state), f"{agent.device} has no state {state}{hint}")
        commands = [command.name for command in behaviour.commands]
        for key, command in (("configure", agent.configure), ("abort", agent.abort)):
            if command and command not in commands:
                hint = did_you_mean(command, commands) or "; it has no commands"
                yield loaded.problem((*spot, key), f"{agent.device} has no command {command}{hint}")
