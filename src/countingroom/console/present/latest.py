"""The console's copy of the present: latest readings, states, catalogues and heartbeats, rebuilt from the bus alone.

`async with asyncio.TaskGroup() …: create_task(latest.run())`; then read `readings`, `states`, `catalogues`, `alive`.
A reader that ticks calls `follow()` once, and `take()` for what changed at every tick.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct, field

from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.bus.readings_follower import ReadingsFollower
from countingroom.bus.served import SWEEP_S, ServedObjects, follow_heartbeats
from countingroom.core import subjects
from countingroom.core.alarms.states import AlarmState
from countingroom.core.clock import Clock, within
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Catalogue, DeviceState, Presence, Readings, decode
from countingroom.core.partitions import PartitionState
from countingroom.core.values import Quality, Reading
from countingroom.departments import DEPARTMENTS, Department, load

T = TypeVar("T")
ALARM_ROLE = "alarms"
FLEET_ROLE = "fleet"

_log = logging.getLogger(__name__)

CATCH_UP_S = 2.0
"""The most that an answer waits until the present shows the effect of its command."""
_RETRY_S = 1.0
_QUALITIES = tuple(Quality)


def live_messages(departments: Sequence[Department] = DEPARTMENTS) -> dict[str, type[Struct]]:
    """First token of a key of the state bucket -> the struct there, of the keys that the table calls live."""
    return {key.prefix: load(key.message) for department in departments for key in department.state if key.live}


class Changed(Struct, kw_only=True):
    """What changed since the last call of `take`."""

    points: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """Device -> its points with new readings."""
    states: set[str] = field(default_factory=set[str])
    """Keys of device and channel states that changed or went away."""
    words: set[str] = field(default_factory=set[str])
    """Keys of run control states that changed or went away."""
    catalogues: set[str] = field(default_factory=set[str])
    """Devices whose catalogue changed or went away."""
    alive: set[str] = field(default_factory=set[str])
    """Devices, and keys of partitions, whose host or owner came or went."""

    def __bool__(self) -> bool:
        return bool(self.points or self.states or self.words or self.catalogues or self.alive)


class Changes:
    """What changed for one reader. Bounded by the number of points and keys."""

    def __init__(self) -> None:
        self.changed = Changed()

    def take(self) -> Changed:
        """What changed since the last call."""
        taken, self.changed = self.changed, Changed()
        return taken


class Latest:
    """The latest readings, states, catalogues and heartbeats."""

    def __init__(self, bus: Bus, clock: Clock, messages: Mapping[str, type[Struct]] | None = None) -> None:
        self._bus = bus
        self._clock = clock
        self._messages = live_messages() if messages is None else messages
        """First token of a key -> the struct there, of the keys kept in `words`."""
        self._states = BucketFollower(bus, clock, ">", self._take, current=self._complete, lost=self._lost)
        self._snapshot: set[str] = set()
        """The keys received since the link was lost."""
        self._newest = 0
        """Their highest revision."""
        self.readings: dict[str, dict[str, Reading]] = {}
        """Device -> point name -> its last reading."""
        self.states: dict[str, DeviceState] = {}
        """Key in the state bucket -> state of a device or channel."""
        self.words: dict[str, Struct] = {}
        """Key in the state bucket -> the state of run control there."""
        self.alarm_changes = 0
        """How often an alarm in `words` has changed."""
        self.catalogues: dict[str, Catalogue] = {}
        """Device -> its catalogue."""
        self._served = ServedObjects(clock)
        self.roster = self._served.roster
        self._followers: list[Changes] = []
        self._applied = {"state": 0, "readings": 0}
        """What is applied: a revision of the state bucket, and a sequence in the stream of readings."""
        self._waiting: set[asyncio.Event] = set()
        self._following = {"states": False, "heartbeats": False}
        """What is followed now, and up to date."""
        self._ready = asyncio.Event(), asyncio.Event()
        self._readings = ReadingsFollower(
            bus, clock, self._read, advance=partial(self._advance, "readings"), current=self._ready[1].set
        )

    @property
    def connected(self) -> bool:
        """Whether the bus is reached. While it is not, the values are the last ones."""
        return self._bus.connected

    def troubles(self) -> list[str]:
        """Why this copy of the present may be wrong, one sentence each; empty: it is right."""
        following = {**self._following, **self._readings.following}
        return [f"the {name} on the bus are not followed" for name, followed in following.items() if not followed]

    @property
    def alive(self) -> Mapping[str, bool]:
        """Device, or key of a partition -> whether its device host, or its owner, is alive."""
        return self._served.alive

    @property
    def watched(self) -> bool:
        """Whether the alarm department is running. Where it is not, what is abnormal is not known."""
        return any(one.role == ALARM_ROLE for one in self.roster.present())

    @property
    def kept(self) -> bool:
        """Whether a keeper of the fleet is running. Where none is, the states of the fleet are as the last one saw
        them."""
        return any(one.role == FLEET_ROLE for one in self.roster.present())

    def follow(self) -> Changes:
        """Collect changes from now on, for one reader."""
        changes = Changes()
        self._followers.append(changes)
        return changes

    async def ready(self) -> None:
        """Returns once states and readings that were there at the start are known."""
        for event in self._ready:
            await event.wait()

    async def catch_up(self, positions: Mapping[str, int], command_id: str = "") -> None:
        """Return when everything up to these positions (`Event.positions`) is applied and no partition is on its way to
        the goal of this command, or after CATCH_UP_S."""
        moved = asyncio.Event()
        self._waiting.add(moved)
        try:
            async with within(self._clock, CATCH_UP_S):
                while self._is_behind(positions) or self._is_under_way(command_id):
                    moved.clear()
                    await moved.wait()
        except TimeoutError:
            _log.warning("the present is behind the end of a command: %s, not %s", self._applied, dict(positions))
        finally:
            self._waiting.discard(moved)

    def _is_behind(self, positions: Mapping[str, int]) -> bool:
        return any(self._applied.get(name, position) < position for name, position in positions.items())

    def _is_under_way(self, command_id: str) -> bool:
        """The end of a goal is recorded before the partition is published without it."""
        return any(
            isinstance(one, PartitionState)
            and one.goal
            and one.goal.command_id == command_id
            and one.goal.state != one.state
            for one in (self.words.values() if command_id else ())
        )

    def _advance(self, name: str, position: int) -> None:
        self._applied[name] = max(position, self._applied[name])
        for moved in self._waiting:
            moved.set()

    async def run(self) -> None:
        """Follow the bus until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._states.run())
            tasks.create_task(self._readings.run())
            tasks.create_task(self._follow_presence())
            tasks.create_task(self._sweep())

    def _take(self, entry: Entry) -> None:
        """Take a present key or a change. A snapshot has no order: its revisions count when it is complete."""
        self._snapshot.add(entry.key)
        self._newest = max(self._newest, entry.revision)
        try:
            self._state(entry)
        finally:
            if not self._states.stale:
                self._advance("state", self._newest)

    def _complete(self) -> None:
        """The snapshot is complete: keys that are not in it were deleted while the link was down."""
        for key in {*self.states, *self.words, *map(subjects.catalogue_key, self.catalogues)} - self._snapshot:
            self._state(Entry(key=key, data=None, revision=0))
        self._following["states"] = True
        self._advance("state", self._newest)
        self._ready[0].set()

    def _lost(self) -> None:
        self._snapshot.clear()
        self._newest = 0
        self._following["states"] = False
        self._applied["state"] = 0  # a bus that was restarted counts from the beginning

    def _state(self, entry: Entry) -> None:
        kind, _, name = entry.key.partition(".")
        if kind == "catalogue":
            _put(self.catalogues, name, decode(entry.data, Catalogue) if entry.data is not None else None)
            for follower in self._followers:
                follower.changed.catalogues.add(name)
            self._update_alive()
        elif kind in ("device", "channel"):
            _put(self.states, entry.key, decode(entry.data, DeviceState) if entry.data is not None else None)
            for follower in self._followers:
                follower.changed.states.add(entry.key)
        elif word := self._messages.get(kind):
            if word is AlarmState:
                self.alarm_changes += 1
            before = self.words.get(entry.key)
            _put(self.words, entry.key, decode(entry.data, word) if entry.data is not None else None)
            for follower in self._followers:
                follower.changed.words.add(entry.key)
            if word is PartitionState:
                self._note_owner(entry.key, before)

    def _note_owner(self, key: str, before: Struct | None) -> None:
        """A changed state of a partition counts as a heartbeat of its owner; the same state read again does not.

        After a lost link every state is read again, and a dead owner would be taken for a live one.
        """
        if key not in self.words:
            self._served.deleted(key)
        elif self.words[key] != before:
            self._served.published(key)
        self._update_alive()

    def _read(self, message: Readings) -> None:
        reasons = message.reasons
        alarms = message.alarms
        rows = {
            name: Reading(
                value=value,
                quality=_QUALITIES[quality],
                device_ns=device_ns,
                received_ns=received_ns,
                alarm=alarms.get(name, 0) if alarms else 0,
                reason=reasons.get(name, "") if reasons else "",
            )
            for name, value, quality, device_ns, received_ns in zip(
                message.points, message.values, message.qualities, message.device_ns, message.received_ns, strict=True
            )
        }
        self._served.read(message.device)
        if message.full:
            self.readings[message.device] = rows
        else:
            self.readings.setdefault(message.device, {}).update(rows)
        for follower in self._followers:
            follower.changed.points.setdefault(message.device, set()).update(message.points)

    async def _follow_presence(self) -> None:
        while True:
            try:
                await follow_heartbeats(self._bus, self._hear, self._hearing)
            except CountingRoomError as error:
                _log.debug("heartbeats are not followed: %s", error)
                self._following["heartbeats"] = False
                await self._clock.sleep(_RETRY_S)
            finally:
                self._following["heartbeats"] = False

    def _hearing(self) -> None:
        self._following["heartbeats"] = True

    def _hear(self, presence: Presence) -> None:
        self.roster.hear(presence)
        self._update_alive()

    async def _sweep(self) -> None:
        while True:
            self._update_alive()
            await self._clock.sleep(SWEEP_S)

    def _update_alive(self) -> None:
        for name in self._served.update(self.catalogues):
            for follower in self._followers:
                follower.changed.alive.add(name)


def _put(known: dict[str, T], key: str, value: T | None) -> None:
    if value is None:
        known.pop(key, None)
    else:
        known[key] = value
