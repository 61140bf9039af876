"""The facts about the description that the department gets at its start. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase

from msgspec import Struct

from countingroom.core.messages import CommandSpec
from countingroom.core.policy import NEEDS, Permission, Principal
from countingroom.home_assistant.names import Topics


class CommandFacts(Struct, frozen=True, kw_only=True):
    """What may be commanded."""

    principal: Principal
    points: tuple[str, ...] = ()
    """Patterns of points."""
    buttons: tuple[str, ...] = ()
    """Patterns of commands."""

    def may(self, device: str, permission: Permission) -> bool:
        """Whether the principal has this permission on a device."""
        return self.principal.on(f"device.{device}") >= NEEDS[permission]

    def sets(self, address: str) -> bool:
        """Whether a point is one of those that can be set."""
        return any(fnmatchcase(address, pattern) for pattern in self.points)

    def has_button(self, address: str) -> bool:
        """Whether a command is to be a button."""
        return any(fnmatchcase(address, pattern) for pattern in self.buttons)


class HomeAssistantFacts(Struct, frozen=True, kw_only=True):
    """Everything."""

    experiment: str
    title: str
    version: str
    """Of this program."""
    devices: frozenset[str]
    """Those of the description."""
    points: tuple[str, ...]
    """Patterns of the points to show."""
    prefix: str = "homeassistant"
    topic: str = ""
    interval_s: float = 1.0
    expire_after_s: float = 0.0
    commands: CommandFacts | None = None

    @property
    def topics(self) -> Topics:
        """All topics."""
        return Topics(self.experiment, self.prefix, self.topic)

    def shows(self, address: str) -> bool:
        """Whether a point is to be shown."""
        return any(fnmatchcase(address, pattern) for pattern in self.points)


def command_addresses(device: str, spec: CommandSpec, channels: tuple[str, ...]) -> list[tuple[str, str]]:
    """(address, channel) of a command: `caen.0.hv_off` for each channel, `caen.all_hv_off`."""
    if spec.scope == "channel":
        return [(f"{device}.{channel}.{spec.name}", channel) for channel in channels]
    return [(f"{device}.{spec.name}", "")]
