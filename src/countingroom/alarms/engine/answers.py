"""Answers queries about alarms: definitions with guidance, history, and figures of the engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from countingroom.alarms.engine.keeper import AlarmStore
from countingroom.alarms.engine.known import KnownAlarms
from countingroom.alarms.engine.records import sentence
from countingroom.bus.port import Bus, Message
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.history import AlarmEntry, AlarmHistoryFilter
from countingroom.core.alarms.queries import (
    MOST_IDS,
    AlarmDetails,
    AlarmHistoryEntry,
    AlarmLink,
    DefinitionAnswer,
    DefinitionQuery,
    EngineFigures,
    EntriesAnswer,
    EntriesQuery,
    HistoryAnswer,
    HistoryQuery,
)
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Malformed, MessageDecoder, encode
from countingroom.core.series import QueryRefusal

_MOST_ROWS = 1000
_MOST_ENTRIES = 5000
"""The most history entries of one page; they take about 2 MB."""
_MONTH_NS = 30 * 86_400_000_000_000
_definition_query = MessageDecoder(DefinitionQuery)
_history_query = MessageDecoder(HistoryQuery)
_entries_query = MessageDecoder(EntriesQuery)


class AlarmAnswers:
    """Answers `query.alarms.definition`, `…history`, `…entries` and `…metrics`."""

    def __init__(
        self, bus: Bus, clock: Clock, store: AlarmStore, known: KnownAlarms, figures: Callable[[], EngineFigures]
    ) -> None:
        """`figures`: returns the present counts of the engine, for metrics."""
        self._bus = bus
        self._clock = clock
        self._store = store
        self._known = known
        self._figures = figures

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Answers queries while entered."""
        async with AsyncExitStack() as stack:
            for what, handler in (
                ("definition", self._definition),
                ("history", self._history),
                ("metrics", self._metrics),
                ("entries", self._entries),
            ):
                await stack.enter_async_context(self._bus.respond(subjects.query("alarms", what), handler))
            yield

    async def _definition(self, message: Message) -> bytes:
        try:
            question = _definition_query.decode(message.data)
        except Malformed as error:
            return _refused(error)
        found = (self._known.find(id) for id in question.ids[:MOST_IDS])
        return encode(DefinitionAnswer(definitions=tuple(self._details(one) for one in found if one is not None)))

    async def _metrics(self, _: Message) -> bytes:
        return encode(self._figures())

    async def _history(self, message: Message) -> bytes:
        try:
            return encode(await self._read(_history_query.decode(message.data)))
        except Malformed as error:
            return _refused(error)
        except CountingRoomError as error:  # the database is away
            return encode(QueryRefusal(cause=error.cause))

    async def _entries(self, message: Message) -> bytes:
        try:
            question = _entries_query.decode(message.data)
            limit = max(1, min(question.limit, _MOST_ENTRIES))
            rows = await self._store.history(
                AlarmHistoryFilter(from_ns=question.from_ns, to_ns=question.to_ns, before=question.before, limit=limit)
            )
        except Malformed as error:
            return _refused(error)
        except CountingRoomError as error:  # the database is away
            return encode(QueryRefusal(cause=error.cause))
        return encode(EntriesAnswer(entries=rows, next_before=rows[-1].sequence if len(rows) == limit else None))

    async def _read(self, question: HistoryQuery) -> HistoryAnswer:
        limit = max(0, min(question.limit, _MOST_ROWS))
        rows = await self._store.history(AlarmHistoryFilter(alarm=question.id, to_ns=question.before_ns, limit=limit))
        occurrences = await self._store.occurrences(question.id, self._clock.now_ns() - _MONTH_NS)
        return HistoryAnswer(records=tuple(map(_record, rows)), occurrences_30d=occurrences)

    def _details(self, one: AlarmDefinition) -> AlarmDetails:
        return AlarmDetails(
            id=one.id,
            area=one.area,
            title=one.title,
            priority=min(one.priorities),
            condition=self._known.condition(one),
            latching=one.latching,
            longest_shelf_s=self._known.longest_shelf_s(one),
            guidance=one.guidance,
            contact=one.contact,
            links=tuple(AlarmLink(title=title, address=address) for title, address in one.links.items()),
        )


def _refused(error: Malformed) -> bytes:
    return encode(QueryRefusal(cause=malformed("a question about alarms", error, "alarms")))


def _record(row: AlarmEntry) -> AlarmHistoryEntry:
    return AlarmHistoryEntry(
        time_ns=row.time_ns,
        kind=row.kind.value,
        text=sentence(row),
        occurrence=row.occurrence,
        priority=row.priority,
        base=row.base.value,
        by=row.person,
    )
