"""Follows what the bus says of devices, channels, partitions and processes, and turns it into findings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from msgspec import structs

from countingroom.alarms.engine.described_alarms import DescribedAlarms
from countingroom.alarms.engine.device_alarms import NOT_SERVED, DeviceAlarms, Held
from countingroom.alarms.engine.finding import Found
from countingroom.alarms.engine.known import KnownAlarms
from countingroom.alarms.engine.partition_alarms import PartitionAlarms
from countingroom.alarms.engine.role_alarms import RoleAlarms
from countingroom.alarms.engine.settled_findings import SettledFindings
from countingroom.alarms.engine.value_alarms import ValueAlarms
from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.bus.readings_follower import ReadingsFollower
from countingroom.bus.served import SWEEP_S, ServedObjects, follow_heartbeats
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Catalogue, DeviceState, MessageDecoder, Presence, Readings, decode
from countingroom.core.partitions import PartitionState

_log = logging.getLogger(__name__)

FIRST_BEATS_S = 4.0
"""After the start nothing is reported gone for so long: three heartbeats and a little more."""
LONGEST_S = 60.0
"""The time is looked at again after so long, because the wall clock of delays may be set."""
_RETRY_S = 1.0
_partitions = MessageDecoder(PartitionState)

_PATTERNS = ("catalogue.*", "device.*", "channel.*.*", "partition.*")


class Listener(Protocol):
    """What else decides something from the same readings and states: rules."""

    def read(self, message: Readings, now_ns: int) -> None: ...
    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> None: ...
    def lost(self, device: str, now_ns: int) -> None: ...


class BusFollower:
    """Everything that alarms are decided from."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        find: Callable[[Iterable[Found]], None],
        known: KnownAlarms,
        described: DescribedAlarms,
        suppress: Callable[[frozenset[str], bool], None],
        *,
        held: Held = lambda _: (0, 0),
        roles: Sequence[str] = (),
        perhaps: Sequence[str] = (),
        listeners: Sequence[Listener] = (),
    ) -> None:
        """`find` takes the findings. `known` learns which alarms exist. `described`: the conditions of the section
        `alarms`. `suppress` is told which suppressions are true, each time that this or the alarms change, and
        whether the others are known as well. `held`: level and begin that an alarm had before. `roles`: the processes
        that the experiment needs. `perhaps`: those that it may need. `listeners` are told the same
        readings and states."""
        self._bus = bus
        self._clock = clock
        self._pass_on = find
        self._held = held
        self._described = described
        self._suppress = suppress
        self._listeners = tuple(listeners)
        self._all_known = False
        self._suppressing: frozenset[str] = frozenset()
        self._settled = SettledFindings(known.find, held, clock.now_ns())
        self._values = ValueAlarms(known.find, held)
        self._news = asyncio.Event()
        self._known = known
        self._devices: dict[str, DeviceAlarms] = {}
        self._catalogued: set[str] = set()
        """Devices with a catalogue."""
        self._partitions: dict[str, PartitionAlarms] = {}
        self._states: dict[str, PartitionState] = {}
        self._served = ServedObjects(clock)
        self._roles = RoleAlarms(roles, perhaps, lambda id: held(id)[0] > 0)
        self._readings = ReadingsFollower(bus, clock, self._read)
        self._buckets = [BucketFollower(bus, clock, pattern, self._take) for pattern in _PATTERNS]
        self._hears = False
        self._process_of: dict[str, str] = {}
        """Device, or key -> the alarm of the process that served it last."""
        self._lost: set[str] = set()
        """Devices that are not served."""
        self._quiet_until_s = clock.monotonic() + FIRST_BEATS_S
        self._looked_s = float("-inf")
        self.updates = 0
        """Readings taken since the start."""

    def troubles(self) -> list[str]:
        """Why alarms may be wrong, one sentence each."""
        found = self._readings.troubles()
        if any(bucket.stale for bucket in self._buckets):
            found.append("the states on the bus are not followed")
        if not self._hears:
            found.append("the heartbeats on the bus are not followed")
        return found

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for bucket in self._buckets:
                tasks.create_task(bucket.run())
            tasks.create_task(self._readings.run())
            tasks.create_task(self._follow_heartbeats())
            tasks.create_task(self._sweep())
            tasks.create_task(self._pass_time())

    def _find(self, found: Iterable[Found]) -> None:
        """Findings about states; those of alarms with delays are passed on later."""
        self._pass_on(self._settled.take(found, self._clock.now_ns()))
        self._news.set()

    async def _pass_time(self) -> None:
        """Pass findings on whose delays are over."""
        while True:
            due = [one.next_due_ns() for one in (self._settled, self._described, self._values, *self._devices.values())]
            due_ns = min((one for one in due if one is not None), default=None)
            wait_s = LONGEST_S if due_ns is None else min(LONGEST_S, (due_ns - self._clock.now_ns()) / 1e9)
            if wait_s > 0:
                with suppress(TimeoutError):
                    async with within(self._clock, wait_s):
                        await self._news.wait()
            self._news.clear()
            now_ns = self._clock.now_ns()
            self._pass_on(self._settled.pass_time(now_ns))
            self._take_described(self._described.pass_time(now_ns))
            self._pass_on(self._values.pass_time(now_ns))
            for device in self._devices.values():
                self._pass_on(device.pass_time(now_ns))

    def _take(self, entry: Entry) -> None:
        kind, _, name = entry.key.partition(".")
        now_ns = self._clock.now_ns()
        match kind:
            case "catalogue":
                self._take_catalogue(name, entry.data, now_ns)
            case "device" | "channel":
                device, _, channel = name.partition(".")
                if entry.data is None:
                    if known := self._devices.get(device):
                        self._find(known.state_gone(channel, now_ns))
                    self._take_word(entry.key, None, "", now_ns)
                else:
                    state = decode(entry.data, DeviceState)
                    self._find(self._device(device).state(state, now_ns))
                    self._take_word(entry.key, state.state, state.common, now_ns)
            case _:
                self._take_partition(entry.key, name, entry.data, now_ns)

    def _take_catalogue(self, device: str, data: bytes | None, now_ns: int) -> None:
        if data is None:
            self._catalogued.discard(device)
            self._known.forget(device)
            if known := self._devices.pop(device, None):
                self._find(known.removed(now_ns))
            self._pass_on(self._values.forget(device, now_ns))
            return
        catalogue = _named(decode(data, Catalogue))
        self._catalogued.add(device)
        self._known.learn(catalogue)
        self._find(self._device(device).learn(catalogue, now_ns))
        self._pass_on(self._values.learn(catalogue, now_ns))
        self._suppress(self._suppressing, self._all_known)
        self._update_served()

    def _take_partition(self, key: str, name: str, data: bytes | None, now_ns: int) -> None:
        if data is None:
            self._states.pop(key, None)
            self._served.deleted(key)
            self._known.forget_partition(name)
            self._take_word(key, None, "", now_ns)
            if known := self._partitions.pop(name, None):
                self._find(known.removed(now_ns))
            return
        state = decode(data, _partitions)
        members = tuple(one for one in state.members if subjects.is_token(one.system))
        state = structs.replace(state, members=members)
        # The same state that is read again after a lost link is no sign that its owner lives.
        if self._states.get(key) != state:
            self._states[key] = state
            self._served.published(key)
            self._update_served()
        if self._known.partition(name, (member.system for member in state.members)):
            self._suppress(self._suppressing, self._all_known)
        self._take_word(key, state.state, "", now_ns)
        for member in state.members:
            self._take_word(f"system.{member.system}", member.own, member.seen, now_ns)
        self._find(self._partition(name).state(state, now_ns))

    def _device(self, device: str) -> DeviceAlarms:
        known = self._devices.get(device)
        if known is None:
            known = self._devices[device] = DeviceAlarms(device, self._known.find, self._held)
        return known

    def _partition(self, name: str) -> PartitionAlarms:
        known = self._partitions.get(name)
        if known is None:
            known = self._partitions[name] = PartitionAlarms(name, self._roles.process_of)
        return known

    def _read(self, message: Readings) -> None:
        self._served.read(message.device)
        self.updates += len(message.points)
        device = self._device(message.device)
        self._pass_on(device.read(message, self._clock.now_ns()))
        self._take_described(self._described.read(message, self._clock.now_ns()))
        self._pass_on(self._values.read(message, self._clock.now_ns()))
        for one in self._listeners:
            one.read(message, self._clock.now_ns())
        if any(one.next_due_ns() is not None for one in (device, self._described, self._values)):
            self._news.set()

    def _take_word(self, subject: str, word: str | None, common: str, now_ns: int) -> None:
        """The state of a device, a channel, a partition, a system or a role; None: it is not known."""
        self._take_described(self._described.state(subject, word, common, now_ns))
        for one in self._listeners:
            one.state(subject, word, common, now_ns)

    def _take_described(self, found: Iterable[Found]) -> None:
        """Findings of custom alarms, and what the conditions of suppressions have become."""
        self._pass_on(found)
        active = frozenset(name for name, is_true in self._described.suppressing.items() if is_true)
        if active != self._suppressing:
            self._suppressing = active
            self._suppress(active, self._all_known)

    async def _follow_heartbeats(self) -> None:
        while True:
            try:
                await follow_heartbeats(self._bus, self._hear, self._hearing)
            except CountingRoomError as error:
                _log.debug("heartbeats are not followed: %s", error)
                self._hears = False
                await self._clock.sleep(_RETRY_S)
            finally:
                self._hears = False

    def _hearing(self) -> None:
        self._hears = True

    def _hear(self, presence: Presence) -> None:
        self._served.roster.hear(presence)
        process = self._roles.of(presence)
        self._process_of.update((target, process) for target in presence.targets)
        self._update_served()

    async def _sweep(self) -> None:
        """Missed heartbeats are no message, so they are looked for."""
        while True:
            await self._clock.sleep(SWEEP_S)
            self._update_served()
            if self._bus.connected and self._clock.monotonic() >= self._quiet_until_s:
                self._tell_that_all_is_known()
                self._look_at_roles(self._clock.now_ns())

    def _look_at_roles(self, now_ns: int) -> None:
        present = self._served.roster.present()
        lost = {id for one in self._partitions.values() for id in one.lost_processes(now_ns)}
        lost |= {self._process_of.get(name, "") for name, alive in self._served.alive.items() if not alive}
        self._find(self._roles.look(present, now_ns, lost))
        for role, word in self._roles.words(present):
            self._take_word(f"role.{role}", word, "", now_ns)

    def _tell_that_all_is_known(self) -> None:
        """After the first heartbeats the conditions of suppressions are known, as far as they will be."""
        if not self._all_known:
            self._all_known = True
            self._known.complete()
            self._suppress(self._suppressing, self._all_known)
            self._pass_on(self._values.missing(self._clock.now_ns()))

    def _update_served(self) -> None:
        """Tell which devices and partitions are served. Without the bus nothing is known of them."""
        if not self._bus.connected:
            self._quiet_until_s = self._clock.monotonic() + FIRST_BEATS_S
            return
        changed = self._served.update(self._catalogued)
        if self._clock.monotonic() < self._quiet_until_s:
            return
        now_ns = self._clock.now_ns()
        if not all(self._served.alive[name] for name in changed):
            self._look_at_roles(now_ns)  # at once, so that what a process served is folded under it
        for name, is_alive in self._served.alive.items():
            if name in self._catalogued:
                self._find(self._devices[name].served(is_alive, now_ns, self._process_of.get(name, "")))
                if not is_alive and name not in self._lost:
                    self._take_described(self._described.lost(name, now_ns))
                    self._pass_on(self._values.lost(name, NOT_SERVED, now_ns))
                    for one in self._listeners:
                        one.lost(name, now_ns)
                    self._lost.add(name)
                elif is_alive:
                    self._lost.discard(name)
            elif name in self._states:
                process = self._process_of.get(name, "")
                self._find(self._partition(name.partition(".")[2]).served(is_alive, now_ns, process))


def _named(catalogue: Catalogue) -> Catalogue:
    """The catalogue without points and channels whose names cannot stand in a key: their alarms could have none."""
    points = tuple(one for one in catalogue.points if all(map(subjects.is_token, one.name.split("."))))
    channels = tuple(one for one in catalogue.channels if subjects.is_token(one))
    return structs.replace(catalogue, points=points, channels=channels)
