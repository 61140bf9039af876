"""A copy on the bus of urgent messages that have not ended, and of alarms about which messages were sent. The next
engine needs it if the database is away.

The copy is in the memory of the bus server, so a full disk does not affect it. The outbox in the database has the same
and more. The copy is used where it is ahead of the outbox, or while the outbox does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from countingroom.bus.port import Bus, Current, Entry
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.messages import Malformed, MessageDecoder
from countingroom.core.notify.messages import URGENT_PRIORITY, OutboxEntry, notification_id
from countingroom.core.notify.missed import renumbered
from countingroom.core.notify.planned import Planned
from countingroom.core.notify.tracks import Key, Track

T = TypeVar("T", bound=Struct)

CONFIRM_S = 2.0
"""The longest time that an urgent message waits for the bus."""
AT_ONCE = 500
"""The most tracks that are given to the bus at once, so that states of alarms can be published between them."""
_messages = MessageDecoder(OutboxEntry)
_tracks = MessageDecoder(Track)


class Copied(Struct, frozen=True, kw_only=True):
    """The copy that the last engine left on the bus."""

    messages: tuple[OutboxEntry, ...] = ()
    tracks: Mapping[Key, Track] = {}

    def __bool__(self) -> bool:
        return bool(self.messages or self.tracks)


class BusCopy:
    """Writes the copy of this engine, and reads the copy of the last one."""

    def __init__(self, bus: Bus, publisher: Publisher, clock: Clock, leads: Callable[[], bool]) -> None:
        """`leads`: whether this engine still holds the lease. A process that was suspended must not overwrite the copy
        of its successor."""
        self._bus = bus
        self._publisher = publisher
        self._clock = clock
        self._leads = leads
        self._tracks: set[Key] = set()
        """Keys of the tracks that are on the bus."""
        self._dropped: set[Key] = set()
        """Keys of `_tracks` that the planner has deleted, but the database still has."""

    def message(self, entry: OutboxEntry) -> None:
        """Copy a message that has not ended, or whose end is not in the database yet."""
        if self._leads():
            self._publisher.state(subjects.notify_message_key(entry.notification.id), entry)

    def ended(self, id: str) -> None:
        """Delete the copy of a message, because its end is in the database."""
        if self._leads():
            self._publisher.delete(subjects.notify_message_key(id))

    async def confirmed(self) -> None:
        """Return when the bus has all earlier copies, after CONFIRM_S at the latest."""
        with suppress(TimeoutError):
            async with within(self._clock, CONFIRM_S):
                await self._publisher.flush()

    async def planned(self, changed: Mapping[Key, Track | None], messages: Iterable[Planned]) -> None:
        """Copy the tracks of alarms about which urgent messages are sent."""
        urgent = {
            (one.route, track.alarm)
            for one in messages
            if one.kind.asks_for_acknowledgement and one.tracks[0].priority <= URGENT_PRIORITY
            for track in one.tracks
        }
        for number, (key, track) in enumerate(changed.items(), 1):
            if number % AT_ONCE == 0:  # in a flood the tracks must not fill the queue of the publisher
                await self._publisher.room(AT_ONCE)
            if track is not None and _is_told(track) and (_is_urgent(track) or key in urgent or key in self._tracks):
                self._tracks.add(key)
                self._dropped.discard(key)
                self._write(track)
            elif key in self._tracks:
                # Deleted only when the database has the change too; until then a successor needs the old track.
                self._dropped.add(key)

    def stored(self) -> None:
        """The database has stored the plan: delete the tracks that the planner deleted."""
        for key in self._dropped:
            if self._leads():
                self._publisher.delete(_key(key))
        self._tracks -= self._dropped
        self._dropped.clear()

    async def read(self, shifts: Mapping[str, int]) -> Copied:
        """The copy that the last engine left. `shifts`: alarm -> number to add to its occurrences. LinkError while the
        bus is away."""
        messages = await self._read(f"{subjects.NOTIFY_MESSAGES}.*", _messages)
        tracks = [renumbered(one, shifts) for one in await self._read(f"{subjects.NOTIFY_TRACKS}.*", _tracks)]
        self._tracks |= {one.key for one in tracks}
        found = Copied(
            messages=tuple(_renumbered(one, shifts) for one in messages), tracks={one.key: one for one in tracks}
        )
        for track in tracks if shifts else ():
            self._write(track)
        for entry in found.messages if shifts else ():
            self.message(entry)
        return found

    def forget(self, tracks: Collection[Key]) -> None:
        """Delete the copies of these tracks at the next `stored`, because the database has newer ones."""
        self._dropped |= self._tracks.intersection(tracks)

    def _write(self, track: Track) -> None:
        if self._leads():
            self._publisher.state(_key(track.key), track)

    async def _read(self, pattern: str, decoder: MessageDecoder[T]) -> list[T]:
        found: list[T] = []
        async with self._bus.watch(subjects.STATE_BUCKET, pattern) as items:
            async for item in items:
                match item:
                    case Entry(data=bytes() as data):
                        try:
                            found.append(decoder.decode(data))
                        except Malformed as error:
                            self._bus.dead_letters.add(item.key, data, error)
                    case Current():
                        break
                    case _:
                        pass
        return found


def _key(key: Key) -> str:
    return subjects.notify_track_key(notification_id("track", *key))


def _is_told(track: Track) -> bool:
    return track.step > 0 or bool(track.told)


def _is_urgent(track: Track) -> bool:
    return track.priority <= URGENT_PRIORITY


def _renumbered(entry: OutboxEntry, shifts: Mapping[str, int]) -> OutboxEntry:
    message = entry.notification
    alarms = tuple((alarm, occurrence + shifts.get(alarm, 0)) for alarm, occurrence in message.alarms)
    return replace(entry, notification=replace(message, alarms=alarms))
