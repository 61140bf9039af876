"""How an engine begins: with what is saved, and with what the bus has.

Where the database does not answer, the engine begins with the bus alone, so that alarms are decided and announced. As
soon as the database answers, it takes over again: what it decided meanwhile is numbered after what is saved, and saved.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence

from msgspec import Struct
from msgspec.structs import replace

from countingroom.alarms.engine.book import AlarmBook
from countingroom.alarms.engine.keeper import SAVE_S, AlarmStore
from countingroom.alarms.engine.known import KnownAlarms
from countingroom.alarms.engine.records import event_of
from countingroom.alarms.engine.saved import EngineAlarm
from countingroom.bus.port import Bus, Current, Entry
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.alarms.history import AlarmEntry, AlarmHistoryFilter, SavedAlarm
from countingroom.core.alarms.states import AlarmState
from countingroom.core.clock import Clock, within
from countingroom.core.errors import LinkError
from countingroom.core.messages import Malformed, MessageDecoder

_log = logging.getLogger(__name__)

TELL_AGAIN_NS = 90_000_000_000
"""What was recorded in this time before a takeover is told again. The stream stores a repeated event once for 120 s."""
_TOLD_AGAIN = 1000
_decoder = MessageDecoder(AlarmState)


class Carried(Struct, frozen=True, kw_only=True):
    """What an engine decided before its database answered."""

    new: frozenset[str] = frozenset()
    """Alarms whose occurrences it counted from 1, because it did not know the last one."""
    rows: tuple[AlarmEntry, ...] = ()
    """Their history, which is not saved."""


class Begun(Struct, frozen=True, kw_only=True):
    """How an engine has begun."""

    writer: int | None
    """Its number for the database; None: that did not answer."""
    ids: frozenset[str] = frozenset()
    """The alarms that it began with."""
    unsaved: dict[str, EngineAlarm] = {}
    """Those that are saved otherwise than they are."""
    rows: tuple[AlarmEntry, ...] = ()
    """History that is to be saved."""
    shifts: dict[str, int] = {}
    """Alarm -> what is added to the occurrences that it was given before its database answered."""


class Takeover:
    """Begins an engine, each time that it becomes the active one."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        store: AlarmStore,
        instance: str,
        partitions: Callable[[], Awaitable[Collection[str]]] | None,
    ) -> None:
        """`instance`: the name of this process. `partitions`: finds all that exist; None: they are not known."""
        self._bus = bus
        self._clock = clock
        self._store = store
        self._instance = instance
        self._partitions = partitions

    async def begin(self, book: AlarmBook, known: KnownAlarms, publisher: Publisher, carried: Carried) -> Begun:
        """Fill the book, and bring the bus to it. LinkError while the bus is away."""
        now_ns = self._clock.now_ns()
        published = await self._published()
        saved: Sequence[SavedAlarm] = ()
        told: Sequence[AlarmEntry] = ()
        writer: int | None = None
        try:
            async with within(self._clock, SAVE_S):
                number = await self._store.take_over(self._instance)
            saved = await self._store.load()
            told = await self._store.history(AlarmHistoryFilter(from_ns=now_ns - TELL_AGAIN_NS, limit=_TOLD_AGAIN))
            if self._partitions is not None:
                known.exist(await self._partitions())
            writer = number
        except (LinkError, TimeoutError) as error:
            _log.warning("alarms: begins without the database, which does not answer: %s", error)
            saved = ()
        last = {one.id: one for one in saved}
        numbered = _numbered(published, carried.new, last) if writer else published
        book.restore(_newest(saved, numbered), now_ns)
        unsaved: dict[str, EngineAlarm] = {}
        for entry in book.entries():
            if entry.record.is_at_rest:
                continue
            id, state = entry.subject.id, entry.published()
            if published.get(id) != state:
                publisher.state(subjects.alarm_key(id), state)
            if writer and ((kept := last.get(id)) is None or kept.state != state):
                unsaved[id] = entry
        for id in published:
            entry = book.get(id)
            if entry is None or entry.record.is_at_rest:
                publisher.delete(subjects.alarm_key(id))
        for row in reversed(told):
            publisher.event(event_of(row))
        return Begun(
            writer=writer,
            ids=frozenset(one.subject.id for one in book.entries()),
            unsaved=unsaved,
            rows=tuple(_renumbered(carried, last)) if writer else (),
            shifts=_shifts(published, carried.new, last) if writer else {},
        )

    async def _published(self) -> dict[str, AlarmState]:
        """The alarms on the bus."""
        found: dict[str, AlarmState] = {}
        async with self._bus.watch(subjects.STATE_BUCKET, "alarm.>") as items:
            async for item in items:
                match item:
                    case Entry(data=bytes() as data):
                        try:
                            state = _decoder.decode(data)
                        except Malformed as error:
                            self._bus.dead_letters.add(item.key, data, error)
                        else:
                            found[state.id] = state
                    case Current():
                        break
                    case _:
                        pass
        return found


def _newest(saved: Sequence[SavedAlarm], published: dict[str, AlarmState]) -> list[SavedAlarm]:
    """What is saved. Where the database could not be written before the end of the last engine, the bus knows more."""
    found = {one.id: one for one in saved}
    for id, state in published.items():
        known = found.get(id)
        if known is None or (state.occurrence, state.changed_ns) > (
            known.occurrence,
            known.state.changed_ns if known.state else state.changed_ns,
        ):
            found[id] = SavedAlarm(id=id, occurrence=state.occurrence, state=state)
    return list(found.values())


def _numbered(
    published: dict[str, AlarmState], new: Collection[str], last: dict[str, SavedAlarm]
) -> dict[str, AlarmState]:
    """What the bus has, with occurrences that go on from those that are saved. One that was not at rest when it was
    saved is the same alarm: it is left out, so that its acknowledgement or shelf counts again."""
    found = dict(published)
    for id in new:
        known, state = last.get(id), published.get(id)
        if known is None or state is None:
            continue
        if known.state is not None:
            del found[id]
        else:
            found[id] = replace(state, occurrence=state.occurrence + known.occurrence)
    return found


def _shifts(published: dict[str, AlarmState], new: Collection[str], last: dict[str, SavedAlarm]) -> dict[str, int]:
    """What `_numbered` added, also for what is left out: it goes on under the number that is saved."""
    found: dict[str, int] = {}
    for id in new:
        if (known := last.get(id)) is not None:
            state = published.get(id)
            found[id] = known.occurrence - state.occurrence if known.state and state else known.occurrence
    return found


def _renumbered(carried: Carried, last: dict[str, SavedAlarm]) -> list[AlarmEntry]:
    rows: list[AlarmEntry] = []
    for row in carried.rows:
        known = last.get(row.alarm) if row.alarm in carried.new else None
        if known is None:
            rows.append(row)
        elif known.state is None:
            rows.append(replace(row, occurrence=row.occurrence + known.occurrence))
    return rows
