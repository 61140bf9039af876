"""Checks the section `home_assistant`: patterns that match nothing, rights that are missing, and the MQTT listener."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec

from countingroom.app.home_assistant import facts as facts_of
from countingroom.app.home_assistant import problems as described_problems
from countingroom.core.command_permissions import of_device, of_point
from countingroom.core.messages import Catalogue
from countingroom.core.yaml.located import Path, Problem
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.devices.host.legality import OF_THE_HOST
from countingroom.devices.point_overrides import overridden_commands
from countingroom.devices.registry import Hosted
from countingroom.experiment import Loaded
from countingroom.home_assistant.description import HomeAssistantSection
from countingroom.home_assistant.entities import entities_of, is_button, may_set
from countingroom.home_assistant.facts import CommandFacts, command_addresses
from countingroom.mqtt.messages import BURST, PAUSE_S

Found = tuple[Path, str]
"""Where in the section, and what is wrong there."""
MOST_RETAINED = 3 << 20
"""Bytes. The listener of the bus keeps 4 MiB of retained messages of all users."""
RATE = round(BURST / PAUSE_S)
"""Messages a second, at most."""
_STATE_BYTES = 200
"""A value at the broker, with its topic."""


def home_assistant_problems(loaded: Loaded, hosted: Mapping[str, Hosted]) -> Iterator[Problem]:
    """What cannot work."""
    section = loaded.experiment.section(HomeAssistantSection)
    if section.in_use:
        for path, message in (*described_problems(loaded.experiment), *_patterns(loaded, section, hosted)):
            yield loaded.problem(("home_assistant", *path), message)


def home_assistant_warnings(loaded: Loaded, hosted: Mapping[str, Hosted]) -> Iterator[Problem]:
    """Parts that are left out, and more entities than the listener of the bus can keep."""
    section = loaded.experiment.section(HomeAssistantSection)
    if not section.in_use:
        return
    facts, catalogues = facts_of(loaded.experiment), _catalogues(hosted)
    for path, message in _without_rights(facts.commands, catalogues) if facts.commands else ():
        yield loaded.problem(("home_assistant", "commands", *path), message)
    found = [entity for one in catalogues for entity in entities_of(facts, one).values()]
    users = loaded.experiment.bus.mqtt.users if loaded.experiment.bus.mqtt else []
    for user in users if section.broker == "builtin" else ():
        if user.name == section.user and user.max_messages_per_s < min(RATE, 2 * len(found)):
            message = (
                f"{2 * len(found)} messages are published at each connection, {RATE} a second, and the user {user.name}"
                f" is kept out beyond {user.max_messages_per_s}: give it more of max_messages_per_s"
            )
            yield loaded.problem(("home_assistant", "user"), message)
    size = sum(len(msgspec.json.encode(one.config)) + len(one.topic) + _STATE_BYTES for one in found)
    if section.broker == "builtin" and size > MOST_RETAINED:
        message = (
            f"{len(found)} entities are about {size / 1e6:.1f} MB of retained messages, and the listener of the bus"
            " keeps 4.2 MB: choose fewer points, or another broker"
        )
        yield loaded.problem(("home_assistant", "points"), message)


def _patterns(loaded: Loaded, section: HomeAssistantSection, hosted: Mapping[str, Hosted]) -> Iterator[Found]:
    if len(hosted) < len(facts_of(loaded.experiment).devices):
        return  # a device has mistakes, which are told
    catalogues = _catalogues(hosted)
    points = [f"{one.device}.{point.name}" for one in catalogues for point in one.points]
    yield from _unmatched(("points",), section.points, points, "point")
    if section.commands:
        writable = [
            f"{one.device}.{point.name}"
            for one in catalogues
            for point in one.points
            if (point.writable and not point.command_only) or point.commands
        ]
        yield from _unmatched(("commands", "points"), section.commands.points, writable, "point to set")
        for index, pattern in enumerate(section.commands.points):
            known = [address for address in writable if fnmatchcase(address, pattern)]
            if known and not any(fnmatchcase(one, shown) for one in known for shown in section.points):
                yield ("commands", "points", index), f"{known[0]} is not shown: add it to `home_assistant.points`"
        buttons = [address for one in catalogues for address in _buttons(one)]
        yield from _unmatched(("commands", "buttons"), section.commands.buttons, buttons, "command without arguments")


def _unmatched(path: Path, patterns: Sequence[str], known: Sequence[str], kind: str) -> Iterator[Found]:
    for index, pattern in enumerate(patterns):
        if not any(fnmatchcase(address, pattern) for address in known):
            yield (*path, index), f"no {kind} matches {pattern}{did_you_mean(pattern, known)}"


def _without_rights(commands: CommandFacts, catalogues: Sequence[Catalogue]) -> Iterator[Found]:
    for index, pattern in enumerate(commands.points):
        for one in catalogues:
            refused = [
                point
                for point in one.points
                if fnmatchcase(f"{one.device}.{point.name}", pattern)
                and ((point.writable and not point.command_only) or point.commands)
                and not may_set(commands, one, point)
            ]
            if refused:
                role = "expert" if commands.may(one.device, of_point(None)) else "shifter"
                name = f"{one.device}.{refused[0].name}"
                yield ("points", index), f"{name} is shown only: device.{one.device} needs the role {role} in `roles`"
    for index, pattern in enumerate(commands.buttons):
        for one in catalogues:
            refused = [
                (name, "expert" if spec.dangerous else "shifter")
                for spec in one.commands
                if is_button(spec) and not commands.may(one.device, of_device(spec))
                for name, _ in command_addresses(one.device, spec, one.channels)
                if fnmatchcase(name, pattern)
            ]
            if refused:
                name, role = refused[0]
                yield ("buttons", index), f"{name} is left out: device.{one.device} needs the role {role} in `roles`"


def _buttons(catalogue: Catalogue) -> list[str]:
    return [
        address
        for spec in catalogue.commands
        if is_button(spec)
        for address, _ in command_addresses(catalogue.device, spec, catalogue.channels)
    ]


def _catalogues(hosted: Mapping[str, Hosted]) -> list[Catalogue]:
    """As the device host publishes them, as far as it matters here."""
    return [
        Catalogue(
            device=one.name,
            title=one.title,
            driver="",
            group=one.group,
            points=one.points,
            channels=one.behaviour.channels,
            channel_labels=one.channel_labels,
            commands=(*overridden_commands(one.behaviour.commands, one.section.commands), *OF_THE_HOST),
        )
        for one in hosted.values()
    ]
