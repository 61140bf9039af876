"""The section of a SECoP node: its address, and what the node said of itself when the section was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from countingroom.core.subjects import is_token
from countingroom.core.yaml.section import Section
from countingroom.devices.drivers.secop.commands import node_command
from countingroom.devices.drivers.secop.structure import leaves
from countingroom.devices.section import Address, DeviceSection, Problem

DEFAULT_PORT = 10767


class SecopAccessible(Section):
    """A parameter or a command of a module, as the node describes it."""

    description: str = ""
    datainfo: dict[str, Any]
    """Its type, with range, unit and members, as in the SECoP specification."""
    readonly: bool = True

    @property
    def is_command(self) -> bool:
        """Whether it is a command."""
        return self.datainfo.get("type") == "command"


class SecopModule(Section):
    """A module of the node. Parameters and commands that are not wanted can be left out."""

    description: str = ""
    accessibles: Annotated[dict[str, SecopAccessible], Field(min_length=1)]


class SecopSection(DeviceSection):
    """A SECoP node, such as a frappy server. `countingroom secop describe HOST` writes this section."""

    driver: Literal["secop"]
    host: Address
    port: Annotated[int, Field(ge=1, le=65535)] = DEFAULT_PORT
    equipment_id: str = ""
    """What the node calls itself; a node with another one is not used. Empty: any."""
    modules: Annotated[dict[str, SecopModule], Field(min_length=1)]
    """Module -> what the node says of it."""

    def problems(self) -> Iterable[Problem]:
        """Names that cannot be used, and types that are not known."""
        for module, described in self.modules.items():
            if not is_token(module):
                yield ("modules", module), f"{module!r} is not a name; use only letters, digits, _ and -"
            for name, accessible in described.accessibles.items():
                if reason := problem_of(module, name, accessible):
                    yield ("modules", module, "accessibles", name), reason


def problem_of(module: str, name: str, accessible: SecopAccessible) -> str:
    """Why this accessible cannot be used; empty: it can."""
    if not is_token(name):
        return f"{name!r} is not a name; use only letters, digits, _ and -"
    given: Mapping[str, Any] = accessible.model_dump()
    try:
        if accessible.is_command:
            node_command(module, name, given)
        else:
            leaves(module, name, given)
    except ValueError as error:
        return str(error)
    except (KeyError, TypeError, AttributeError) as error:
        return f"its datainfo is not that of a SECoP type: {error!r}"
    return ""
