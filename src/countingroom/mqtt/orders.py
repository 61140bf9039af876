"""The command that a message from the broker asks for. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.values import Scalar

OFF_ACTIONS = frozenset(
    [
        *("all_lv_off", "all_hv_off", "lv_off", "hv_off", "disable", "disable_all"),
        *("stop", "stop_co2", "stop_chiller"),
    ]
)
"""Commands of devices that switch off or stop."""


class DeviceOrder(Struct, frozen=True, kw_only=True):
    """A command to a device."""

    kind: str
    """The kind of device or entity, for the events about refusals: `caen`."""
    device: str
    action: str
    channel: str = ""
    arguments: dict[str, Scalar] = {}

    @property
    def is_off(self) -> bool:
        """Whether it switches off or stops: it goes before what waits, and ends that."""
        return self.action in OFF_ACTIONS


class Refresh(Struct, frozen=True, kw_only=True):
    """Publish everything of a kind; empty: of all kinds. It reads no device and commands none."""

    kind: str = ""


Asked = DeviceOrder | Refresh
