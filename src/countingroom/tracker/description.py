"""The section `tracker` of the description: the broker, the devices behind the topics, the rights of dashboards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator

from countingroom.core.policy import Principal
from countingroom.core.yaml.section import Name, Reference, Section
from countingroom.mqtt.description import MqttBroker, Problem, RoleWord, TargetPattern, principals_of

TOPICS = ("dcs", "julabo", "MARTA", "SB")
"""First levels of the topics that it publishes and subscribes to, beside those of sensors."""


def _topic(value: str) -> str:
    if not value or any(sign in value for sign in "+#\0") or value.startswith("$"):
        raise ValueError(f"a topic to publish on has no wildcards; got {value!r}")
    if value.partition("/")[0] in TOPICS:
        raise ValueError(f"topics below {value.partition('/')[0]}/ are those of the devices; got {value!r}")
    return value


class OneDevice(Section):
    """The device behind a topic."""

    device: Name


class CaenTopics(OneDevice):
    """`dcs/…`: a CAEN supply."""

    channels: dict[str, str] = {}
    """Number in topics and dashboards -> channel of the device. Empty: all its channels under their own names."""
    untouched: float | None = 5.0
    """V. What a dashboard sends for a voltage that nobody has entered: it is refused. `null`: there is none."""


class TrackerSection(Section):
    """Topics and payloads of the tracker DCS, for dashboards and collectors that were made for it."""

    broker: Literal["builtin"] | MqttBroker = "builtin"
    """`builtin`: the MQTT listener of the bus."""
    user: Name = "tracker-dcs"
    """With the listener of the bus: the one of its users, `bus.mqtt.users`, as which it connects."""
    principal: Name = "dashboard"
    """Commands that come in act as `tracker.<principal>`, whoever sent them."""
    roles: dict[TargetPattern, RoleWord] = {}
    """Device or pattern of devices (`device.caen`, `device.*`) -> the role of the principal there. Without an entry it
    may command nothing. HV on needs `expert`, all else `shifter`."""
    caen: CaenTopics | None = None
    chiller: OneDevice | None = None
    """`julabo/…`"""
    marta: OneDevice | None = None
    """`MARTA/…`"""
    switchbox: OneDevice | None = None
    """`SB/…`"""
    sensors: dict[str, Annotated[str, AfterValidator(_topic)]] = {}
    """Point, `<device>.<point>` -> topic of its value. For boards that do not publish on this broker themselves."""

    @property
    def in_use(self) -> bool:
        """Whether a device is behind any topic."""
        return bool(self.devices or self.sensors)

    @property
    def devices(self) -> dict[str, str]:
        """Key -> device."""
        parts = {"caen": self.caen, "chiller": self.chiller, "marta": self.marta, "switchbox": self.switchbox}
        return {key: part.device for key, part in parts.items() if part}

    @property
    def principals(self) -> dict[str, Principal]:
        """Name -> the principal as which commands act, with its roles."""
        if not self.in_use:
            return {}
        return principals_of(f"tracker.{self.principal}", self.roles)

    def references(self) -> Iterator[Reference]:
        """The devices, in the section `devices`."""
        for key, name in self.devices.items():
            yield Reference(path=(key, "device"), section="devices", kind="device", name=name)
        for address in self.sensors:
            yield Reference(path=("sensors", address), section="devices", kind="device", name=address.partition(".")[0])

    def problems(self) -> Iterator[Problem]:
        """Two channels, or two points, of one name."""
        if self.caen:
            yield from _twice(("caen", "channels"), self.caen.channels)
        yield from _twice(("sensors",), self.sensors)


def _twice(path: tuple[str, ...], table: dict[str, str]) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, value in table.items():
        if (owner := owners.setdefault(value, name)) != name:
            yield (*path, name), f"{value} is that of {owner} already"
