"""The process of a department at a broker: one is active by lease, any number stand by. Only the active one has a
connection to the broker."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from uuid import uuid4

from countingroom.bus.election import Election, Leadership, holder_name
from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.bus.presence import heartbeat
from countingroom.bus.readings_follower import ReadingsFollower
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.messages import Catalogue, DeviceState, Presence, Readings, decode
from countingroom.core.policy import Principal
from countingroom.core.retry import Retry, edge_log
from countingroom.mqtt.adapter import Adapter
from countingroom.mqtt.broker import BrokerPlace, BrokerSession, connected
from countingroom.mqtt.commander import Audit, Commander
from countingroom.mqtt.messages import BURST, PAUSE_S, Incoming, Publication

_log = logging.getLogger(__name__)

LEASE_S = 5.0
ASK_AGAIN_S = 0.2
RETRY_S = 0.5
LONGEST_WAIT_S = 60.0
ERRORS = 100
"""Messages on error topics that wait; the oldest are dropped."""
FAREWELL_S = 1.0
"""The time for the last messages, which mark all values as no longer present."""


class BrokerService:
    """Runs until cancelled."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        adapter: Callable[[float], Adapter],
        place: Callable[[], BrokerPlace],
        principal: Principal,
        *,
        role: str,
        audit: Audit,
        instance: str = "main",
    ) -> None:
        """`adapter`: monotonic time -> the adapter of the department. `place`: gives the address of the broker; called
        at each connection, because the listener of the bus may get another port. `principal`: user of commands."""
        self._principal = principal
        self._audit = audit
        self._bus = bus
        self._clock = clock
        self._adapter = adapter
        self._role = role
        self._place = place
        self._instance = instance
        self._boot = uuid4().hex
        self._report = edge_log(_log, f"{role}: no broker", f"{role}: connected to the broker", each_reason=True)

    async def run(self) -> None:
        """Until cancelled."""
        election = Election(
            self._bus,
            self._clock,
            self._role,
            holder=holder_name(self._instance, self._boot),
            ttl_s=LEASE_S,
            ask_s=ASK_AGAIN_S,
            source=self._role,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(
                heartbeat(
                    self._bus,
                    self._clock,
                    role=self._role,
                    instance=self._instance,
                    boot=self._boot,
                    troubles=self._troubles,
                )
            )
            while True:
                await election.lead(self._lead)

    def _troubles(self) -> list[str]:
        return [f"the MQTT broker of `{self._role}` is not reached"] if self._report.is_failing else []

    async def _lead(self, leadership: Leadership) -> None:
        active = _Active(self._bus, self._clock, self._adapter(self._clock.monotonic()), self._principal, self._audit)
        try:
            async with asyncio.TaskGroup() as group:
                for run in active.parts():
                    group.create_task(run())
                await active.ready()
                await self._connect(active, leadership)
        finally:
            await active.commander.drain()

    async def _connect(self, active: _Active, leadership: Leadership) -> None:
        """Connect and serve, again whenever the connection ends, until cancelled."""

        async def attempt() -> None:
            async with connected(self._place(), active.adapter.topics, active.adapter.will()) as session:
                self._report.worked()
                try:
                    await active.serve(session)
                except asyncio.CancelledError:
                    if not leadership.lost:  # otherwise another process publishes already
                        await active.say_farewell(session)
                    raise

        await Retry(self._clock, self._report, pause_s=RETRY_S, on=CountingRoomError).forever(attempt)


class _Active:
    """The work of the active process."""

    def __init__(self, bus: Bus, clock: Clock, adapter: Adapter, principal: Principal, audit: Audit) -> None:
        self._bus = bus
        self._clock = clock
        self.adapter = adapter
        self._news = asyncio.Event()
        self._readings = ReadingsFollower(bus, clock, self._take_readings, current=self._readings_are_current)
        self._states = [
            BucketFollower(bus, clock, pattern, self._take_state, current=self._follow_news, lost=self._follow_news)
            for pattern in ("device.*", "channel.>")
        ]
        self._catalogues: dict[str, Catalogue] = {}
        self._catalogue_follower = BucketFollower(bus, clock, "catalogue.*", self._take_catalogue)
        self._has_readings = asyncio.Event()
        self._errors: deque[Publication] = deque(maxlen=ERRORS)
        self.commander = Commander(
            bus,
            clock,
            adapter,
            principal,
            catalogue=self._catalogues.get,
            refresh=self._refresh,
            tell=self._tell,
            audit=audit,
        )

    def parts(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What runs beside the connection; each until cancelled."""
        followers = (self._readings, self._catalogue_follower, *self._states)
        return [self._follow_presence, *(one.run for one in followers), *self.commander.parts()]

    async def ready(self) -> None:
        """Return when the present values and states are known."""
        await self._has_readings.wait()
        for one in (*self._states, self._catalogue_follower):
            await one.ready()

    async def serve(self, session: BrokerSession) -> None:
        """Publish until the connection ends; LinkError then."""
        self.adapter.begin()
        receiving = asyncio.create_task(session.receive(self._take))
        receiving.add_done_callback(lambda _: self._news.set())
        try:
            while not receiving.done():
                self._news.clear()
                for place, message in enumerate(self.adapter.due(self._clock.monotonic()), start=1):
                    await session.publish(message)
                    if place % BURST == 0:
                        await self._clock.sleep(PAUSE_S)
                while self._errors:
                    await session.publish(self._errors.popleft())
                await self._until(self.adapter.next_s())
            await receiving
        finally:
            receiving.cancel()
            with suppress(asyncio.CancelledError, LinkError):
                await receiving
            self.commander.forget()
            self._errors.clear()

    async def _until(self, time_s: float) -> None:
        """Until this time, or until there is news."""
        wait_s = time_s - self._clock.monotonic()
        if wait_s > 0:
            with suppress(TimeoutError):
                async with within(self._clock, min(wait_s, LONGEST_WAIT_S)):
                    await self._news.wait()

    async def say_farewell(self, session: BrokerSession) -> None:
        """Publish once more: no value is the present one from now on."""
        with suppress(LinkError, TimeoutError):
            async with within(self._clock, FAREWELL_S):
                for message in self.adapter.farewell(self._clock.monotonic()):
                    await session.publish(message)

    def _take(self, message: Incoming) -> None:
        if self.adapter.hear(message):
            self._news.set()
        else:
            self.commander.take(message)

    def _refresh(self, kind: str) -> None:
        self.adapter.refresh(kind)
        self._news.set()

    def _tell(self, message: Publication) -> None:
        self._errors.append(message)
        self._news.set()

    def _take_catalogue(self, entry: Entry) -> None:
        device = entry.key.partition(".")[2]
        if device not in self.adapter.devices:
            return
        catalogue = decode(entry.data, Catalogue) if entry.data is not None else None
        if catalogue is None:
            self._catalogues.pop(device, None)
        else:
            self._catalogues[device] = catalogue
        if self.adapter.catalogue(device, catalogue):
            self._news.set()

    def _take_readings(self, message: Readings) -> None:
        if self.adapter.readings(message):
            self._news.set()

    def _readings_are_current(self) -> None:
        self._has_readings.set()
        self._follow_news()

    def _take_state(self, entry: Entry) -> None:
        if entry.data is not None and self.adapter.state(decode(entry.data, DeviceState)):
            self._news.set()

    def _follow_news(self) -> None:
        """States are followed, or not any more."""
        is_there = not any(one.stale for one in self._states)
        if self.adapter.bus(is_there=is_there, now_s=self._clock.monotonic()):
            self._news.set()

    async def _follow_presence(self) -> None:
        name = self.adapter.department
        report = edge_log(_log, f"{name}: heartbeats are not followed", f"{name}: heartbeats are followed again")
        await Retry(self._clock, report, pause_s=RETRY_S, on=CountingRoomError).forever(self._hear)

    async def _hear(self) -> None:
        async with self._bus.subscribe(subjects.presence("devices", "*"), limit=1024) as heartbeats:
            async for message in heartbeats:
                presence = self._bus.dead_letters.read(message.subject, message.data, Presence)
                if presence is None:
                    continue
                tell = self.adapter.leave if presence.leaving else self.adapter.beat
                if tell(presence.targets, self._clock.monotonic()):
                    self._news.set()
        raise LinkError("the heartbeats ended", source="bus")
