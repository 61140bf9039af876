"""The commands of the alarm department: makes an event for each alarm that a command names."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from countingroom.alarms.engine.book import AlarmBook
from countingroom.alarms.engine.keeper import AlarmKeeper
from countingroom.alarms.table_target import TableTarget
from countingroom.bus.command_request import CommandHandler, CommandRequest, Completion
from countingroom.bus.publisher import Publisher
from countingroom.core import policy, subjects
from countingroom.core.admission import NOTHING_TO_DO
from countingroom.core.alarms import identity
from countingroom.core.alarms.events import (
    Acknowledge,
    AlarmEvent,
    PutInService,
    Remark,
    Reset,
    Shelve,
    TakeOutOfService,
    Unshelve,
)
from countingroom.core.alarms.legality import ALREADY_SO
from countingroom.core.clock import Clock
from countingroom.core.commands.alarms import ALARMS, Seen, named, parts_of
from countingroom.core.errors import Cause, NotFound, OutOfRange, Refused
from countingroom.core.policy import Permission, Principal
from countingroom.core.values import Scalar

_TOLD = 20
"""The most refused alarms that one answer names."""

Make = Callable[[str, Seen, int, AlarmBook], AlarmEvent]
"""(id of an alarm, the occurrence that the sender saw, now_ns, book) -> the event for the alarm."""


class AlarmCommands(TableTarget):
    """The target `_alarms`. If some alarms refuse a command, it acts on the others, and the answer names both.

    An alarm that is already in the wanted state counts as done: two people may acknowledge the same alarm.
    """

    def __init__(
        self,
        keeper: AlarmKeeper,
        publisher: Publisher,
        ids_of: Callable[[str], set[str]],
        exists: Callable[[str], bool],
    ) -> None:
        """`ids_of`: area -> the alarms in it and in the areas below. `exists`: id -> whether there is such an alarm."""
        self._keeper = keeper
        self._ids_of = ids_of
        self._exists = exists
        super().__init__(
            ALARMS,
            {
                "acknowledge": self._acknowledge,
                "reset": self._reset,
                "shelve": self._shelve,
                "unshelve": self._unshelve,
                "out_of_service": self._out_of_service,
                "in_service": self._in_service,
                "comment": self._comment,
            },
            "the alarm department",
            publisher,
        )

    async def _acknowledge(self, request: CommandRequest) -> Completion:
        comment = request.text("comment", "")

        def make(id: str, seen: Seen, _: int, book: AlarmBook) -> AlarmEvent:
            entry = book.get(id)
            occurrence, priority = parts_of(seen)
            if occurrence is None:
                occurrence = entry.record.occurrence if entry else 0
            return Acknowledge(by=request.by, occurrence=occurrence, comment=comment, priority=priority)

        return await self._give(request, make)

    async def _reset(self, request: CommandRequest) -> Completion:
        return await self._give(
            request, lambda _id, seen, _now_ns, _book: Reset(by=request.by, occurrence=parts_of(seen)[0])
        )

    async def _shelve(self, request: CommandRequest) -> Completion:
        reason = request.text("reason")
        length_ns = _length_ns(request)
        once = request.flag("once")
        return await self._give(
            request,
            lambda _id, _seen, now_ns, _book: Shelve(
                by=request.by, reason=reason, until_ns=now_ns + length_ns, once=once
            ),
        )

    async def _unshelve(self, request: CommandRequest) -> Completion:
        return await self._give(request, _always(Unshelve(by=request.by)))

    async def _out_of_service(self, request: CommandRequest) -> Completion:
        owner = request.text("owner")
        reason = request.text("reason")
        length_ns = _length_ns(request)
        return await self._give(
            request,
            lambda _id, _seen, now_ns, _book: TakeOutOfService(
                by=request.by, owner=owner, reason=reason, due_ns=now_ns + length_ns
            ),
        )

    async def _in_service(self, request: CommandRequest) -> Completion:
        return await self._give(request, _always(PutInService(by=request.by)))

    async def _comment(self, request: CommandRequest) -> Completion:
        text = request.text("comment")
        return await self._give(request, _always(Remark(by=request.by, text=text)))

    async def _give(self, request: CommandRequest, make: Make) -> Completion:
        """Give the events to the alarms. Refused if every alarm refuses; otherwise the closing event has the number of
        refusals."""
        alarms = self._alarms(request)

        def events(book: AlarmBook, now_ns: int) -> dict[str, AlarmEvent]:
            return {id: make(id, seen, now_ns, book) for id, seen in alarms.items()}

        changes = await self._keeper.command(events, by=request.by)
        refused = {id: cause for id, cause in changes.refused.items() if cause.code not in ALREADY_SO}
        if changes.refused and len(changes.refused) == len(alarms):
            raise Refused(_all_refused(refused) if refused else _already_so(changes.refused))
        return _told(len(alarms), refused) if refused else None

    def _alarms(self, request: CommandRequest) -> dict[str, Seen]:
        """The alarms that the command names. NotFound if one does not exist, OutOfRange if it names no alarm."""
        given = request.text("alarms", "")
        area = request.text("area", "")
        alarms: dict[str, Seen] = named(given) if given else {}
        if unknown := sorted(id for id in alarms if not self._exists(id)):
            raise NotFound(
                f"there is no alarm {unknown[0]!r}", source="alarms", suggestion="list them: countingroom alarm list"
            )
        if area:
            found = self._ids_of(area)
            if not found:
                raise NotFound(f"there is no alarm in the area {area!r}", source="alarms", suggestion="list the areas")
            alarms |= dict.fromkeys(found)
        if not alarms:
            raise OutOfRange(
                f"{request.command.action} names no alarm",
                code="missing_argument",
                suggestion="give the identities of alarms, or an area",
            )
        return alarms


def _always(event: AlarmEvent) -> Make:
    """Makes the same event for each alarm."""
    return lambda _id, _seen, _now_ns, _book: event


async def _told(count: int, refused: Mapping[str, Cause]) -> dict[str, Scalar]:
    """The data of the closing event of a command that some alarms refused."""
    names = "; ".join(f"{id}: {cause.message}" for id, cause in list(refused.items())[:_TOLD])
    return {"done": count - len(refused), "refused": len(refused), "refusals": names}


def _already_so(settled: Mapping[str, Cause]) -> Cause:
    """The cause if every alarm is already in the wanted state."""
    messages = "; ".join(f"{id}: {cause.message}" for id, cause in list(settled.items())[:_TOLD])
    return Cause(code=NOTHING_TO_DO, message=messages, suggestion="nothing")


def _all_refused(refused: Mapping[str, Cause]) -> Cause:
    causes = tuple(refused.values())
    if len(causes) == 1:
        (id,) = refused
        return Cause(
            code=causes[0].code,
            message=f"{id}: {causes[0].message}",
            evidence=causes[0].evidence,
            suggestion=causes[0].suggestion,
        )
    return Cause(
        code=causes[0].code,
        message=f"all {len(causes)} alarms refuse it; the first: {causes[0].message}",
        suggestion=causes[0].suggestion,
        causes=causes[:_TOLD],
    )


def _length_ns(request: CommandRequest) -> int:
    seconds = request.number("seconds")
    if seconds is None or not 0 < seconds <= 1e9:
        raise OutOfRange(
            f"{request.command.action} needs seconds, more than 0 and at most 1e9",
            code="missing_argument" if seconds is None else "wrong_argument",
            suggestion="say for how long, in seconds",
        )
    return round(seconds * 1e9)


class AlarmPolicy:
    """Refuses commands for which the sender's role on the devices and partitions of the alarms is too low."""

    def __init__(self, clock: Clock, principal: Callable[[str, str], Awaitable[Principal]]) -> None:
        """`principal`: (user, target) -> the principal with its roles (`Principals.principal`)."""
        self._clock = clock
        self._principal = principal

    @asynccontextmanager
    async def __call__(
        self, request: CommandRequest, handler: CommandHandler, permission: Permission
    ) -> AsyncGenerator[None]:
        """Entered while a command begins. Refused if the policy does not allow the command."""
        given = request.text("alarms", "")
        targets = {identity.target(id) for id in (named(given) if given else {})}
        if request.text("area", "") or not targets:
            targets.add(subjects.EXPERIMENT)
        for target in sorted(targets):
            user = await self._principal(request.by, target)
            if cause := policy.decide(user, permission, target, now_ns=self._clock.now_ns()):
                raise Refused(cause)
        yield
