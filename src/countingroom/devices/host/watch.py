"""The port through which interlocks see what devices read, before it is published."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Protocol

from countingroom.core.messages import DeviceState

if TYPE_CHECKING:
    from countingroom.devices.host.device import HostedDevice


class DeviceWatch(Protocol):
    """Looks at what devices read. Its methods are quick and never raise."""

    def inputs(self, device: str) -> Collection[str]:
        """The points of a device that it looks at."""
        ...

    def read(self, device: HostedDevice, points: Iterable[str] | None) -> None:
        """These of its points have new readings; None: all may have."""
        ...

    def moved(self, device: HostedDevice, now: DeviceState) -> None:
        """The state of the device or of one of its channels has changed."""
        ...
