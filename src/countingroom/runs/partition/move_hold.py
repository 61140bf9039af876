"""Holds of a partition while detectors are moved, and its lock by a user. A hold expires if its coordinator dies."""

from __future__ import annotations

from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.messages import Malformed, MessageDecoder, Reply, encode
from countingroom.core.systems import CONFIGURING
from countingroom.runs.owner_messages import Hold, Notice, Release
from countingroom.runs.partition.port import OwnerPort
from countingroom.runs.planner.events import LockSet

_notices: MessageDecoder[Notice] = MessageDecoder(Notice)  # pyright: ignore[reportArgumentType]
_LOOK_S = 0.5
LONGEST_S = 60.0
"""No hold lasts longer, whatever its sender asks for."""


class MoveHold:
    """The holds and the lock of one partition."""

    def __init__(self, owner: OwnerPort) -> None:
        self._owner = owner
        self._holds: dict[str, float] = {}
        """Id -> monotonic time at which it expires."""
        self.locked = False
        """Locked by a user."""

    def lock(self, locked: bool) -> None:
        """Lock or unlock for a user."""
        self.locked = locked
        self._tell()

    async def run(self) -> None:
        """Until cancelled."""
        async with self._owner.context.bus.respond(subjects.owner(self._owner.name), self._answer):
            while True:
                await self._owner.context.clock.sleep(_LOOK_S)
                await self._expire()

    async def _answer(self, message: Message) -> bytes:
        try:
            notice = _notices.decode(message.data)
        except Malformed as error:
            cause = malformed("a notice of a move", error, self._owner.source)
            return encode(Reply(id="", accepted=False, cause=cause))
        cause: Cause | None = None
        try:
            if isinstance(notice, Hold):
                cause = self._hold(notice)
            else:
                await self._release(notice)
                # The new members must be readable when the move is answered: a client reads the partitions right after.
                await self._owner.settle()
        except CountingRoomError as error:
            cause = error.cause
        return encode(Reply(id=notice.id, accepted=cause is None, cause=cause))

    def _hold(self, hold: Hold) -> Cause | None:
        others = [one for one in self._holds if one != hold.id]
        if others:
            name = self._owner.name
            return self._refused(
                "held", f"{name} is held: its detectors are being moved", "wait for the end of the move"
            )
        if cause := self._locked() or (None if hold.force else self._busy()):
            return cause
        clock = self._owner.context.clock
        left_s = hold.for_s or (hold.until_ns - clock.now_ns()) / 1e9
        self._holds[hold.id] = clock.monotonic() + min(left_s, LONGEST_S)
        self._tell()
        return None

    def _locked(self) -> Cause | None:
        """A lock is a decision of a person; force is for agents and partitions that do not answer."""
        if not self.locked:
            return None
        return self._refused("locked", f"{self._owner.name} is locked", "unlock it first")

    def _busy(self) -> Cause | None:
        partition = self._owner.partition
        going = partition.goal is not None and not partition.attempts.met
        moving = partition.state not in partition.template.rests or any(
            seen.common == CONFIGURING for seen in partition.seen.values()
        )
        if going or moving or partition.state == partition.template.recording or partition.run:
            return self._refused(
                "busy",
                f"{partition.name} is busy in {partition.state}",
                "wait for the end of its transition, or stop or abort it first",
            )
        return None

    async def _release(self, release: Release) -> None:
        """Reload the members, then accept commands again."""
        owner = self._owner
        for system in release.left:
            where = release.to or "no partition"
            owner.book.note(
                owner.partition.run, "exclude", f"{system} is moved to {where}", author=release.by, system=system
            )
        await self._owner.reload_members()
        self._holds.pop(release.id, None)
        self._tell()

    async def _expire(self) -> None:
        now_s = self._owner.context.clock.monotonic()
        for one in [one for one, until_s in self._holds.items() if until_s <= now_s]:
            try:
                await self._release(Release(id=one))
            except CountingRoomError:
                return  # the database is not reached: the next check repeats the release

    def _tell(self) -> None:
        self._owner.tell(LockSet(locked=self.locked or bool(self._holds)))

    def _refused(self, code: str, message: str, suggestion: str) -> Cause:
        return Cause(code=code, message=message, source=self._owner.source, suggestion=suggestion)
