"""One device while this host owns it: joins its driver, points, states, commands and publishers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from countingroom.bus.command_server import CommandServer
from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.bus.unstored_queue import LostSpan
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause
from countingroom.core.interlocks.hold import HeldCommand
from countingroom.core.messages import Command, EventKind, Link
from countingroom.devices.behaviour import Write
from countingroom.devices.host.admission import Situation
from countingroom.devices.host.catalogue import catalogue_of
from countingroom.devices.host.commands import DeviceCommands
from countingroom.devices.host.driver_fault import cause_of, left
from countingroom.devices.host.legality import OF_THE_HOST
from countingroom.devices.host.link import DriverLoop
from countingroom.devices.host.moves import MoveLimit
from countingroom.devices.host.notes import Note, ThinnedNotes, of_refusals, of_reports
from countingroom.devices.host.points import PointTable
from countingroom.devices.host.points_in_force import points_in_force
from countingroom.devices.host.publish import FLUSH_S, ReadingsPump
from countingroom.devices.host.settings import apply_settings
from countingroom.devices.host.states import StateChange, StateTracker
from countingroom.devices.host.watch import DeviceWatch
from countingroom.devices.point_overrides import overridden_commands
from countingroom.devices.port import Sample
from countingroom.devices.registry import Hosted

_log = logging.getLogger(__name__)

TICK_S = 0.5
"""Time between two checks for stale points."""
_AFTER_S = 0.001
"""A point is STALE so long after its time is over, at the earliest."""

GOODBYE_S = 2.0
"""Deadline for the last messages to the bus."""


class HostedDevice:
    """One device while this host owns it."""

    def __init__(self, hosted: Hosted, bus: Bus, clock: Clock, *, boot: str, watch: DeviceWatch | None = None) -> None:
        self.name = hosted.name
        self._hosted = hosted
        self._clock = clock
        self._watch = watch
        self._inputs = frozenset(watch.inputs(hosted.name)) if watch else frozenset[str]()
        """Points of which the watch is told."""
        self._held: tuple[HeldCommand, ...] = ()
        self._source = f"devices.{hosted.name}"
        self._boot = boot
        self._driver_points = hosted.driver.points
        points = points_in_force(hosted, self._driver_points)
        self._commands = (*overridden_commands(hosted.behaviour.commands, hosted.section.commands), *OF_THE_HOST)
        self._table = PointTable(hosted.name, points, clock.now_ns())
        self._states = StateTracker(hosted.name, hosted.behaviour, self._commands, boot)
        self._line = DriverLoop(hosted.driver, hosted.section, clock, self, self._source)
        self._pump = ReadingsPump(
            bus, clock, self._table, boot, on_refused=self._points_refused, on_lost=self._on_lost_readings
        )
        self._publisher = Publisher(bus, clock, self._source)
        self._handlers = DeviceCommands(hosted.name, clock, self)
        self._command_server = CommandServer(bus, clock, "devices", hosted.name, self._handlers, self._publisher)
        self._link = Link.CONNECTING
        self._cause: Cause | None = Cause(
            code="not_reached_yet",
            message="the first connection is being made",
            source=self._source,
            suggestion="wait a moment",
        )
        self._complaint: Cause | None = None
        self._changed: set[str] = set()
        self._moves = MoveLimit()
        self._dirty = asyncio.Event()
        self._news: asyncio.Future[None] | None = None
        self._thinned = ThinnedNotes(hosted.name, hosted.driver, self._table, clock.monotonic())
        self.connections = 0
        self.let_go = ""
        """Why the host serves it no more, where that is not the end of the host."""
        self._catalogue = catalogue_of(hosted, points, self._commands, boot)

    async def run(self) -> None:
        """Serve until cancelled. At the end it writes no value to the device."""
        self._observe()
        self.publish_all()
        async with asyncio.TaskGroup() as group:
            for part in (self._line, self._pump, self._publisher, self._command_server):
                group.create_task(part.run())
            group.create_task(self._follow())
            group.create_task(self._tick())
            if self._hosted.section.apply_on_connect:
                group.create_task(self._apply())

    async def goodbye(self) -> None:
        """After `run` has ended: publish that no host serves the device any more."""
        self._tell(self._thinned.due(self._clock.monotonic(), at_the_end=True))
        self._set_link(Link.DISCONNECTED, left(self._source, self.let_go, self._clock.now_ns()))
        self._changed |= self._table.lose(now_ns=self._clock.now_ns())
        self._observe()
        try:
            async with within(self._clock, GOODBYE_S):
                await self._publisher.flush()
                while await self._pump.flush():
                    pass
                await self._pump.drain()
                await self._publisher.drain()
        except TimeoutError:
            _log.warning("%s: the last messages were not accepted by the bus", self._source)

    def publish_all(self) -> None:
        """Publish everything again: after the bus was away, or on `refresh`."""
        self._publisher.state(subjects.catalogue_key(self.name), self._catalogue)
        for channel, state in self._states.now.items():
            self._publisher.state(self._key(channel), state)
        self._pump.full()

    def describe(self, hosted: Hosted) -> None:
        """Take title, group, points and commands from a new description of the same device. The driver goes on."""
        self._hosted = replace(self._hosted, title=hosted.title, group=hosted.group, section=hosted.section)
        points = points_in_force(self._hosted, self._driver_points)
        self._commands = (*overridden_commands(hosted.behaviour.commands, hosted.section.commands), *OF_THE_HOST)
        self._table.describe(points)
        self._states.describe(self._commands)
        self._catalogue = replace(
            self._catalogue, title=hosted.title, group=hosted.group, points=points, commands=self._commands
        )
        self._publisher.state(subjects.catalogue_key(self.name), self._catalogue)
        self._pump.full()
        self._dirty.set()

    def look(self, watch: DeviceWatch) -> None:
        """This watch sees what is read from now on, and what is known where it looks at other points."""
        inputs, before = frozenset(watch.inputs(self.name)), self._inputs
        self._watch = watch
        self._inputs = inputs
        if inputs != before:
            self._show(None)

    def on_fault(self, error: Exception) -> None:
        """The code of the host failed for this device, and `run` has ended."""
        self.on_lost(cause_of(error, self._source))

    # LinkListener: calls of the driver loop.

    def on_connected(self, samples: Sequence[Sample]) -> None:
        self._table.tell_again()
        self._take(samples)
        self._set_link(Link.CONNECTED, None)
        self._pump.full()
        self.connections += 1

    def on_samples(self, samples: Sequence[Sample]) -> bool:
        self._take(samples)
        return self._table.has_samples

    def on_proven(self, points: Collection[str]) -> Collection[str]:
        described = self._hosted.driver.points
        if described is not self._driver_points and described != self._driver_points:
            self._driver_points = described
            in_force = points_in_force(self._hosted, described)
            self._table.describe(in_force)
            self._catalogue = replace(self._catalogue, points=in_force)
            self._publisher.state(subjects.catalogue_key(self.name), self._catalogue)
        for note in of_reports(self.name, self._hosted.driver):
            self._tell(note)
        calibrations = self._hosted.calibrations
        outdated = self._table.prove(calibrations.with_raw(points), monotonic=self._clock.monotonic())
        return calibrations.of_driver(outdated)

    def on_lost(self, cause: Cause) -> None:
        if self._link is not Link.DISCONNECTED:
            self._hosted.calibrations.reset()
            self._changed |= self._table.lose(now_ns=self._clock.now_ns())
            self._set_link(Link.DISCONNECTED, cause)
            self._complaint = None
            self._show(None)

    def on_error(self, cause: Cause | None) -> None:
        if (cause is None) == (self._complaint is None):
            return
        self._complaint = cause
        if cause:
            _log.warning("%s: %s", self._source, cause)
            self.record(EventKind.NOTE, f"{self.name} answers with an error: {cause.message}", cause=cause, severity=3)
        else:
            _log.info("%s: answers without errors again", self._source)
            self.record(EventKind.NOTE, f"{self.name} answers without errors again")

    # CommandedDevice and ConfiguredDevice.

    @property
    def reads(self) -> int | None:
        return None if self._line.monitoring else self._line.reads

    def situation(self) -> Situation:
        return Situation(
            device=self.name,
            now_ns=self._clock.now_ns(),
            behaviour=self._hosted.behaviour,
            commands=self._commands,
            points=self._table.points,
            readings=self._table.readings,
            states=self._states.now,
            held=self._held,
        )

    def update_states(self) -> None:
        if self._dirty.is_set():
            self._dirty.clear()
            self._observe()

    def hold(self, held: tuple[HeldCommand, ...]) -> None:
        """What acting interlocks keep in force on this device from now on."""
        if held != self._held:
            self._held = held
            self._handlers.hold(held)
            self._states.hold(held)
            self._dirty.set()

    async def carry_out(self, command: Command, by: str) -> Cause | None:
        """Carry out a command that this process gives itself, as one from the bus. Returns when it has ended: why it
        was refused or failed, or None."""
        return await self._command_server.give(command, by)

    def reconnect(self) -> None:
        self._line.reconnect()

    async def write(self, write: Write) -> None:
        await self._line.write(write.point, write.value)

    async def news(self) -> None:
        self._news = self._news or asyncio.get_running_loop().create_future()
        # Several commands wait for the same news: one that is cancelled must not cancel it for the others.
        await asyncio.shield(self._news)

    async def settle(self) -> Mapping[str, int]:
        await self._pump.flush()
        await self._publisher.flush()
        return {"state": self._publisher.revision, "readings": self._pump.position}

    def record(self, kind: EventKind, message: str, **fields: Any) -> None:
        self._command_server.record(kind, message, **fields)

    def _on_lost_readings(self, lost: LostSpan) -> None:
        message = f"messages of readings of {self.name} were lost, because the bus could not store them: {lost}"
        data = {"messages": lost.messages, "from_ns": lost.from_ns, "to_ns": lost.to_ns}
        self.record(EventKind.NOTE, message, severity=3, data=data)

    # Readings to states.

    def _take(self, samples: Sequence[Sample]) -> None:
        now_ns, monotonic = self._clock.now_ns(), self._clock.monotonic()
        samples = self._hosted.calibrations.samples(samples, now_ns)
        self._changed |= self._table.take(samples, now_ns=now_ns, monotonic=monotonic)
        if self._inputs:
            self._show([sample.point for sample in samples if sample.point in self._inputs])
        self._dirty.set()
        self._tell_refusals()
        if self._table.waiting:
            self._pump.wake()

    def _show(self, points: Collection[str] | None) -> None:
        """Show new readings to the watch, before they are published."""
        if self._watch and self._inputs and (points is None or points):
            self._watch.read(self, points)

    def _points_refused(self, channels: set[str]) -> None:
        self._changed |= channels
        self._show(None)
        self._dirty.set()
        self._tell_refusals()

    def _tell_refusals(self) -> None:
        refusals = self._table.take_refusals(monotonic=self._clock.monotonic())
        for note in of_refusals(self.name, self._table.points, refusals) if refusals else ():
            self._tell(note)

    def _tell(self, note: Note | None) -> None:
        if note:
            self.record(EventKind.NOTE, note.message, **note.fields)

    async def _follow(self) -> None:
        while True:
            await self._dirty.wait()
            self.update_states()
            await self._clock.sleep(FLUSH_S)

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(self._tick_s())
            aged = self._table.age(now_ns=self._clock.now_ns(), monotonic=self._clock.monotonic())
            if aged:
                self._show(None)
            self._changed |= aged
            if self._changed:
                self._dirty.set()
            self._tell_refusals()
            if self._table.waiting:
                self._pump.wake()
            self._pump.tick()
            self._tell(self._thinned.due(self._clock.monotonic()))

    def _tick_s(self) -> float:
        """Until the next tick. Points that the watch looks at are declared STALE at their time, not at some tick."""
        if not self._inputs:
            return TICK_S
        points = self._table.points
        known = [name for name in self._inputs if name in points]
        shortest_s = min((points[name].stale_after_s for name in known if points[name].stale_after_s), default=TICK_S)
        until_s = self._table.until_stale(known, monotonic=self._clock.monotonic()) + _AFTER_S
        return min(TICK_S, max(_AFTER_S, min(until_s, shortest_s)))

    async def _apply(self) -> None:
        applied = 0
        while True:
            while applied == self.connections or self._link is not Link.CONNECTED:
                await self.news()
            applied = self.connections
            await apply_settings(self, self._clock, self._handlers.as_if_done)

    def _observe(self) -> None:
        now_s = self._clock.monotonic()
        changed = {channel for channel in self._changed if self._moves.may_move(channel, now_s)}
        self._changed -= changed  # of the others the states are looked at later, by `_tick`
        for change in self._states.observe(
            changed, self._table.readings, link=self._link, cause=self._cause, now_ns=self._clock.now_ns()
        ):
            self._publisher.state(self._key(change.now.channel), change.now)
            if change.moved and change.now.channel:
                self._moves.moved(change.now.channel, now_s)
            self._record_move(change)
            if self._watch and (change.moved or change.before is None):
                self._watch.moved(self, change.now)
        self._pump.wake()
        if self._news and not self._news.done():
            self._news.set_result(None)
        self._news = None

    def _record_move(self, change: StateChange) -> None:
        if not change.moved or change.before is None:
            return
        now = change.now
        self.record(
            EventKind.STATE,
            " ".join(filter(None, (self.name, now.channel, "is", now.state))),
            channel=now.channel,
            before=change.before.state,
            after=now.state,
            cause=now.cause,
            severity=1 if now.common == "error" and now.active else 0,
        )

    def _set_link(self, link: Link, cause: Cause | None) -> None:
        if link is self._link:
            return
        before = self._link
        self._link = link
        self._cause = cause
        self._dirty.set()
        if link is Link.CONNECTED:
            _log.info("%s: connected", self._source)
            self.record(EventKind.LINK, f"{self.name} is connected", before=before.value, after=link.value)
        else:
            _log.warning("%s: not connected: %s", self._source, cause)
            self.record(
                EventKind.LINK,
                f"{self.name} is not connected: {cause.message if cause else ''}",
                before=before.value,
                after=link.value,
                cause=cause,
                severity=2,
            )

    def _key(self, channel: str) -> str:
        return subjects.channel_key(self.name, channel) if channel else subjects.device_key(self.name)
