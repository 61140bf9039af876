"""The port of a department that publishes to a broker: its topics, its payloads, and the commands in messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from countingroom.core.errors import Cause
from countingroom.core.messages import Catalogue, DeviceState, Readings
from countingroom.mqtt.messages import Incoming, Publication
from countingroom.mqtt.orders import Asked


class Adapter(Protocol):
    """Pure: the caller gives the time, and publishes. Methods that return bool tell whether there is something new to
    publish."""

    @property
    def department(self) -> str:
        """Its name, as in events: `tracker`."""
        ...

    @property
    def devices(self) -> Collection[str]:
        """The devices that it is about."""
        ...

    @property
    def topics(self) -> Sequence[str]:
        """To subscribe to."""
        ...

    def will(self) -> Publication | None:
        """The message that the broker publishes when this process dies."""
        ...

    def readings(self, message: Readings) -> bool:
        """Take readings in."""
        ...

    def state(self, state: DeviceState) -> bool:
        """Take the state of a device or channel in."""
        ...

    def catalogue(self, device: str, catalogue: Catalogue | None) -> bool:
        """Take the catalogue of a device in, or that there is none any more."""
        ...

    def beat(self, devices: Iterable[str], now_s: float) -> bool:
        """The host of these devices is alive."""
        ...

    def leave(self, devices: Iterable[str], now_s: float) -> bool:
        """The host of these devices ended."""
        ...

    def bus(self, *, is_there: bool, now_s: float) -> bool:
        """Whether the bus is followed."""
        ...

    def refresh(self, kind: str = "") -> None:
        """Publish all of a kind soon, or of all kinds."""
        ...

    def begin(self) -> None:
        """There is a new connection to the broker: publish everything."""
        ...

    def due(self, now_s: float) -> list[Publication]:
        """The messages that must be published now. They count as published."""
        ...

    def next_s(self) -> float:
        """When `due` has something next; infinity: not before something changes."""
        ...

    def farewell(self, now_s: float) -> list[Publication]:
        """The messages that must be published at the end of the process: they mark all values as no longer present."""
        ...

    def shown_state(self, device: str) -> str:
        """The state of a device, as it is published."""
        ...

    def hear(self, message: Incoming) -> bool:
        """Take in a message that is no command; whether it was none."""
        ...

    def asked(self, message: Incoming) -> Asked:
        """The command that a message asks for. RequestError if its target does not exist or the payload is unclear."""
        ...

    def kind_of(self, topic: str) -> str:
        """The kind of device or entity that a topic is about; empty: none."""
        ...

    def error(self, message: Incoming, cause: Cause) -> Publication:
        """The message that reports at the broker that a command was refused or has failed."""
        ...
