"""The section `home_assistant` of the description: which points and commands Home Assistant gets, and its rights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from countingroom.core.policy import Principal
from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.mqtt.description import MqttBroker, Problem, RoleWord, TargetPattern, principals_of

Pattern = Annotated[str, Field(min_length=1)]


def _topic(value: str) -> str:
    if any(sign in value for sign in "+#\0") or value.startswith(("$", "/")) or value.endswith("/"):
        raise ValueError(f"a topic is written a/b, without wildcards; got {value!r}")
    return value


Topic = Annotated[str, AfterValidator(_topic)]


class HomeAssistantCommands(Section):
    """What Home Assistant may change. Nothing where this part is left out."""

    principal: Name = "automation"
    """Commands act as `home_assistant.<principal>`, whoever of Home Assistant sent them."""
    roles: dict[TargetPattern, RoleWord] = {}
    """Device or pattern of devices (`device.caen`, `device.*`) -> the role of the principal there. What is dangerous
    needs `expert`, all else `shifter`."""
    points: list[Pattern] = []
    """Patterns of the points that can be set: `"julabo.setpoint_*"`. They become numbers, switches and selections."""
    buttons: list[Pattern] = []
    """Patterns of commands that become buttons: `julabo.start`, `caen.*.hv_off` (device, channel, command)."""


class HomeAssistantSection(Section):
    """Points as entities of Home Assistant, by its MQTT discovery."""

    points: list[Pattern] = []
    """Patterns of the points to show: `"*"` for all, `"caen.*.hv_vMon"`. Empty: none."""
    broker: Literal["builtin"] | MqttBroker = "builtin"
    """The broker to which Home Assistant is connected. `builtin`: the MQTT listener of the bus."""
    user: Name = "home-assistant"
    """With the listener of the bus: the one of its users, `bus.mqtt.users`, as which this department connects."""
    prefix: Annotated[Topic, Field(min_length=1)] = "homeassistant"
    """The discovery prefix of Home Assistant, as in its settings of MQTT."""
    topic: Topic = ""
    """Values are published below it; `countingroom/<experiment>` where empty."""
    interval: Annotated[Seconds, Field(ge=0.1)] = 1.0
    """At most one message of a point in this time. The first change after a quiet time is published at once."""
    expire_after: Annotated[Seconds, Field(ge=0)] = 0.0
    """Home Assistant takes a value as unavailable that has not come again for this time, and each comes three times as
    often. It is for brokers between that do not pass on the last will. 0: never."""
    commands: HomeAssistantCommands | None = None
    """What Home Assistant may change; nothing where it is left out."""

    @property
    def in_use(self) -> bool:
        """Whether any point is to be shown."""
        return bool(self.points)

    @property
    def principals(self) -> dict[str, Principal]:
        """Name -> the principal as which commands act, with its roles."""
        if not self.in_use or self.commands is None:
            return {}
        return principals_of(f"home_assistant.{self.commands.principal}", self.commands.roles)

    def problems(self) -> Iterator[Problem]:
        """Keys that contradict each other."""
        if 0 < self.expire_after < 3:
            yield ("expire_after",), "it is at least 3 s: each value comes three times in it"
        if self.topic and (self.topic + "/").startswith(self.prefix + "/"):
            yield ("topic",), f"below {self.prefix}/ Home Assistant looks for descriptions: choose another topic"
        if self.commands and not (self.commands.points or self.commands.buttons):
            yield ("commands",), "give patterns of `points` or `buttons`, or leave it out"
