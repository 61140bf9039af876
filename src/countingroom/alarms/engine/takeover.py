"""The start of an active engine: it loads the alarms from the database and from the bus.

If the database does not answer, the engine begins with the bus alone, so that alarms are evaluated and announced. When
the database answers, the engine takes over again: the occurrences that it counted in the meantime are renumbered after
the saved ones, and saved.
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
"""Events of this last time before a takeover are published again, because the last engine may have died between the
save and the event. It must be below 120 s: for so long the stream recognises a repeated event."""
_TOLD_AGAIN = 1000
LOAD_S = 20.0
"""So long the reads of a takeover may take together; then the engine begins without the database. Meanwhile no alarm is
judged."""
PAUSE_S = 3 * LOAD_S
"""An engine whose reads took too long serves for this time at least before it reads again."""
_decoder = MessageDecoder(AlarmState)


class Carried(Struct, frozen=True, kw_only=True):
    """The results of an engine that ran before the database answered."""

    new: frozenset[str] = frozenset()
    """Alarms whose occurrences it counted from 1, because it did not know the last number."""
    rows: tuple[AlarmEntry, ...] = ()
    """History rows that are not saved yet."""


class Begun(Struct, frozen=True, kw_only=True):
    """The result of a start."""

    writer: int | None
    """The number of this engine for the database; None if the database did not answer."""
    pause_s: float = 0.0
    """The database is asked again after this time."""
    ids: frozenset[str] = frozenset()
    """The alarms with which it began."""
    unsaved: dict[str, EngineAlarm] = {}
    """Alarms whose saved state is out of date."""
    rows: tuple[AlarmEntry, ...] = ()
    """History rows that must be saved."""
    shifts: dict[str, int] = {}
    """Alarm -> number to add to the occurrences that it got before the database answered."""


class Takeover:
    """Starts an engine each time that it becomes the active one."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        store: AlarmStore,
        instance: str,
        partitions: Callable[[], Awaitable[Collection[str]]] | None,
    ) -> None:
        """`instance`: the name of this process. `partitions`: returns all that exist; None: unknown."""
        self._bus = bus
        self._clock = clock
        self._store = store
        self._instance = instance
        self._partitions = partitions

    async def begin(self, book: AlarmBook, known: KnownAlarms, publisher: Publisher, carried: Carried) -> Begun:
        """Fill the book, and correct the states on the bus. LinkError while the bus is away."""
        now_ns = self._clock.now_ns()
        published = await self._published()
        saved: Sequence[SavedAlarm] = ()
        told: Sequence[AlarmEntry] = ()
        writer: int | None = None
        pause_s = 0.0
        try:
            async with within(self._clock, SAVE_S):
                number = await self._store.take_over(self._instance)
            pause_s = PAUSE_S  # where the reads take too long
            async with within(self._clock, LOAD_S):
                saved = await self._store.load()
                told = await self._store.history(AlarmHistoryFilter(from_ns=now_ns - TELL_AGAIN_NS, limit=_TOLD_AGAIN))
                if self._partitions is not None:
                    known.exist(await self._partitions())
            writer, pause_s = number, 0.0
        except LinkError as error:
            _log.warning("alarms: begins without the database, which does not answer: %s", error)
            pause_s = 0.0
        except TimeoutError:
            _log.warning("alarms: begins without the database, which does not answer in time")
        if writer is None:
            saved = ()  # all or none: without a writer the engine must not continue from a part of the saved alarms
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
        # The last engine may have been killed between the save of an end and the deletion of the key.
        for id in published:
            entry = book.get(id)
            if entry is None or entry.record.is_at_rest:
                publisher.delete(subjects.alarm_key(id))
        for row in reversed(told):  # the newest row is first in a read; events go out in the order of time
            publisher.event(event_of(row))
        return Begun(
            writer=writer,
            pause_s=pause_s,
            ids=frozenset(one.subject.id for one in book.entries()),
            unsaved=unsaved,
            rows=tuple(_renumbered(carried, last)) if writer else (),
            shifts=_shifts(published, carried.new, last) if writer else {},
        )

    async def _published(self) -> dict[str, AlarmState]:
        """Identity -> state of each alarm that the state bucket holds."""
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
    """The newer of the saved and the published state of each alarm. The bus has the newer one if the last engine could
    not write to the database before it ended."""
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
    """The published alarms, with occurrences that continue after the saved ones. An alarm that was not at rest when it
    was saved is the same occurrence: it is left out, so that its saved acknowledgement or shelf holds again."""
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
    """The numbers that `_numbered` added. An alarm that it left out continues under its saved number."""
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
