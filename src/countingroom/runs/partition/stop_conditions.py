"""Stops a run when its limit is reached: a duration, or a condition on a point.

It also works after a change of owner.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from countingroom.bus.port import Message, Stored
from countingroom.core import subjects
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.messages import Readings
from countingroom.core.partitions import Goal
from countingroom.core.retry import Retry, edge_log
from countingroom.core.run_book import Run, RunEnd, RunLimit
from countingroom.core.times import duration
from countingroom.core.values import Quality, Reading
from countingroom.runs.partition.port import OwnerPort
from countingroom.runs.partition.run_lifecycle import RunLifecycle

_log = logging.getLogger(__name__)
_RETRY_S = 1.0
_YOUNG_NS = 90_000_000_000
"""A device publishes all its points every minute. An older reading is from a device that is no longer published."""


class StopConditions:
    """Checks the limit of the open run of one partition."""

    def __init__(self, owner: OwnerPort, life: RunLifecycle) -> None:
        self._owner = owner
        self._life = life

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            run = self._life.open
            if run and run.started_ns and run.limit:
                await self._watch(run, run.started_ns, run.limit)
            else:
                await self._owner.changed()

    async def _watch(self, run: Run, started_ns: int, limit: RunLimit) -> None:
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []
            if limit.seconds is not None:
                tasks.append(group.create_task(self._time(run, limit.seconds)))
            if limit.point:
                tasks.append(group.create_task(self._point(run, started_ns, limit)))
            while self._life.open and self._life.open.number == run.number:
                await self._owner.changed()
            for task in tasks:
                task.cancel()

    async def _time(self, run: Run, seconds: float) -> None:
        passed_s = self._life.duration_s(run.number) or 0.0
        await self._owner.context.clock.sleep(seconds - passed_s)
        self._end(run, f"{duration(seconds)} have passed")

    async def _point(self, run: Run, started_ns: int, limit: RunLimit) -> None:
        report = edge_log(_log, f"{limit.point} is not followed", f"{limit.point} is followed again")
        retry = Retry(self._owner.context.clock, report, pause_s=_RETRY_S, on=CountingRoomError)
        self._end(run, f"{limit.point} {await retry.run(lambda: self._until_reached(started_ns, limit))}")

    async def _until_reached(self, started_ns: int, limit: RunLimit) -> str:
        """Wait until the point reaches its limit. Returns the reason as text."""
        sources = self._readings(limit.point, started_ns), self._live_readings(limit.point)
        waiting = {asyncio.create_task(_first_reached(source, limit)) for source in sources}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _live_readings(self, point: str) -> AsyncGenerator[Reading]:
        """Readings that the stream cannot store now, because its disk is full."""
        device, _, name = point.partition(".")
        async with self._owner.context.bus.subscribe(subjects.live_readings(device)) as messages:
            async for message in messages:
                for reading in self._rows(message, name):
                    yield reading

    async def _readings(self, point: str, from_ns: int) -> AsyncGenerator[Reading]:
        """The readings of a point since `from_ns`, then its present one, then all that follow.

        Three reads of the stream: the last full message gives the position from which all points are known; from there
        up to now, so that a limit that was reached while no owner existed is found; then the new messages.
        """
        bus, clock = self._owner.context.bus, self._owner.context.clock
        device, _, name = point.partition(".")
        all_readings, start = subjects.readings_of(device), 1
        full = subjects.readings(device, full=True)
        async with bus.replay(subjects.READINGS_STREAM, subjects=full, last_per_subject=True, follow=False) as stored:
            async for message in stored:
                start = message.sequence
        present: Stored | None = None
        async with bus.replay(
            subjects.READINGS_STREAM, subjects=all_readings, from_sequence=start, follow=False
        ) as stored:
            async for message in stored:
                start = message.sequence + 1
                if rows := self._rows(message, name):
                    present = message
                    if message.stored_ns >= from_ns:
                        for reading in rows:
                            yield reading
        if present and clock.now_ns() - present.stored_ns < _YOUNG_NS:
            yield self._rows(present, name)[-1]
        async with bus.replay(subjects.READINGS_STREAM, subjects=all_readings, from_sequence=start) as stored:
            async for message in stored:
                for reading in self._rows(message, name):
                    yield reading

    def _rows(self, message: Message | Stored, name: str) -> list[Reading]:
        """The readings of a point in a message, in order: a point that changes fast has several."""
        readings = self._owner.context.bus.dead_letters.read(message.subject, message.data, Readings)
        return [reading for point, reading in readings.rows() if point == name] if readings else []

    def _end(self, run: Run, why: str) -> None:
        owner = self._owner
        if owner.partition.run != run.number:
            return
        owner.book.note(run.number, "limit", why)
        now_ns = owner.context.clock.now_ns()
        goal = Goal(state=owner.partition.template.top, requested_by=run.requested_by, since_ns=now_ns, stop=True)
        owner.goal(goal, "stop", end=RunEnd.LIMIT)


async def _first_reached(source: AsyncGenerator[Reading], limit: RunLimit) -> str:
    async with aclosing(source) as readings:
        async for reading in readings:
            if reached := _is_reached(reading, limit):
                return reached
    raise LinkError(f"the readings of {limit.point} ended", source="bus")


def _is_reached(reading: Reading, limit: RunLimit) -> str:
    """The reason as text when the limit is reached, else empty. Stale and bad readings do not count."""
    if reading.quality > Quality.UNCERTAIN or isinstance(reading.value, str | None):
        return ""
    if limit.above is not None and reading.value > limit.above:
        return f"is {reading.value}, above {limit.above:g}"
    if limit.below is not None and reading.value < limit.below:
        return f"is {reading.value}, below {limit.below:g}"
    return ""
