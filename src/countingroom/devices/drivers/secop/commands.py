"""The commands of SECoP modules as commands of channels. Each has a point that is written to carry it out. Pure.

A point without argument is a bool, true while the node carries the command out. An argument is the value of the point:
a plain one as it is, a tuple or struct as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.errors import Cause, OutOfRange
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Point, Type
from countingroom.core.values import Scalar
from countingroom.devices.behaviour import Write
from countingroom.devices.drivers.secop.structure import Info, limits, wire

ARGUMENT = "argument"
"""The name of the one argument of a command that takes a plain value."""
DEADLINE_S = 30.0
_PLAIN = {"double": Type.FLOAT, "scaled": Type.FLOAT, "int": Type.INT, "enum": Type.INT, "bool": Type.BOOL}
_PLAIN["string"] = Type.STRING


class NodeCommand(Struct, frozen=True, kw_only=True):
    """A command of one module."""

    module: str
    name: str
    argument: Info | None
    description: str
    spec: CommandSpec

    @property
    def point(self) -> Point:
        """What is written to carry it out."""
        kind = Type.BOOL if self.argument is None else _PLAIN.get(self.argument["type"], Type.STRING)
        return Point(
            name=f"{self.module}.{self.name}",
            channel=self.module,
            column=self.name,
            label=self.spec.label,
            description=f"command of the node: {self.description}",
            type=kind,
            precision=3 if kind is Type.FLOAT else 0,
            stale_after_s=0.0,
            main=False,
            writable=True,
            command_only=True,
        )

    def write(self, arguments: Mapping[str, Scalar]) -> Write:
        """What is sent for these arguments."""
        name, given = self.point.name, {key: value for key, value in arguments.items() if value is not None}
        if self.argument is None:
            return Write(point=name, value=True, confirm=False)
        if ARGUMENT in given and self.argument["type"] in _PLAIN:
            return Write(point=name, value=given[ARGUMENT], confirm=False)  # pyright: ignore[reportArgumentType]
        members = dict(_members(self.argument))
        if not members:
            raise OutOfRange(f"{self.name} of {self.module} takes an argument", code="missing_argument")
        sent = {key: wire(members[key], value) for key, value in given.items()}
        text = json.dumps(list(sent.values()) if self.argument["type"] == "tuple" else sent)
        return Write(point=name, value=text, confirm=False)

    def to_send(self, value: float | int | str | bool) -> Any:
        """The argument of the protocol for what was written; None: it has none."""
        if self.argument is None:
            return None
        return wire(self.argument, value) if self.argument["type"] in _PLAIN else json.loads(str(value))


def node_command(module: str, name: str, accessible: Info) -> NodeCommand | None:
    """The command; None where its argument holds arrays, which no command of this system takes."""
    argument: Info | None = accessible["datainfo"].get("argument")
    parameters: tuple[Parameter, ...] = ()
    if argument is not None and argument["type"] in _PLAIN:
        parameters = (_parameter(ARGUMENT, argument, optional=False),)
    elif argument is not None:
        members, optional = dict(_members(argument)), argument.get("optional", ())
        if not members or any(info["type"] not in _PLAIN for info in members.values()):
            return None
        parameters = tuple(_parameter(key, info, optional=key in optional) for key, info in members.items())
    label = name.lstrip("_").replace("_", " ").capitalize()
    description = str(accessible.get("description", "")).partition("\n")[0]
    spec = CommandSpec(
        name=name,
        label=label,
        description=description,
        scope="channel",
        parameters=parameters,
        deadline_s=DEADLINE_S,
    )
    return NodeCommand(module=module, name=name, argument=argument, description=description, spec=spec)


def offered(commands: Iterable[NodeCommand]) -> dict[tuple[str, str], NodeCommand]:
    """(module, name of the command) -> the command. Where two modules have one of the same name with other arguments,
    that of the later module is `<name>_<module>`."""
    specs: dict[str, CommandSpec] = {}
    found: dict[tuple[str, str], NodeCommand] = {}
    for command in commands:
        first = specs.setdefault(command.name, command.spec)
        own = command
        if first.parameters != command.spec.parameters:
            own = replace(command, spec=replace(command.spec, name=f"{command.name}_{command.module}"))
        elif first.description != command.spec.description:
            own = replace(command, spec=first)
        found[own.module, own.spec.name] = own
    return found


def missing(command: str, module: str) -> Cause:
    """The refusal of a command that this module does not have."""
    return Cause(
        code="no_such_command",
        message=f"the module {module} has no command {command}",
        suggestion="choose a module that has it",
    )


def _members(info: Info) -> Iterable[tuple[str, Info]]:
    if info.get("type") == "struct":
        return info["members"].items()
    if info.get("type") == "tuple":
        return ((f"{ARGUMENT}_{number}", member) for number, member in enumerate(info["members"]))
    return ()


def _parameter(name: str, info: Info, *, optional: bool) -> Parameter:
    low, high = limits(info)
    return Parameter(
        name=name,
        label=name.replace("_", " "),
        type=_PLAIN[info["type"]],
        unit=str(info.get("unit", "")),
        low=low,
        high=high,
        choices=tuple(info["members"].values()) if info["type"] == "enum" else (),
        optional=optional,
    )
