"""The device host. Each device is served by the one host that holds its lease; other hosts log the holder and stand by.

While the bus is away the host goes on with its devices. It stops serving a device only when another host has acquired
its lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
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
        self._watch = self._watches()
        self._devices = {device.name: self._hosted(device, self._boot) for device in devices}
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._inputs: asyncio.Task[None] | None = None
        self._followed: set[str] | None = None
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
            self._group = group
            self._follow_inputs(group)
            try:
                for device in self._devices.values():
                    self._serving[device.name] = group.create_task(self._serve(device))
                await asyncio.Event().wait()  # a host without devices may be given some
            finally:
                self._group = None

    def _hosted(self, device: Hosted, boot: str) -> HostedDevice:
        return HostedDevice(device, self._bus, self._clock, boot=boot, watch=self._watch)

    def _watches(self) -> DeviceWatches | None:
        found: list[DeviceWatch] = [one for one in (self._interlocks, self._feed) if one]
        return DeviceWatches(found) if found else None

    def _follow_inputs(self, group: asyncio.TaskGroup) -> None:
        """Follow the devices of other hosts whose points derived points need now."""
        if self._feed is None or self._followed == set(self._feed.devices):
            return
        self._followed = set(self._feed.devices)
        if self._inputs:
            self._inputs.cancel()
        self._feed.open()
        self._inputs = group.create_task(RemoteInputs(self._bus, self._clock, self._feed, self._boot).run())

    def _look_again(self, group: asyncio.TaskGroup) -> None:
        """Other devices may need other inputs."""
        before, self._feed = self._feed, self._resources.made(InputFeed) if self._resources else None
        if self._feed and before is None:
            for name in self._owned:
                self._feed.begin(self._devices[name])
        self._watch = watch = self._watches()
        self._follow_inputs(group)
        if watch:
            for device in self._devices.values():
                device.look(watch)

    @property
    def devices(self) -> Mapping[str, HostedDevice]:
        """Those that it serves, or stands by for."""
        return self._devices

    async def change(
        self, served: Sequence[Hosted] = (), described: Sequence[Hosted] = (), removed: Collection[str] = ()
    ) -> None:
        """Serve other devices from now on; all that are not named go on untouched.

        `served`: new ones, and those that are let go and connected again. `described`: those that go on with their
        driver, under another description. `removed`: those that are let go for good. Returns when all is begun.
        """
        if self._group is None:
            raise RuntimeError("a host that does not run takes no devices")
        for device in described:
            self._devices[device.name].describe(device)
        ending = {device.name for device in served} | set(removed)
        tasks = [self._serving.pop(name) for name in ending & self._serving.keys()]
        for name in ending & self._devices.keys():
            self._devices[name].let_go = "its description has changed" if name not in removed else "it was removed"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for name in removed:
            self._devices.pop(name, None)
        self._look_again(self._group)
        for device in served:
            # Another boot: its messages are counted from the beginning.
            self._devices[device.name] = hosted = self._hosted(device, uuid4().hex)
            self._serving[device.name] = self._group.create_task(self._serve(hosted))
        if removed:
            self._group.create_task(self._forget_others())

    async def _forget_others(self) -> None:
        described = set(self._devices)
        report = edge_log(_log, "devices: keys of former devices cannot be deleted yet", "devices: they can be deleted")
        gone = await Retry(self._clock, report, pause_s=ASK_AGAIN_S).run(lambda: forget(self._bus, described))
        for name in gone:
            _log.info("devices.%s: removed from the bus, because the description no longer contains it", name)

    def _bus_link(self, up: bool) -> None:
        if up:
            for device in self._devices.values():
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
