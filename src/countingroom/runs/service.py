"""Law: a run-control process holds nothing that another could not take over: it owns by lease or stands by."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from uuid import uuid4

import msgspec

from countingroom.bus.port import Bus, Entry
from countingroom.bus.presence import heartbeat
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import decode
from countingroom.core.systems import Whereabouts
from countingroom.runs.access.principals import People
from countingroom.runs.context import Office
from countingroom.runs.coordinator.coordinator import Coordinator
from countingroom.runs.description import RunsSection
from countingroom.runs.monitor.system_states import Reports
from countingroom.runs.partition.standby import PartitionRoom
from countingroom.storage.database import Database

_log = logging.getLogger(__name__)

_RETRY_S = 0.25


class RunsService:
    """The role `runs`: the coordinator, and a room for each partition. The database is open."""

    def __init__(
        self, bus: Bus, clock: Clock, section: RunsSection, database: Database, *, instance: str = "main"
    ) -> None:
        boot = uuid4().hex
        self._instance = instance
        self._office = Office(
            bus=bus,
            clock=clock,
            section=section,
            database=database,
            reports=Reports(bus, clock),
            people=People(database.users, clock),
            boot=boot,
            holder=f"{instance} at {socket.gethostname()}, process {os.getpid()}, {boot[:8]}",
        )
        self._coordinator = Coordinator(self._office)
        self.rooms: dict[str, PartitionRoom] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled. No system is touched at the start or at the end."""
        office = self._office
        async with asyncio.TaskGroup() as group:
            group.create_task(
                heartbeat(
                    office.bus,
                    office.clock,
                    role="runs",
                    instance=self._instance,
                    boot=office.boot,
                    targets=_Owned(self.rooms),
                )
            )
            group.create_task(office.reports.run())
            group.create_task(self._coordinator.run())
            await self._follow(group)

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        """Have a room for every partition there is; let owners look anew when something kept has changed."""
        bus = self._office.bus
        while True:
            try:
                async with bus.watch(subjects.STATE_BUCKET, subjects.MAPPING_KEY) as entries:
                    async for entry in entries:
                        if isinstance(entry, Entry) and entry.data is not None:
                            await self._take(group, entry.data)
            except CountingRoomError as error:
                _log.debug("runs: who is where is not followed: %s", error.cause)
            await self._office.clock.sleep(_RETRY_S)

    async def _take(self, group: asyncio.TaskGroup, data: bytes) -> None:
        try:
            whereabouts = decode(data, Whereabouts)
        except msgspec.DecodeError as error:
            _log.error("runs: who is where is not understood: %s", error)
            return
        for name in [name for name in self.rooms if name not in whereabouts.partitions]:
            del self.rooms[name]
            self._tasks.pop(name).cancel()
        for room in self.rooms.values():
            if room.tenure:
                room.tenure.look_anew()
        for name in whereabouts.partitions:
            if name not in self.rooms:
                self.rooms[name] = PartitionRoom(self._office, name)
                self._tasks[name] = group.create_task(self.rooms[name].run())


class _Owned:
    """The partitions that are owned here at the moment, and shown as they stand; others are stood by for."""

    def __init__(self, rooms: dict[str, PartitionRoom]) -> None:
        self._rooms = rooms

    def __iter__(self) -> Iterator[str]:
        for name, room in self._rooms.items():
            if room.tenure and room.tenure.board.shown:
                yield subjects.partition_key(name)
