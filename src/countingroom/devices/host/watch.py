"""The port through which interlocks and derived points see what devices read, before it is published."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from countingroom.core.messages import DeviceState

if TYPE_CHECKING:
    from countingroom.devices.host.device import HostedDevice


class DeviceWatch(Protocol):
    """Looks at what devices read. Its methods are quick and never raise."""

    def begin(self, device: HostedDevice) -> None:
        """The host serves this device from now on."""
        ...

    def end(self, device: HostedDevice) -> None:
        """The host does not serve this device any more."""
        ...

    def inputs(self, device: str) -> Collection[str]:
        """The points of a device that it looks at."""
        ...

    def read(self, device: HostedDevice, points: Iterable[str] | None) -> None:
        """These of its points have new readings; None: all may have."""
        ...

    def moved(self, device: HostedDevice, now: DeviceState) -> None:
        """The state of the device or of one of its channels has changed."""
        ...


class DeviceWatches:
    """Several as one; the first one sees everything first."""

    def __init__(self, watches: Sequence[DeviceWatch]) -> None:
        self._watches = watches

    def begin(self, device: HostedDevice) -> None:
        for one in self._watches:
            one.begin(device)

    def end(self, device: HostedDevice) -> None:
        for one in self._watches:
            one.end(device)

    def inputs(self, device: str) -> Collection[str]:
        return {point for one in self._watches for point in one.inputs(device)}

    def read(self, device: HostedDevice, points: Iterable[str] | None) -> None:
        for one in self._watches:
            one.read(device, points)

    def moved(self, device: HostedDevice, now: DeviceState) -> None:
        for one in self._watches:
            one.moved(device, now)
