"""What a message from the broker asks for. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.values import Scalar


class DeviceOrder(Struct, frozen=True, kw_only=True):
    """A command to a device."""

    kind: str
    """The kind of device or entity, for the events about refusals: `caen`."""
    device: str
    action: str
    channel: str = ""
    arguments: dict[str, Scalar] = {}
    is_off: bool = False
    """Whether it switches off or stops: it goes before what waits, and ends that."""


class Refresh(Struct, frozen=True, kw_only=True):
    """Publish everything of a kind; empty: of all kinds. It reads no device and commands none."""

    kind: str = ""


Asked = DeviceOrder | Refresh
