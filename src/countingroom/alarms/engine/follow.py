"""Follows devices, channels, partitions, the fleet and heartbeats on the bus, and passes them to the evaluation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress

from msgspec import structs

from countingroom.alarms.engine.described_alarms import DescribedAlarms
from countingroom.alarms.engine.device_alarms import Held
from countingroom.alarms.engine.evaluation import Evaluation, Listener
from countingroom.alarms.engine.finding import Found
from countingroom.alarms.engine.known import KnownAlarms
from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Entry
from countingroom.bus.presence import INTERVAL_S, MISSED
from countingroom.bus.readings_follower import ReadingsFollower
from countingroom.bus.served import SWEEP_S, ServedObjects, follow_heartbeats
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import CountingRoomError
from countingroom.core.fleet.states import FLEET_KEY, FleetState, NodeState, ServiceState
from countingroom.core.messages import Catalogue, DeviceState, MessageDecoder, Presence, Readings, decode
from countingroom.core.partitions import PartitionState
from countingroom.core.start_up import HEARD_S, START_UP_S

_log = logging.getLogger(__name__)

LONGEST_S = 60.0
"""The longest wait before due times are checked again. Due times are wall times, and the wall clock may be set."""
_RETRY_S = 1.0
_partitions = MessageDecoder(PartitionState)

_PATTERNS = ("catalogue.*", "device.*", "channel.*.*", "partition.*", FLEET_KEY, "node.*", "service.*")
_FLEET = {"fleet": FleetState, "node": NodeState, "service": ServiceState}


class BusFollower:
    """Follows all inputs of alarms on the bus."""

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
        devices: Collection[str] = (),
    ) -> None:
        """The arguments are those of `Evaluation`. `devices`: the described devices; after a start the follower waits
        for them before missing values count."""
        self._bus = bus
        self._clock = clock
        self._evaluation = Evaluation(
            find,
            known,
            described,
            suppress,
            clock.now_ns(),
            held=held,
            roles=roles,
            perhaps=perhaps,
            listeners=listeners,
        )
        self._news = asyncio.Event()
        self._catalogued: dict[str, float] = {}
        """Device -> monotonic time when its first catalogue was read."""
        self._lost: set[str] = set()
        """Devices and keys that are reported as gone."""
        self._states: dict[str, PartitionState] = {}
        self._has_fleet = False
        self._served = ServedObjects(clock)
        self._readings = ReadingsFollower(bus, clock, self._read)
        self._buckets = [BucketFollower(bus, clock, pattern, self._take) for pattern in _PATTERNS]
        self._hears = False
        self._process_of: dict[str, str] = {}
        """Device or key -> the alarm of the process that served it last."""
        self._beaten_s: dict[str, float] = {}
        """Device or key -> monotonic time of the last heartbeat of a process that serves it."""
        self._described_devices = frozenset(devices)
        self._began_s = clock.monotonic()
        # Before the first heartbeats all hosts look silent; reports in this time would announce links as lost.
        self._quiet_until_s = self._began_s + HEARD_S
        self._looked_s = float("-inf")
        self.updates = 0
        """Number of readings since the start."""

    def troubles(self) -> list[str]:
        """Why alarms may be out of date, one sentence each."""
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

    async def _pass_time(self) -> None:
        """Evaluate delays when they are over."""
        while True:
            due_ns = self._evaluation.next_due_ns()
            wait_s = LONGEST_S if due_ns is None else min(LONGEST_S, (due_ns - self._clock.now_ns()) / 1e9)
            if wait_s > 0:
                with suppress(TimeoutError):
                    async with within(self._clock, wait_s):
                        await self._news.wait()
            self._news.clear()
            self._evaluation.pass_time(self._clock.now_ns())

    def _take(self, entry: Entry) -> None:
        kind, _, name = entry.key.partition(".")
        now_ns = self._clock.now_ns()
        match kind:
            case "catalogue":
                self._take_catalogue(name, entry.data, now_ns)
            case "device" | "channel":
                device, _, channel = name.partition(".")
                if entry.data is None:
                    self._evaluation.device_gone(entry.key, device, channel, now_ns)
                else:
                    self._evaluation.device(entry.key, device, decode(entry.data, DeviceState), now_ns)
            case "fleet" | "node" | "service":
                self._take_fleet(entry.key, _FLEET[kind], entry.data, now_ns)
            case _:
                self._take_partition(entry.key, name, entry.data, now_ns)
        self._news.set()

    def _take_catalogue(self, device: str, data: bytes | None, now_ns: int) -> None:
        if data is None:
            self._catalogued.pop(device, None)
            self._beaten_s.pop(device, None)
            self._evaluation.catalogue_gone(device, now_ns)
            return
        catalogue = _named(decode(data, Catalogue))
        self._catalogued.setdefault(device, self._clock.monotonic())
        self._evaluation.catalogue(device, catalogue, now_ns)
        self._update_served()

    def _take_partition(self, key: str, name: str, data: bytes | None, now_ns: int) -> None:
        if data is None:
            self._states.pop(key, None)
            self._served.deleted(key)
            self._evaluation.partition_gone(key, name, now_ns)
            return
        state = decode(data, _partitions)
        members = tuple(one for one in state.members if subjects.is_token(one.system))
        state = structs.replace(state, members=members)
        # After a lost link the same state is read again; only a changed one shows that the owner is alive.
        if self._states.get(key) != state:
            if key in self._states:  # the first state may be older than the start of this process
                self._beaten_s[key] = self._clock.monotonic()
            self._states[key] = state
            self._served.published(key)
            self._update_served()
        self._evaluation.partition(key, name, state, now_ns)

    def _take_fleet(
        self, key: str, kind: type[FleetState | NodeState | ServiceState], data: bytes | None, now_ns: int
    ) -> None:
        if data is None:
            self._evaluation.fleet_gone(key, now_ns)
            return
        state = decode(data, kind)
        if key == FLEET_KEY:
            # One process keeps the fleet; its heartbeats name this key among their targets.
            self._has_fleet = True
            self._update_served()
        self._evaluation.fleet(key, state, now_ns)

    def _read(self, message: Readings) -> None:
        self._served.read(message.device)
        self.updates += len(message.points)
        if self._evaluation.read(message, self._clock.now_ns()) is not None:
            self._news.set()

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
        process = self._evaluation.alarm_of(presence)
        self._process_of.update((target, process) for target in presence.targets)
        if not presence.leaving:
            self._beaten_s.update(dict.fromkeys(presence.targets, self._clock.monotonic()))
        self._update_served()

    async def _sweep(self) -> None:
        """Check regularly for missed heartbeats, because no message reports them."""
        while True:
            await self._clock.sleep(SWEEP_S)
            self._update_served()
            if self._bus.connected and self._clock.monotonic() >= self._quiet_until_s:
                now_ns = self._clock.now_ns()
                if not self._awaited(self._catalogued.keys() | self._described_devices):
                    self._evaluation.all_known(now_ns)
                self._look_at_roles(now_ns)
                self._news.set()

    def _look_at_roles(self, now_ns: int) -> None:
        lost = {name for name, alive in self._served.alive.items() if not alive}
        gone = {self._process_of.get(name, "") for name in lost - self._awaited(lost)}
        self._evaluation.roles(self._served.roster.present(), gone, now_ns)

    def _awaited(self, names: Iterable[str]) -> set[str]:
        """The devices and keys without heartbeats that are not reported as gone yet. A process that said goodbye gets
        the same time as a killed one: it may be in a restart."""
        now_s = self._clock.monotonic()
        beating = self._served.roster.targets()
        return {name for name in names if name not in beating and now_s < self._gone_from_s(name)}

    def _gone_from_s(self, name: str) -> float:
        beaten_s = self._beaten_s.get(name)
        if beaten_s is not None:
            return beaten_s + MISSED * INTERVAL_S
        # A device that is added later publishes its catalogue before the first heartbeat of its host.
        added_s = self._catalogued.get(name, self._began_s)
        return max(self._began_s + START_UP_S, added_s + MISSED * INTERVAL_S)

    def _update_served(self) -> None:
        """Report to the evaluation which devices and partitions are served. Without the bus this is unknown."""
        if not self._bus.connected:  # heartbeats are missed because of our own link: wait again after it is back
            self._quiet_until_s = self._clock.monotonic() + HEARD_S
            return
        self._served.update([*self._catalogued, FLEET_KEY] if self._has_fleet else self._catalogued)
        if self._clock.monotonic() < self._quiet_until_s:
            return
        now_ns = self._clock.now_ns()
        silent = {name for name, is_alive in self._served.alive.items() if not is_alive}
        awaited = self._awaited(silent)
        lost = silent - awaited
        if lost - self._lost:
            # At once: the alarm of the process must exist before those of its devices, to fold them under it.
            self._look_at_roles(now_ns)
        self._lost = lost
        for name, is_alive in self._served.alive.items():
            if name in awaited:
                continue
            role = "devices" if name in self._catalogued else "fleet" if name == FLEET_KEY else "runs"
            process = self._process_of.get(name) or self._evaluation.likely_alarm_of(role)
            if name == FLEET_KEY:
                self._evaluation.fleet_served(is_alive, now_ns, process)
            elif name in self._catalogued:
                self._evaluation.device_served(name, is_alive, now_ns, process)
            elif name in self._states:
                self._evaluation.partition_served(name.partition(".")[2], is_alive, now_ns, process)
        self._news.set()


def _named(catalogue: Catalogue) -> Catalogue:
    """The catalogue without points and channels whose names are not valid in a key, because an alarm needs a key."""
    points = tuple(one for one in catalogue.points if all(map(subjects.is_token, one.name.split("."))))
    channels = tuple(one for one in catalogue.channels if subjects.is_token(one))
    return structs.replace(catalogue, points=points, channels=channels)
