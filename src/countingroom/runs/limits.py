"""Law: a run that has a limit stops by itself when it is reached, whoever owns the partition by then."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from countingroom.core import subjects
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Readings, decode
from countingroom.core.partitions import Goal
from countingroom.core.run_book import Run, RunEnd, RunLimit
from countingroom.core.values import Quality, Reading

if TYPE_CHECKING:
    from countingroom.runs.tenure import Tenure

_log = logging.getLogger(__name__)
_RETRY_S = 1.0


class Limits:
    """Watches the open run of one partition."""

    def __init__(self, tenure: Tenure) -> None:
        self._tenure = tenure

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            run = self._tenure.life.open
            if run and run.started_ns and run.limit:
                await self._watch(run, run.started_ns, run.limit)
            else:
                await self._tenure.changed()

    async def _watch(self, run: Run, started_ns: int, limit: RunLimit) -> None:
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []
            if limit.seconds is not None:
                tasks.append(group.create_task(self._time(run, started_ns, limit.seconds)))
            if limit.point:
                tasks.append(group.create_task(self._point(run, limit)))
            while self._tenure.life.open and self._tenure.life.open.number == run.number:
                await self._tenure.changed()
            for task in tasks:
                task.cancel()

    async def _time(self, run: Run, started_ns: int, seconds: float) -> None:
        clock = self._tenure.office.clock
        await clock.sleep((started_ns - clock.now_ns()) / 1e9 + seconds)
        self._end(run, f"{seconds:g} s are over")

    async def _point(self, run: Run, limit: RunLimit) -> None:
        device, _, name = limit.point.partition(".")
        while True:
            try:
                async with self._tenure.office.bus.replay(
                    subjects.READINGS_STREAM, subjects=subjects.readings_of(device), last_per_subject=True
                ) as messages:
                    async for message in messages:
                        if told := _is_reached(message.data, name, limit):
                            self._end(run, f"{limit.point} {told}")
                            return
            except CountingRoomError as error:
                _log.warning("%s is not followed: %s", limit.point, error.cause)
            await self._tenure.office.clock.sleep(_RETRY_S)

    def _end(self, run: Run, why: str) -> None:
        tenure = self._tenure
        if tenure.partition.run != run.number or tenure.lease.lost:
            return
        tenure.book.note(run.number, "limit", why)
        now_ns = tenure.office.clock.now_ns()
        goal = Goal(state=tenure.partition.template.top, requested_by=run.requested_by, since_ns=now_ns, stop=True)
        tenure.goal(goal, "stop", end=RunEnd.LIMIT)


def _is_reached(data: bytes, name: str, limit: RunLimit) -> str:
    """In words, or empty. What is not believed counts for nothing."""
    try:
        rows = dict(decode(data, Readings).rows())
    except msgspec.DecodeError:
        return ""
    reading: Reading | None = rows.get(name)
    if reading is None or reading.quality > Quality.UNCERTAIN or isinstance(reading.value, str | None):
        return ""
    if limit.above is not None and reading.value > limit.above:
        return f"is {reading.value}, above {limit.above:g}"
    if limit.below is not None and reading.value < limit.below:
        return f"is {reading.value}, below {limit.below:g}"
    return ""
