"""The commands of people to interlocks, and the answers to queries about their history."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from msgspec.structs import replace

from countingroom.alarms.interlocks.interlock_keeper import InterlockKeeper, InterlockStore
from countingroom.alarms.table_target import TableTarget
from countingroom.bus.command_request import CommandRequest, Completion, Handler
from countingroom.bus.port import Bus, Message
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.clock import Clock
from countingroom.core.commands.interlocks import INTERLOCKS
from countingroom.core.errors import CountingRoomError, OutOfRange
from countingroom.core.interlocks.events import BypassCause, EndBypass, RecordProofTest, ResetInterlock
from countingroom.core.interlocks.history import InterlockHistoryAnswer, InterlockHistoryQuery
from countingroom.core.messages import Malformed, MessageDecoder, encode
from countingroom.core.policy import Principal, Role
from countingroom.core.series import QueryRefusal

_MOST_ROWS = 1000
_LONGEST_S = 1e9
_queries = MessageDecoder(InterlockHistoryQuery)


class InterlockRequests(TableTarget):
    """The target `_interlocks`."""

    def __init__(
        self,
        keeper: InterlockKeeper,
        publisher: Publisher,
        clock: Clock,
        principal: Callable[[str, str], Awaitable[Principal]],
    ) -> None:
        """`principal`: (user, target) -> the principal with its roles."""
        self._keeper = keeper
        self._clock = clock
        self._principal = principal
        super().__init__(
            INTERLOCKS,
            {
                "reset": _sourced(self._reset),
                "bypass": _sourced(self._bypass),
                "end_bypass": _sourced(self._end_bypass),
                "proof_test": _sourced(self._proof_test),
            },
            "interlocks",
            publisher,
        )

    async def _reset(self, request: CommandRequest) -> Completion:
        event = ResetInterlock(by=request.by, role=await self._role(request), reason=request.text("reason", ""))
        return await self._keeper.command(request.text("interlock"), event)

    async def _bypass(self, request: CommandRequest) -> Completion:
        seconds = request.number("seconds")
        if seconds is None or not 0 < seconds <= _LONGEST_S:
            raise OutOfRange(
                "bypass needs seconds, more than 0 and at most 1e9",
                code="missing_argument" if seconds is None else "wrong_argument",
                suggestion="say for how long, in seconds",
            )
        event = BypassCause(
            cause=request.text("cause"),
            by=request.by,
            role=await self._role(request),
            reason=request.text("reason"),
            until_ns=self._clock.now_ns() + round(seconds * 1e9),
        )
        return await self._keeper.command(request.text("interlock"), event)

    async def _end_bypass(self, request: CommandRequest) -> Completion:
        event = EndBypass(cause=request.text("cause"), by=request.by, role=await self._role(request))
        return await self._keeper.command(request.text("interlock"), event)

    async def _proof_test(self, request: CommandRequest) -> Completion:
        event = RecordProofTest(
            by=request.by,
            role=await self._role(request),
            passed=request.flag("passed"),
            comment=request.text("comment", ""),
            cause=request.text("cause", ""),
        )
        return await self._keeper.command(request.text("interlock"), event)

    async def _role(self, request: CommandRequest) -> Role:
        """The sender's role in the experiment; the interlock compares it with the role that it requires."""
        return (await self._principal(request.by, subjects.EXPERIMENT)).on(subjects.EXPERIMENT)


def _sourced(handler: Handler) -> Handler:
    """The same handler; a refusal without a source gets the interlock as its source."""

    async def named(request: CommandRequest) -> Completion:
        try:
            return await handler(request)
        except CountingRoomError as error:
            if not error.cause.source and (interlock := request.text("interlock", "")):
                error.cause = replace(error.cause, source=f"interlock.{interlock}")
            raise

    return named


class InterlockAnswers:
    """Answers `query.alarms.interlock_history`."""

    def __init__(self, bus: Bus, store: InterlockStore) -> None:
        self._bus = bus
        self._store = store

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Answers queries while entered."""
        async with self._bus.respond(subjects.query("alarms", "interlock_history"), self._history):
            yield

    async def _history(self, message: Message) -> bytes:
        try:
            question = _queries.decode(message.data)
            limited = InterlockHistoryQuery(
                interlock=question.interlock,
                limit=max(0, min(question.limit, _MOST_ROWS)),
                from_ns=question.from_ns,
                before_ns=question.before_ns,
            )
            return encode(InterlockHistoryAnswer(records=await self._store.history(limited)))
        except Malformed as error:
            return encode(QueryRefusal(cause=malformed("a question about interlocks", error, "alarms")))
        except CountingRoomError as error:  # the database is away
            return encode(QueryRefusal(cause=error.cause))
