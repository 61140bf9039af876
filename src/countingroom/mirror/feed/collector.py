"""Follows what is published on the bus, redacts it at once, and writes what may leave into the outbox.

Only redacted records are kept: what a record was inside is gone when `_take` returns. States are compared with what
left last, so that a restart sends nothing twice; events follow the place in their stream that the outbox has, so that
none is lost or doubled. A state that is not published again some time after a start or a lost link is told as gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.bus.presence import Roster
from countingroom.bus.readings_follower import ReadingsFollower
from countingroom.core import subjects
from countingroom.core.alarms.states import AlarmState
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.fleet.states import NodeState, ServiceState
from countingroom.core.messages import (
    Catalogue,
    DeviceState,
    Event,
    MessageDecoder,
    Presence,
    decode,
)
from countingroom.core.mirror import raw_records
from countingroom.core.mirror.chosen_points import ChosenPoints
from countingroom.core.mirror.notes import KIND as NOTE
from countingroom.core.mirror.publication import FeedRules, HeldBack, PublicRecord, WithheldRecord
from countingroom.core.mirror.raw_records import RawRecord, Sort
from countingroom.core.partitions import PartitionState
from countingroom.core.retry import Retry, edge_log
from countingroom.mirror.feed.outbox import FeedOutbox
from countingroom.mirror.note_book import NoteBook, follow_notes

_log = logging.getLogger(__name__)

FLUSH_S = 0.05
"""Records are collected for this time: each write waits for the disk."""
GRACE_S = 30.0
"""A state that was known before and is not published again for so long is told as gone."""
ROSTER_S = 1.0
RETRY_S = 1.0
MOST_IN_MEMORY = 10_000
"""While the outbox is not written, so many records wait at least; then events stay in their stream, and of the states
the newest of each key."""
EVENTS = "events"
CANARY_S = 600.0
"""So long after a canary was found last it is told."""
_STATES: Mapping[str, tuple[str, str]] = {
    "partition": ("partition", ""),
    "device": ("device", ""),
    "catalogue": ("device", "point"),
    "alarm": ("alarm", ""),
    "node": ("node", "event"),
    "service": ("service", ""),
}
"""First token of keys in `state` -> the kind of record that is made of them, and another that needs them."""
_events = MessageDecoder(Event)


class FeedCollector:
    """Collects until cancelled."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        publication: FeedRules,
        outbox: FeedOutbox,
        points: ChosenPoints,
        notes: NoteBook | None = None,
        *,
        news: Callable[[], None],
    ) -> None:
        """`news` is called when records were written to the outbox."""
        self._bus = bus
        self._clock = clock
        self._publication = publication
        self._outbox = outbox
        self._points = points
        self._notes = notes
        self._news = news
        self._waiting: list[PublicRecord] = []
        self._withheld: list[WithheldRecord] = []
        self._most_waiting = 2 * MOST_IN_MEMORY
        self._position: int | None = None
        self._due = asyncio.Event()
        self._catalogues: dict[str, Catalogue] = {}
        self._devices: dict[str, DeviceState] = {}
        self._nodes: set[str] = set()
        self._keys: dict[str, tuple[str, str]] = {}
        """Key in `state` -> kind and key outside, while it is published."""
        self._unconfirmed: set[str] = set()
        """Keys in `state` that were known when the link was lost, and were not published since."""
        self._roles: dict[tuple[str, str], bool] = {}
        """Processes that are present -> whether they are ready."""
        self._roster = Roster(clock)
        self._held: set[tuple[str, str]] = set()
        self._canary_s: float | None = None
        self._canary = ""
        self.counts: Counter[str] = Counter()
        """`taken`, `held` (by the last check), `canaries`; since the start of the process."""
        self._report = edge_log(_log, "mirror: the outbox is not written", "mirror: the outbox is written again")
        self._readings: ReadingsFollower | None = None
        self._followers: dict[str, BucketFollower] = {}

    async def run(self) -> None:
        """Until cancelled."""
        kinds = self._publication.kinds
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write())
            for prefix, (kind, also) in _STATES.items():
                if kinds & {kind, also}:
                    group.create_task(self._follow(kind, prefix))
            if self._points and "point" in kinds:
                group.create_task(self._follow_points())
            if "role" in kinds:
                group.create_task(self._again("heartbeats", self._hear))
                group.create_task(self._look_at_roles())
                group.create_task(self._retire("role", lambda: self._bus.connected))
            if self._notes and NOTE in kinds:
                group.create_task(follow_notes(self._notes, self._put, self._gone, lambda: self._retire_now(NOTE)))
            if kinds & {"event", "run"}:
                group.create_task(self._again("events", self._follow_events))

    def troubles(self) -> list[str]:
        """Why not all is collected now, one sentence each."""
        found = [
            f"the states {prefix} on the bus are not followed" for prefix, one in self._followers.items() if one.stale
        ]
        if self._readings:
            found += self._readings.troubles()
        if self._report.is_failing:
            found.append("the outbox of the feed is not written")
        return found

    @property
    def canary(self) -> str:
        """That a canary was about to leave, for an alarm; empty: none was for some time."""
        recent = self._canary_s is not None and self._clock.monotonic() - self._canary_s < CANARY_S
        return self._canary if recent else ""

    # States

    async def _follow(self, kind: str, prefix: str) -> None:
        took = {"partition": self._partition, "alarm": self._alarm, "node": self._node, "service": self._service}
        take = {**took, "device": self._device, "catalogue": self._catalogue}[prefix]
        inside = f"{prefix}."

        def lost() -> None:
            self._unconfirmed |= {key for key in self._keys if key.startswith(inside)}

        async with asyncio.TaskGroup() as group:

            def current() -> None:
                group.create_task(self._retire(kind, lambda: not follower.stale, inside))

            if prefix == "catalogue":  # the states of devices say which there are
                follower = BucketFollower(self._bus, self._clock, f"{prefix}.>", take)
            else:
                follower = BucketFollower(self._bus, self._clock, f"{prefix}.>", take, current=current, lost=lost)
            self._followers[prefix] = follower
            group.create_task(follower.run())

    async def _retire(self, kind: str, is_current: Callable[[], bool], inside: str = "") -> None:
        """After a time of grace, tell as gone what nothing inside publishes any more."""
        await self._clock.sleep(GRACE_S)
        while not is_current():
            if inside:
                return  # the next complete snapshot begins it again
            await self._clock.sleep(GRACE_S)
        for key in [one for one in self._unconfirmed if inside and one.startswith(inside)]:
            self._gone(key)
        self._retire_now(kind)

    def _retire_now(self, kind: str) -> None:
        here = {key for known, key in self._keys.values() if known == kind}
        for key in sorted(self._outbox.present(kind) - here):
            self._add(PublicRecord(kind=kind, key=key, at_ns=self._clock.now_ns(), sort=Sort.GONE))

    def _partition(self, entry: Entry) -> None:
        self._state(entry, lambda data: raw_records.of_partition(decode(data, PartitionState)))

    def _alarm(self, entry: Entry) -> None:
        self._state(entry, lambda data: raw_records.of_alarm(decode(data, AlarmState)))

    def _node(self, entry: Entry) -> None:
        self._nodes.add(entry.key.partition(".")[2])
        self._state(entry, lambda data: raw_records.of_node(decode(data, NodeState)))

    def _service(self, entry: Entry) -> None:
        self._state(entry, lambda data: raw_records.of_service(decode(data, ServiceState)))

    def _catalogue(self, entry: Entry) -> None:
        device = entry.key.partition(".")[2]
        if entry.data is None:
            self._catalogues.pop(device, None)
        else:
            self._catalogues[device] = decode(entry.data, Catalogue)
            self._points.catalogue(self._catalogues[device])
        if state := self._devices.get(device):
            self._put(subjects.device_key(device), raw_records.of_device(state, self._catalogues.get(device)))

    def _device(self, entry: Entry) -> None:
        if entry.data is None:
            self._devices.pop(entry.key.partition(".")[2], None)
            self._gone(entry.key)
            return
        state = decode(entry.data, DeviceState)
        self._devices[state.device] = state
        self._put(entry.key, raw_records.of_device(state, self._catalogues.get(state.device)))

    def _state(self, entry: Entry, make: Callable[[bytes], RawRecord]) -> None:
        if entry.data is None:
            self._gone(entry.key)
        else:
            self._put(entry.key, make(entry.data))

    def _put(self, inside: str, raw: RawRecord) -> None:
        self._unconfirmed.discard(inside)
        taken = self._take(raw)
        known = self._keys.get(inside)
        if known and (taken is None or known[1] != taken.key):
            self._gone(inside)  # it may not leave any more, or has another key
        if taken:
            self._keys[inside] = taken.kind, taken.key

    def _gone(self, inside: str) -> None:
        self._unconfirmed.discard(inside)
        if known := self._keys.pop(inside, None):
            kind, key = known
            self._add(PublicRecord(kind=kind, key=key, at_ns=self._clock.now_ns(), sort=Sort.GONE))

    # Points

    async def _follow_points(self) -> None:
        while "catalogue" not in self._followers:
            await self._clock.sleep(FLUSH_S)
        await self._followers["catalogue"].ready()  # without it no point is known
        self._readings = readings = ReadingsFollower(self._bus, self._clock, self._points.take)
        async with asyncio.TaskGroup() as group:
            group.create_task(readings.run())
            group.create_task(self._send_points())
            group.create_task(self._retire("point", lambda: all(readings.following.values())))

    async def _send_points(self) -> None:
        while True:
            await self._clock.sleep(self._points.every_s)
            for raw in self._points.changed():
                self._put(f"point.{'.'.join(str(raw.fields[name]) for name in raw.key)}", raw)

    # Processes

    async def _hear(self) -> None:
        async with self._bus.subscribe("presence.>", limit=4096) as heartbeats:
            async for message in heartbeats:
                presence = self._bus.dead_letters.read(message.subject, message.data, Presence)
                if presence:
                    self._roster.hear(presence)
        raise LinkError("the heartbeats ended", source="bus")

    async def _look_at_roles(self) -> None:
        while True:
            await self._clock.sleep(ROSTER_S)
            present = {(one.role, one.instance): one for one in self._roster.present()}
            for which, presence in present.items():
                is_ready = not presence.troubles
                known = self._roles.get(which)
                if known is not is_ready:
                    self._put(f"role.{'.'.join(which)}", raw_records.of_role(presence, self._clock.now_ns()))
                    self._roles[which] = is_ready
            for which in [one for one in self._roles if one not in present]:
                del self._roles[which]
                self._gone(f"role.{'.'.join(which)}")

    # Events

    async def _follow_events(self) -> None:
        start = self._outbox.position(EVENTS)
        if start is None:  # a new outbox begins with what comes now
            start = await self._bus.last_sequence(subjects.EVENTS_STREAM)
            self._outbox.add((), self._clock.now_ns(), {EVENTS: start})
        start = max(start, self._position or 0)
        if start > (newest := await self._bus.last_sequence(subjects.EVENTS_STREAM)):
            _log.warning("mirror: the stream of events has begun anew; its events are followed from its end")
            self._position = start = newest
        async with self._bus.replay(subjects.EVENTS_STREAM, from_sequence=start + 1) as stored:
            async for message in stored:
                event = self._bus.dead_letters.read(message.subject, message.data, _events)
                if event:
                    self._take_event(message.sequence, event)
                self._position = message.sequence
                self._due.set()
                while len(self._waiting) + len(self._withheld) > MOST_IN_MEMORY:
                    await self._clock.sleep(RETRY_S)
        raise LinkError("the events ended", source="bus")

    def _take_event(self, number: int, event: Event) -> None:
        for raw in (raw_records.of_run(event), raw_records.of_event(number, event, self._nodes)):
            if raw:
                self._take(raw)

    # All

    def _take(self, raw: RawRecord) -> PublicRecord | None:
        """Redact a record and let it leave; None where it stays inside."""
        found = self._publication.take(raw)
        if isinstance(found, HeldBack):
            self._hold(found)
            found = found.withheld
        if isinstance(found, WithheldRecord):
            self._withhold(found)
            return None
        if found:
            self.counts["taken"] += 1
            self._held.discard((found.kind, found.key))
            self._add(found)
        return found

    def _withhold(self, withheld: WithheldRecord) -> None:
        self._withheld.append(withheld)
        self._due.set()
        if len(self._withheld) > 2 * MOST_IN_MEMORY:
            newest = {one.key: one for one in self._withheld if one.mark}
            self._withheld = [one for one in self._withheld if not one.mark] + list(newest.values())

    def _hold(self, held: HeldBack) -> None:
        self.counts["held"] += 1
        if held.is_canary:
            self.counts["canaries"] += 1
            self._canary_s = self._clock.monotonic()
            self._canary = (
                f"a canary was found, {held.hit.how}, in a record of the kind {held.kind} that would have left; it was"
                " held back"
            )
        if (held.kind, held.key) not in self._held:
            if len(self._held) > 1000:
                self._held.clear()
            self._held.add((held.kind, held.key))
            _log.warning(
                "mirror: a record of the kind %s stays inside (%s): the last check found the %s %r in it, %s",
                *(held.kind, held.key, held.hit.kind, held.hit.name, held.hit.how),
            )

    def _add(self, record: PublicRecord) -> None:
        self._waiting.append(record)
        self._due.set()
        if len(self._waiting) > self._most_waiting:
            self._waiting = _newest(self._waiting)
            self._most_waiting = MOST_IN_MEMORY + 2 * len(self._waiting)

    async def _write(self) -> None:
        retry = Retry(self._clock, self._report, pause_s=RETRY_S)

        async def flush() -> None:
            self._flush()

        try:
            while True:
                await self._due.wait()
                await self._clock.sleep(FLUSH_S)
                self._due.clear()
                await retry.run(flush)
        finally:
            with suppress(CountingRoomError):
                self._flush()

    def _flush(self) -> None:
        position = {} if self._position is None else {EVENTS: self._position}
        if not (self._waiting or position or self._withheld):
            return
        if self._outbox.add(self._waiting, self._clock.now_ns(), position, self._withheld):
            self._news()
        self._waiting.clear()
        self._withheld.clear()
        self._most_waiting = 2 * MOST_IN_MEMORY

    async def _again(self, name: str, follow: Callable[[], Awaitable[None]]) -> None:
        report = edge_log(_log, f"mirror: the {name} are not followed", f"mirror: the {name} are followed again")
        await Retry(self._clock, report, pause_s=RETRY_S, on=CountingRoomError).forever(follow)


def _newest(records: Sequence[PublicRecord]) -> list[PublicRecord]:
    """All entries, and of the states the newest of each kind and key."""
    newest = {(one.kind, one.key): number for number, one in enumerate(records) if one.sort is not Sort.ENTRY}
    kept = set(newest.values())
    return [one for number, one in enumerate(records) if one.sort is Sort.ENTRY or number in kept]
