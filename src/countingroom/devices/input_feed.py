"""Brings readings to the drivers of derived points, wherever the devices with the inputs are served.

Devices of the same host are heard before their readings are published, and without the bus. Those of other hosts come
from `host/remote_inputs.py`. What was heard last is kept for a driver that begins later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from countingroom.core.errors import LinkError
from countingroom.core.messages import DeviceState
from countingroom.core.values import Quality, Reading

if TYPE_CHECKING:
    from countingroom.devices.host.device import HostedDevice

_log = logging.getLogger(__name__)

Take = Callable[[Mapping[str, Reading]], None]
"""Takes a batch of readings by address. It is quick."""


class InputFeed:
    """The readings of the points that derived points need; a resource of the host, and a DeviceWatch of its devices."""

    def __init__(self) -> None:
        self._wanted: dict[str, set[str]] = {}
        """Device -> its points."""
        self._readings: dict[str, Reading] = {}
        self._followers: list[tuple[frozenset[str], Take]] = []
        self.is_open = False
        """Whether a host delivers readings."""
        self.served: set[str] = set()
        """The devices that this host serves now."""

    def want(self, addresses: Iterable[str]) -> None:
        """These points are needed. Called before the host starts."""
        for address in addresses:
            device, _, point = address.partition(".")
            self._wanted.setdefault(device, set()).add(point)

    @property
    def devices(self) -> Collection[str]:
        """The devices of which points are needed."""
        return self._wanted.keys()

    def open(self) -> None:
        """A host delivers readings from now on."""
        self.is_open = True

    async def close(self) -> None:
        """No more readings come."""
        self.is_open = False
        self._readings.clear()

    def follow(self, addresses: Iterable[str], take: Take) -> Mapping[str, Reading]:
        """Give each batch with one of these points to `take`. Returns what is known of them now. LinkError: no host
        delivers readings."""
        if not self.is_open:
            raise LinkError("the device host delivers no readings", source="devices")
        self.leave(take)
        wanted = frozenset(addresses)
        self._followers.append((wanted, take))
        return {address: self._readings[address] for address in wanted if address in self._readings}

    def leave(self, take: Take) -> None:
        """End `follow`."""
        self._followers = [one for one in self._followers if one[1] != take]

    def deliver(self, readings: Mapping[str, Reading]) -> None:
        """A batch of readings, by address."""
        self._readings.update(readings)
        for wanted, take in list(self._followers):
            if not wanted.isdisjoint(readings):
                try:
                    take(readings)
                except Exception:  # a fault in one device must end neither the links of others nor their host
                    _log.exception("devices: derived points were not computed from %s", ", ".join(sorted(readings)))

    def rows(self, device: str, rows: Iterable[tuple[str, Reading]]) -> None:
        """Readings of a device, of which those that are needed are delivered."""
        wanted = self._wanted.get(device, set[str]())
        if found := {f"{device}.{name}": reading for name, reading in rows if name in wanted}:
            self.deliver(found)

    def lost(self, device: str, reason: str, now_ns: int) -> None:
        """The device is not served any more: what was read of it is STALE."""
        self.rows(
            device,
            [
                (point, replace(reading, quality=Quality.STALE, received_ns=now_ns, reason=reason))
                for point in self._wanted.get(device, ())
                if (reading := self._readings.get(f"{device}.{point}")) and reading.quality < Quality.STALE
            ],
        )

    # Devices that this host serves.

    def begin(self, device: HostedDevice) -> None:
        """This host serves the device from now on."""
        self.served.add(device.name)

    def end(self, device: HostedDevice) -> None:
        """This host does not serve the device any more."""
        self.served.discard(device.name)
        self.lost(device.name, "its device host does not serve it any more", device.situation().now_ns)

    def inputs(self, device: str) -> Collection[str]:
        """DeviceWatch: the points that are needed."""
        return self._wanted.get(device, ())

    def read(self, device: HostedDevice, points: Iterable[str] | None) -> None:
        """DeviceWatch: new readings, before they are published."""
        readings = device.situation().readings
        names = self._wanted.get(device.name, ()) if points is None else points
        self.rows(device.name, [(name, readings[name]) for name in names if name in readings])

    def moved(self, device: HostedDevice, now: DeviceState) -> None:
        """DeviceWatch: states are no inputs."""
