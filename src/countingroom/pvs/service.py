"""The role `pvs`: follows catalogues, readings and heartbeats on the bus, and serves them by a server of EPICS.

Where records have changed (another device, another unit) the server is started again: it takes none while it runs.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from uuid import uuid4

from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.bus.presence import heartbeat
from countingroom.bus.readings_follower import ReadingsFollower
from countingroom.core import subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.messages import Catalogue, Presence, Readings, decode
from countingroom.core.retry import Retry, edge_log
from countingroom.pvs.access import Access
from countingroom.pvs.description import PvsSection
from countingroom.pvs.server import PvServer, served
from countingroom.pvs.table import PvTable, environment
from countingroom.pvs.wire import IocBatch, IocSetup, PvEnd
from countingroom.pvs.writer import Audit, PvWriter

_log = logging.getLogger(__name__)

ROLE = "pvs"
RETRY_S = 2.0
SETTLE_S = 2.0
"""Catalogues come one after the other; the server is started when none has come for this time."""
AGE_S = 1.0
REFUSAL_S = 5.0
"""So long the alarm of a process variable tells that a put to it was refused."""
BATCH_S = 0.02
"""Changes are collected for this time: a message for each of 5,000 changes a second would be a line for each."""


async def _no_audit(entry: AuditEntry) -> None:
    """Without rules there are no puts."""


class PvService:
    """Runs until cancelled."""

    def __init__(
        self, bus: Bus, clock: Clock, section: PvsSection, experiment: str, audit: Audit | None = None
    ) -> None:
        """`audit`: takes an entry for each put; without it nothing can be written."""
        self._bus = bus
        self._clock = clock
        self._access = Access(section.rules if audit else {})
        self._table = PvTable(experiment, section.names, section.points, self._access)
        ports = {"ca": section.port, "pva": section.pva_port, "pva_search": section.pva_search_port}
        self._environment = environment(section.interface, ports)
        self._news = asyncio.Event()
        self._records_changed = asyncio.Event()
        self._catalogues = BucketFollower(bus, clock, "catalogue.*", self._take_catalogue)
        self._readings = ReadingsFollower(bus, clock, self._take_readings)
        self._writer = PvWriter(
            bus,
            clock,
            find=self._table.writable,
            principal=self._access.principal,
            audit=audit or _no_audit,
            ended=self._put_ended,
        )
        self._ends: list[PvEnd] = []
        self._refused_s: dict[str, float] = {}
        """Process variable -> when a put to it was refused."""
        self._report = edge_log(_log, "pvs: the points are not served", "pvs: the points are served", each_reason=True)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(
                heartbeat(self._bus, self._clock, role=ROLE, instance="main", boot=uuid4().hex, troubles=self._troubles)
            )
            for run in (self._catalogues.run, self._readings.run, self._follow_presence, self._age, self._writer.run):
                group.create_task(run())
            await self._catalogues.ready()
            retry = Retry(self._clock, self._report, pause_s=RETRY_S, on=CountingRoomError)
            while True:
                await retry.run(self._serve)

    def _troubles(self) -> list[str]:
        troubles = self._readings.troubles()
        if self._report.is_failing:
            troubles.append("the points are not served as process variables")
        if left_out := self._table.left_out:
            troubles.append(f"{len(left_out)} points have no process variable, as {left_out[0]}: see `pvs.names`")
        return troubles

    async def _serve(self) -> None:
        """Serve the present records until they are others."""
        await self._settled()
        records = self._table.records()
        if not records:
            await self._records_changed.wait()
            return
        self._ends.clear()  # of the server before this one
        setup = IocSetup(tuple(records), self._access.text())
        async with served(setup, self._environment, self._writer.take) as server:
            self._report.worked()
            _log.info("pvs: %d process variables are served", len(records))
            known = {record.name for record in records}
            if self._records_changed.is_set():
                return  # the values may not fit these records any more
            hearing = asyncio.create_task(server.hear())
            hearing.add_done_callback(lambda _: self._news.set())
            try:
                rows = (row for row in self._table.all(self._clock.now_ns()) if row.name in known)
                await server.send(IocBatch(rows=tuple(rows)))
                await self._send(server, known, hearing)
            finally:
                hearing.cancel()
                with suppress(asyncio.CancelledError, LinkError):
                    await hearing

    async def _settled(self) -> None:
        """Return when no catalogue has changed for some time."""
        self._records_changed.set()
        while self._records_changed.is_set():
            self._records_changed.clear()
            await self._clock.sleep(SETTLE_S)

    async def _send(self, server: PvServer, known: set[str], hearing: asyncio.Task[None]) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if hearing.done():
                hearing.result()
                raise LinkError("the process with the server of EPICS has ended", source=ROLE)
            if self._records_changed.is_set():
                return
            ends, self._ends = tuple(self._ends), []
            # Also without rows, as a sign of life: without it the server takes its values for old.
            rows = tuple(row for row in self._table.take_waiting() if row.name in known)
            await server.send(IocBatch(rows=rows, ends=ends))
            await self._clock.sleep(BATCH_S)

    def _put_ended(self, name: str, end: PvEnd) -> None:
        if not end.is_done:
            self._refused_s[name] = self._clock.monotonic()
            self._table.refused(name)
        self._ends.append(end)
        self._news.set()

    def _take_catalogue(self, entry: Entry) -> None:
        catalogue = decode(entry.data, Catalogue) if entry.data is not None else None
        if self._table.catalogue(entry.key.partition(".")[2], catalogue):
            self._records_changed.set()
            self._news.set()

    def _take_readings(self, message: Readings) -> None:
        if self._table.readings(message):
            self._news.set()

    async def _age(self) -> None:
        while True:
            await self._clock.sleep(AGE_S)
            is_bus_there = all(self._readings.following.values())
            now_s, now_ns = self._clock.monotonic(), self._clock.now_ns()
            self._table.age(now_s, now_ns, is_bus_there=is_bus_there)
            for name in [name for name, at_s in self._refused_s.items() if now_s - at_s > REFUSAL_S]:
                del self._refused_s[name]
                self._table.shown_again(name, now_ns)
            self._news.set()

    async def _follow_presence(self) -> None:
        report = edge_log(_log, "pvs: heartbeats are not followed", "pvs: heartbeats are followed again")
        await Retry(self._clock, report, pause_s=RETRY_S, on=CountingRoomError).forever(self._hear)

    async def _hear(self) -> None:
        async with self._bus.subscribe(subjects.presence("devices", "*"), limit=1024) as heartbeats:
            async for message in heartbeats:
                presence = self._bus.dead_letters.read(message.subject, message.data, Presence)
                if presence is None:
                    continue
                changed = (
                    self._table.leave(presence.targets, self._clock.now_ns())
                    if presence.leaving
                    else self._table.beat(presence.targets, self._clock.monotonic())
                )
                if changed:
                    self._news.set()
        raise LinkError("the heartbeats ended", source="bus")
