"""Follows the values that runs of a partition depend on: the conditions of its template and of the run's limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import msgspec

from countingroom.bus.port import Message, Stored
from countingroom.core import subjects
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Readings
from countingroom.core.retry import Retry, edge_log
from countingroom.core.run_book import RunCondition, RunFlagKind
from countingroom.core.run_flags import RunTrouble, condition_trouble
from countingroom.core.start_up import START_UP_S
from countingroom.core.times import duration
from countingroom.core.values import Quality, Reading
from countingroom.runs.partition.port import OwnerPort
from countingroom.runs.partition.run_lifecycle import RunLifecycle
from countingroom.runs.planner.template import Condition

_log = logging.getLogger(__name__)
_RETRY_S = 1.0
_CHECK_S = 5.0
"""How often the age of the values is checked while a run is open."""
_YOUNG_S = 90.0
"""A device publishes all its points every minute. Older values are of a device that is no longer published."""


class Conditions:
    """The present values of the conditions of one partition."""

    def __init__(self, owner: OwnerPort, life: RunLifecycle, changed: Callable[[], None]) -> None:
        """`changed` is called after each message with values."""
        self._owner = owner
        self._life = life
        self._changed = changed
        self._readings: dict[str, Reading] = {}
        self._heard_s: dict[str, float] = {}
        """Device -> the monotonic time of its last message, in s."""
        self._read: set[str] = set()
        """Devices of which all that was stored before has been read."""
        self._began_s: dict[str, float] = {}
        """Device -> since when it is followed, by the monotonic clock, in s."""

    async def run(self) -> None:
        """Follow until cancelled. Without conditions it reads no values."""
        while True:
            devices = self._devices()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._follow(device)) for device in sorted(devices)]
                if devices:
                    tasks.append(group.create_task(self._age()))
                while self._devices() == devices:
                    await self._owner.changed()
                for task in tasks:
                    task.cancel()

    def present(self) -> dict[str, RunCondition]:
        """Point -> its value now; points without a reading are left out."""
        found: dict[str, RunCondition] = {}
        for condition in self._wanted():
            if reading := self._reading(condition.point):
                found[condition.point] = RunCondition(
                    value=reading.value, quality=reading.quality, device_ns=reading.device_ns
                )
        return found

    def troubles(self) -> dict[RunTrouble, str]:
        """The conditions that are outside their limits, or not known."""
        found: dict[RunTrouble, str] = {}
        for one in self._wanted():
            if not self._is_known(one.point):
                continue
            if what := condition_trouble(one.point, self._reading(one.point), low=one.low, high=one.high):
                found[RunTrouble(flag=RunFlagKind.DEGRADED, subject=one.point)] = what
        return found

    def _wanted(self) -> tuple[Condition, ...]:
        described = self._owner.context.section.partitions.get(self._owner.name)
        named = self._owner.partition.template.conditions
        own = tuple(one.condition for one in described.conditions) if described else ()
        known = {one.point for one in own}  # the limits of the partition replace those of its template
        named = (*(one for one in named if one.point not in known), *own)
        run = self._life.open
        point = run.limit.point if run and run.limit else ""
        return named if not point or any(one.point == point for one in named) else (*named, Condition(point=point))

    def _devices(self) -> frozenset[str]:
        return frozenset(one.point.partition(".")[0] for one in self._wanted())

    def _is_known(self, point: str) -> bool:
        """Whether a reading that is not there is missing. A new owner has not read the stored ones yet."""
        device = point.partition(".")[0]
        if point in self._readings or device in self._read:
            return True
        now_s = self._owner.context.clock.monotonic()
        return now_s - self._began_s.get(device, now_s) >= START_UP_S

    def _reading(self, point: str) -> Reading | None:
        """The last reading, STALE where its device is no longer published."""
        reading, heard_s = self._readings.get(point), self._heard_s.get(point.partition(".")[0], 0.0)
        if reading is None or self._owner.context.clock.monotonic() - heard_s < _YOUNG_S:
            return reading
        reason = f"nothing was published for {duration(_YOUNG_S)}"
        return msgspec.structs.replace(reading, quality=max(Quality.STALE, reading.quality), reason=reason)

    async def _age(self) -> None:
        while True:
            await self._owner.context.clock.sleep(_CHECK_S)
            self._changed()

    async def _follow(self, device: str) -> None:
        report = edge_log(_log, f"the conditions of {device} are not followed", f"{device} is followed again")
        clock = self._owner.context.clock
        self._began_s.setdefault(device, clock.monotonic())
        async with asyncio.TaskGroup() as group:
            for source in (self._stored, self._live):
                retry = Retry(clock, report, pause_s=_RETRY_S, on=CountingRoomError)
                group.create_task(retry.run(partial(source, device)))

    async def _stored(self, device: str) -> None:
        """The last full message and everything after it."""
        bus, start, stream = self._owner.context.bus, 1, subjects.READINGS_STREAM
        full, every = subjects.readings(device, full=True), subjects.readings_of(device)
        async with bus.replay(stream, subjects=full, last_per_subject=True, follow=False) as stored:
            async for message in stored:
                start = message.sequence
        async with bus.replay(stream, subjects=every, from_sequence=start, follow=False) as stored:
            async for message in stored:
                self._take(device, message, message.stored_ns)
                start = message.sequence + 1
        self._read.add(device)
        self._changed()
        async with bus.replay(stream, subjects=every, from_sequence=start) as stored:
            async for message in stored:
                self._take(device, message, message.stored_ns)

    async def _live(self, device: str) -> None:
        """Readings that the stream cannot store now, because its disk is full."""
        async with self._owner.context.bus.subscribe(subjects.live_readings(device)) as messages:
            async for message in messages:
                self._take(device, message, self._owner.now_ns())

    def _take(self, device: str, message: Message | Stored, sent_ns: int) -> None:
        readings = self._owner.context.bus.dead_letters.read(message.subject, message.data, Readings)
        if readings is None:
            return
        clock = self._owner.context.clock
        heard_s = clock.monotonic() - max(0, clock.now_ns() - sent_ns) / 1e9
        self._heard_s[device] = max(heard_s, self._heard_s.get(device, 0.0))
        wanted = {one.point for one in self._wanted()}
        for name, reading in readings.rows():
            if (point := f"{device}.{name}") in wanted:
                self._readings[point] = reading
        self._changed()
