"""Moves detectors between partitions as a transaction: all of them move, or none.

Its steps: hold the partitions, write the database, release those that are left, publish the layout, release the others.
After a failure the database is set back and the layout is published again. A hold expires by itself, in case this
process dies during the move.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import uuid4

from countingroom.bus.ask import ask
from countingroom.core import subjects
from countingroom.core.clock import within
from countingroom.core.errors import Cause, CountingRoomError, LinkError, Refused
from countingroom.core.messages import Reply
from countingroom.runs.context import RunControlContext
from countingroom.runs.coordinator.move_plan import Move
from countingroom.runs.owner_messages import Hold, Notice, Release

_log = logging.getLogger(__name__)

HOLD_S = 15.0
WRITE_S = 5.0
"""Time-out of the database. Much shorter than HOLD_S: after the holds expire, a partition could act on the old members
while the write is still under way."""
ANSWER_S = 2.0
UNDO_TIMES = 3


class MoveTransaction:
    """Carries out moves."""

    def __init__(self, context: RunControlContext, announce: Callable[[], Awaitable[None]]) -> None:
        self._context = context
        self._announce = announce

    async def move(self, move: Move, by: str, *, force: bool) -> None:
        """Move the detectors. After RequestError or LinkError the layout is as before."""
        async with Holds(self._context, move.partitions, force=force) as holds:
            try:
                async with within(self._context.clock, WRITE_S):
                    before = await self._context.database.mapping.move(move.moves, by, expected=move.before)
            except TimeoutError:
                raise LinkError(
                    "the database did not answer in time", source="mapping", suggestion="try again"
                ) from None
            try:
                # The partitions that are left reload first: the agent of a moved detector aborts it when it reads its
                # new place, and that must not be a loss for the partition that it left.
                await holds.release(move, by, left=True, force=force)
                await self._announce()
                await holds.release(move, by, left=False, force=force)
            except CountingRoomError as error:
                await self._undo(before, by, error.cause)
                raise

    async def delete_partition(self, name: str, by: str, *, force: bool) -> tuple[str, ...]:
        """Delete a partition; returns the names of its former detectors."""
        async with Holds(self._context, (name,), force=force):
            gone = await self._context.database.partitions.delete(name, by, force=force)
        await self._announce()
        return gone

    async def _undo(self, before: dict[str, str], by: str, why: Cause) -> None:
        for attempt in range(1, UNDO_TIMES + 1):
            try:
                await self._context.database.mapping.move(before, by)
                await self._announce()
            except CountingRoomError as error:
                _log.error("undo of a failed move (%s) failed, attempt %d: %s", why.message, attempt, error.cause)
            else:
                return


class Holds:
    """Holds partitions while entered. At the release they reload their members."""

    def __init__(self, context: RunControlContext, partitions: Sequence[str], *, force: bool) -> None:
        self._context = context
        self._partitions = partitions
        self._force = force
        self._id = uuid4().hex
        self._held: list[str] = []

    async def __aenter__(self) -> Holds:
        until_ns = self._context.clock.now_ns() + round(HOLD_S * 1e9)
        try:
            for name in self._partitions:
                hold = Hold(id=self._id, until_ns=until_ns, for_s=HOLD_S, force=self._force)
                try:
                    self._held.append(name)  # before the answer: when it is lost, the partition may be held
                    await self._ask(name, hold)
                except LinkError as error:
                    if not self._force:
                        raise
                    _log.warning("%s is not reached; its detectors are moved with force: %s", name, error.cause)
        except BaseException:
            # Also when cancelled: the partitions would refuse commands until the end of their hold.
            await self._let_go()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._let_go()

    async def release(self, move: Move, by: str, *, left: bool, force: bool) -> None:
        """Release the partitions that detectors left, or the others; with `force`, those that are not reached reload
        their members later."""
        for name in tuple(self._held):
            gone = tuple(one for one, before in move.before.items() if before == name)
            if bool(gone) is not left:
                continue
            try:
                to = move.moves[gone[0]] if gone else ""
                await self._ask(name, Release(id=self._id, left=gone, by=by, to=to))
                self._held.remove(name)
            except LinkError:
                if not force:
                    raise

    async def _let_go(self) -> None:
        for name in self._held:
            with suppress(CountingRoomError):  # the hold expires by itself
                await self._ask(name, Release(id=self._id))

    async def _ask(self, partition: str, notice: Notice) -> None:
        reply = await ask(self._context.bus, subjects.owner(partition), notice, Reply, timeout_s=ANSWER_S)
        if reply.cause:
            raise Refused(reply.cause)
