"""Slow-control agent: follows the state of a device, and configures the device with its commands.

The system is in Error, with the cause of the device, while the device is not reached, has failed or has no host.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from uuid import uuid4

from countingroom.bus.ask import ask, stored_state
from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.bus.presence import MISSED
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError, DeviceError, NotAllowed
from countingroom.core.messages import HOST_STOPPED, Command, DeviceState, Link, Presence, Reply, decode
from countingroom.core.start_up import HEARD_S, START_UP_S
from countingroom.core.systems import ACTIVE, CONFIGURING, ERROR, RECORDING, UNCONFIGURED
from countingroom.core.values import Scalar
from countingroom.runs.agents.port import Handle, Recovery, System
from countingroom.runs.sections.agent import SlowControlAgent

_log = logging.getLogger(__name__)

_LOOK_S = 0.25
_ANSWER_S = 5.0
_USER = "agents"
_SPONTANEOUS = {
    (ACTIVE, UNCONFIGURED): "abort",
    (RECORDING, UNCONFIGURED): "abort",
    (CONFIGURING, UNCONFIGURED): "abort",
    (ACTIVE, CONFIGURING): "configure",
    (UNCONFIGURED, CONFIGURING): "configure",
    (CONFIGURING, ACTIVE): "success",
    (CONFIGURING, RECORDING): "success",
}
"""(common state of the system, common state of the device) -> the event by which the system follows the device."""


class SlowControl(System):
    """A system that follows a device."""

    def __init__(self, handle: Handle, section: SlowControlAgent, bus: Bus, clock: Clock) -> None:
        super().__init__(handle)
        self._section = section
        self._bus = bus
        self._clock = clock
        self._device: DeviceState | None = None
        self._hosted = False
        self._served_until_s = float("-inf")
        """`_hosted`: whether a host serves the device. `_served_until_s`: until when this is valid without another
        heartbeat. The time is long enough for the next host, which takes the device over after three missed heartbeats
        and must then connect to it; before, a run that needs the device must not end."""
        self._known = asyncio.Event()
        self._news = asyncio.Event()
        self._follower = BucketFollower(
            bus, clock, subjects.device_key(section.device), self._take, current=self._news.set
        )
        self._blames_device = False
        """Whether the device caused the Error. Then Error is resolved when the device recovers."""
        self._new_until_s = 0.0
        """Until then a restarted host may still be connecting to the device. A restart of a host must not end a run."""
        self._starting_until_s = float("-inf")
        """Until then the first heartbeat of a host is waited for, by an agent that goes on with its saved state."""
        self._deaf_until_s = 0.0
        """Until then silence of hosts is ignored, after a loss of the own link or a delay of this process. A delayed
        agent took unread heartbeats for silence, and an Active detector control had to be configured again."""
        self._ordered = 0
        """Number of orders under way. Meanwhile the device is not followed."""

    async def configure(self, step: str, parameters: Mapping[str, Scalar]) -> None:
        self._ordered += 1
        self._blames_device = False
        try:
            await self._known.wait()
            if self._section.configure and step == self._first_step():
                await self._command(self._section.configure, parameters)
            await self._until(ACTIVE if self._leads_to(step) == ACTIVE else CONFIGURING)
        finally:
            self._ordered -= 1

    async def abort(self) -> None:
        self._ordered += 1
        try:
            if self._section.abort:
                await self._command(self._section.abort, {})
        finally:
            self._ordered -= 1

    async def reset(self) -> None:
        await self._known.wait()
        if cause := self._trouble():
            raise self._failed(cause)

    async def recover(self) -> Recovery | None:
        """The saved state, when the device is still Active or Recording, or when its host has still to start."""
        with suppress(CountingRoomError):
            device = await stored_state(self._bus, subjects.device_key(self._section.device), DeviceState)
            if device and (found := self.handle.remembered):
                self._device = device
                kept = self.handle.chart.to_common(found.state) if _is_between_hosts(device) else self._common()
                if kept in (ACTIVE, RECORDING):
                    self._starting_until_s = self._clock.monotonic() + START_UP_S
                    return found
        return None

    async def live(self) -> None:
        self._bus.on_link(self._linked)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follower.run())
            group.create_task(self._hear_hosts())
            group.create_task(self._look())
            while True:
                await self._news.wait()
                self._news.clear()
                self._follow()

    # State of the device.

    def _own(self) -> str:
        """The own state of the system for the present device state; empty when none is assigned."""
        return self._section.states.get(self._device.state, "") if self._device else ""

    def _common(self) -> str:
        return self.handle.chart.to_common(self._own())

    def _is_sought(self) -> bool:
        """Whether a host is still starting, or connecting to the device. Until then its state is unknown."""
        device, now_s = self._device, self._clock.monotonic()
        if device is None:
            return False
        if now_s < self._starting_until_s and not self._hosted:
            return True
        if _is_farewell(device):  # the next host has as long as after the death of one
            return now_s < max(self._served_until_s, self._starting_until_s)
        unread = device.link is Link.CONNECTED and not self._own() and device.common == "no_link"
        is_new = now_s < max(self._new_until_s, self._starting_until_s)
        return is_new and (unread or device.link is Link.CONNECTING)

    def _trouble(self) -> Cause | None:
        """Why the device cannot be used; None when it can."""
        name, device = self._section.device, self._device
        source = f"systems.{self.handle.system}"
        if device is None or not self._hosted:
            message = f"no process serves the device {name}"
            return Cause(code="no_host", message=message, source=source, suggestion="start the role devices")
        if device.link is not Link.CONNECTED:
            message, code = f"the device {name} is not reached", "device_link"
        elif self._common() == ERROR or (not self._own() and device.common in ("error", "no_link")):
            message, code = f"the device {name} is {device.state}", "device_state"
        else:
            return None
        return Cause(
            code=code,
            message=message,
            source=source,
            since_ns=device.since_ns,
            evidence={"device": name},
            suggestion=f"look at {name}",
            causes=(device.cause,) if device.cause else (),
        )

    def _follow(self) -> None:
        """Follow a change of the device that no order caused."""
        if self._ordered or not self._known.is_set() or self._is_sought():
            return
        chart, state = self.handle.chart, self.handle.state
        common, cause = chart.to_common(state), self._trouble()
        try:
            if cause and common != ERROR and "error" in chart.allowed(state):
                self.handle.error(cause)
                self._blames_device = True
            elif not cause and common == ERROR and self._blames_device and "resolved" in chart.allowed(state):
                self._blames_device = False
                self.handle.resolved()
            elif not cause and (event := _SPONTANEOUS.get((common, self._common()))):
                self.handle.follow(event)
        except NotAllowed as error:
            _log.warning("systems.%s cannot follow %s: %s", self.handle.system, self._section.device, error.cause)

    async def _until(self, common: str) -> None:
        """Wait until the device has this common state; DeviceError when it cannot be used."""
        while True:
            if not self._is_sought():
                if cause := self._trouble():
                    raise self._failed(cause)
                if self._common() in (common, ACTIVE):
                    return
            await self._clock.sleep(_LOOK_S / 5)

    def _failed(self, cause: Cause) -> DeviceError:
        return DeviceError(
            cause.message, source=cause.source, code=cause.code, suggestion=cause.suggestion, causes=cause.causes
        )

    def _first_step(self) -> str:
        chart = self.handle.chart
        return next((row.next for row in chart.rows if row.event == "configure"), "")

    def _leads_to(self, step: str) -> str:
        chart = self.handle.chart
        return chart.to_common(chart.step(step, "success")) if "success" in chart.allowed(step) else ACTIVE

    # The bus.

    async def _command(self, action: str, parameters: Mapping[str, Scalar]) -> None:
        now_ns, order = self._clock.now_ns(), self.handle.order
        deadline_ns = order.deadline_ns if order else now_ns + round(_ANSWER_S * 1e9)
        command = Command(
            id=uuid4().hex,
            action=action,
            arguments=dict(parameters),
            issued_ns=now_ns,
            deadline_ns=deadline_ns,
            within_s=max(0.001, (deadline_ns - now_ns) / 1e9),
            origin=f"agent of {self.handle.system}",
        )
        where = subjects.command(_USER, "devices", self._section.device)
        reply = await ask(self._bus, where, command, Reply, timeout_s=_ANSWER_S)
        if not reply.accepted:
            raise DeviceError(
                f"the device {self._section.device} refused {action}",
                source=f"systems.{self.handle.system}",
                code="device_refused",
                causes=(reply.cause,) if reply.cause else (),
                suggestion=f"look at {self._section.device}",
            )

    def _take(self, entry: Entry) -> None:
        device = decode(entry.data, DeviceState) if entry.data else None
        if device and self._device and device.boot != self._device.boot:
            self._new_until_s = self._clock.monotonic() + HEARD_S
        self._device = device
        self._news.set()

    async def _hear_hosts(self) -> None:
        async with self._bus.subscribe(subjects.presence("devices", "*")) as heartbeats:
            async for message in heartbeats:
                presence = self._bus.dead_letters.read(message.subject, message.data, Presence)
                if presence is None:
                    continue
                if self._section.device in presence.targets and not presence.leaving:
                    self._served_until_s = self._clock.monotonic() + MISSED * presence.interval_s + HEARD_S
                self._heard()

    async def _look(self) -> None:
        """Check regularly for missing heartbeats of the host; the first check is after HEARD_S."""
        await self._clock.sleep(HEARD_S)
        self._known.set()
        while True:
            if self._bus.connected and self._clock.monotonic() >= self._deaf_until_s:
                self._heard()
            asleep = self._clock.monotonic()
            await self._clock.sleep(_LOOK_S)
            if self._clock.monotonic() - asleep > 2 * _LOOK_S:  # delayed: heartbeats are still unread
                self._be_deaf()

    def _linked(self, up: bool) -> None:
        self._be_deaf()

    def _be_deaf(self) -> None:
        self._deaf_until_s = self._clock.monotonic() + HEARD_S

    def _heard(self) -> None:
        hosted = self._clock.monotonic() <= self._served_until_s
        if hosted and self._device:
            self._known.set()
        if hosted != self._hosted or self._known.is_set():
            self._hosted = hosted
            self._news.set()


def _is_farewell(device: DeviceState) -> bool:
    """Whether a host has written it when it was stopped."""
    return device.link is Link.DISCONNECTED and device.cause is not None and device.cause.code == HOST_STOPPED


def _is_between_hosts(device: DeviceState) -> bool:
    """Whether it tells nothing of the device: one host was stopped, or the next one has not reached it yet."""
    unread = device.link is Link.CONNECTED and device.common == "no_link"
    return unread or device.link is Link.CONNECTING or _is_farewell(device)
