"""The device host. Each device is served by the one host that holds its lease; other hosts log the holder and stand by.

While the bus is away the host goes on with its devices. It stops serving a device only when another host has acquired
its lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from countingroom.bus.election import Election, Leadership, holder_name
from countingroom.bus.port import Bus
from countingroom.bus.presence import heartbeat
from countingroom.core.clock import Clock, raise_if_cancelled
from countingroom.core.interlocks.specs import InterlockSpec
from countingroom.core.retry import Retry, edge_log
from countingroom.devices.host.device import HostedDevice
from countingroom.devices.host.forget import forget
from countingroom.devices.host.remote_inputs import RemoteInputs
from countingroom.devices.host.watch import DeviceWatch, DeviceWatches
from countingroom.devices.input_feed import InputFeed
from countingroom.devices.registry import Hosted
from countingroom.devices.resources import SharedResources

if TYPE_CHECKING:  # a host without interlocks starts sooner without it
    from countingroom.devices.interlocks.interlock_host import InterlockHost

_log = logging.getLogger(__name__)

LEASE_S = 5.0
"""A standby host takes over after this when the owner hangs or is cut off. The leases of one that has died are free at
once."""

ASK_AGAIN_S = 0.5
AGAIN_S = 5.0
"""A device whose code failed is served again after this."""


class DeviceHost:
    """Serves devices on a bus. It owns the resources that their drivers share, and closes them when it ends."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        devices: Sequence[Hosted],
        *,
        instance: str = "main",
        resources: SharedResources | None = None,
        interlocks: Sequence[InterlockSpec] = (),
        interlock_file: Path | None = None,
    ) -> None:
        """`interlocks`: all of the experiment; the host evaluates its parts of them. `interlock_file`: where it keeps
        what has tripped."""
        self._bus = bus
        self._clock = clock
        self._instance = instance
        self._resources = resources
        self._boot = uuid4().hex
        self._holder = holder_name(instance, self._boot)
        self._interlocks: InterlockHost | None = None
        if interlocks:
            from countingroom.devices.interlocks.interlock_host import InterlockHost

            names = [device.name for device in devices]
            self._interlocks = InterlockHost(
                bus, clock, interlocks, names, instance=instance, boot=self._boot, file=interlock_file
            )
        self._feed = resources.made(InputFeed) if resources else None
        found: list[DeviceWatch] = [one for one in (self._interlocks, self._feed) if one]
        self._watch = DeviceWatches(found) if found else None
        self._devices = [HostedDevice(device, bus, clock, boot=self._boot, watch=self._watch) for device in devices]
        self._owned: list[str] = []

    async def run(self) -> None:
        """Serve until cancelled, then publish that the devices are no longer served. It writes no value to a device at
        the start or at the end, except settings with `apply_on_connect`."""
        self._bus.on_link(self._bus_link)
        try:
            await self._serve_all()
        finally:
            if self._resources is not None:
                await self._resources.close()

    async def _serve_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                heartbeat(
                    self._bus,
                    self._clock,
                    role="devices",
                    instance=self._instance,
                    boot=self._boot,
                    targets=self._owned,
                )
            )
            group.create_task(self._forget_others())
            if self._interlocks:
                group.create_task(self._interlocks.run())
            if self._feed:
                self._feed.open()
                group.create_task(RemoteInputs(self._bus, self._clock, self._feed, self._boot).run())
            for device in self._devices:
                group.create_task(self._serve(device))

    async def _forget_others(self) -> None:
        described = {device.name for device in self._devices}
        report = edge_log(_log, "devices: keys of former devices cannot be deleted yet", "devices: they can be deleted")
        gone = await Retry(self._clock, report, pause_s=ASK_AGAIN_S).run(lambda: forget(self._bus, described))
        for name in gone:
            _log.info("devices.%s: removed from the bus, because the description no longer contains it", name)

    def _bus_link(self, up: bool) -> None:
        if up:
            for device in self._devices:
                if device.name in self._owned:
                    device.publish_all()

    async def _serve(self, device: HostedDevice) -> None:
        election = Election(
            self._bus,
            self._clock,
            f"device.{device.name}",
            holder=self._holder,
            ttl_s=LEASE_S,
            ask_s=ASK_AGAIN_S,
            source=f"devices.{device.name}",
            keep=True,
        )
        while True:
            try:
                await election.lead(partial(self._lead, device))
            except* Exception:  # a mistake in the code for one device must not end the others
                _log.exception("devices.%s: serving it ended, and begins again", device.name)
                raise_if_cancelled()
                await self._clock.sleep(AGAIN_S)

    async def _lead(self, device: HostedDevice, leadership: Leadership) -> None:
        self._owned.append(device.name)
        if self._watch:
            self._watch.begin(device)
        try:
            await device.run()
        except asyncio.CancelledError:
            if leadership.ended:
                device.on_lost(leadership.ended)
            else:
                await device.goodbye()
            raise
        except Exception as failure:
            device.on_fault(failure)
            await device.goodbye()
            raise
        finally:
            self._owned.remove(device.name)
            if self._watch:
                self._watch.end(device)
