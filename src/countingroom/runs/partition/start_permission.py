"""Follows the interlocks that forbid the start of runs of one partition.

What is not known forbids as well, see `core/interlocks/permissive.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Entry
from countingroom.core import subjects
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.interlocks.permissive import start_forbidden
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.messages import MessageDecoder, Presence, decode
from countingroom.core.retry import Retry, edge_log
from countingroom.runs.context import RunControlContext
from countingroom.runs.planner.events import Fact, StartForbidden
from countingroom.runs.planner.partition import PartitionModel

_log = logging.getLogger(__name__)
_states = MessageDecoder(InterlockState)
_presences = MessageDecoder(Presence)
_LOOK_S = 1.0
_RETRY_S = 1.0


class StartPermission:
    """The interlocks that can forbid a start of one partition. Without any it follows no state and allows every
    start."""

    def __init__(self, context: RunControlContext, partition: str, tell: Callable[[Fact], None]) -> None:
        self._bus = context.bus
        self._clock = context.clock
        self._permissives = context.permissives.get(partition, ())
        self._tell = tell
        self._states: dict[str, InterlockState] = {}
        self._followers: dict[str, BucketFollower] = {}
        """Interlock -> what follows its state."""
        self._heard_s = float("-inf")
        self._told: Cause | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        if not self._permissives:
            return
        report = edge_log(_log, "the alarm engine is not followed", "the alarm engine is followed again")
        for name in dict.fromkeys(one.interlock for one in self._permissives):
            key = subjects.interlock_key(name)
            follower = BucketFollower(self._bus, self._clock, key, self._take, current=self._look, lost=self._look)
            self._followers[name] = follower
        async with asyncio.TaskGroup() as group:
            for follower in self._followers.values():
                group.create_task(follower.run())
            retry = Retry(self._clock, report, pause_s=_RETRY_S, on=CountingRoomError)
            group.create_task(retry.forever(self._follow_engine))
            while True:  # silence is no message, so it is looked for
                self._look()
                await self._clock.sleep(_LOOK_S)

    def cause(self) -> Cause | None:
        """Why no run may be started now; None: it may."""
        silent_s = self._clock.monotonic() - self._heard_s
        found = (start_forbidden(one, self._state(one.interlock), silent_s) for one in self._permissives)
        return next((cause for cause in found if cause is not None), None)

    def forbids(self, partition: PartitionModel) -> Cause | None:
        """Why no system of it may be told to start now; None: it may. A run that has begun is ended by a stop."""
        return None if partition.began else self.cause()

    def _state(self, name: str) -> InterlockState | None:
        """None while it is not known: what was received before the link was lost may be out of date."""
        follower = self._followers.get(name)
        return None if follower is None or follower.stale else self._states.get(name)

    def _take(self, entry: Entry) -> None:
        name = entry.key.partition(".")[2]
        self._states.pop(name, None)  # one that cannot be decoded leaves no older one in force
        if entry.data is not None:
            self._states[name] = decode(entry.data, _states)
        self._look()

    async def _follow_engine(self) -> None:
        async with self._bus.subscribe(subjects.presence("alarms", "*")) as messages:
            async for message in messages:
                presence = self._bus.dead_letters.read(message.subject, message.data, _presences)
                if presence is not None and not presence.leaving and subjects.ALARMS in presence.targets:
                    self._heard_s = self._clock.monotonic()
                    self._look()

    def _look(self) -> None:
        cause = self.cause()
        if cause != self._told:
            self._told = cause
            self._tell(StartForbidden(cause=cause))
