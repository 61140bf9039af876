"""Evaluates the conditions of all alarms: takes readings, states and the time, and gives findings. Reads no clock.

The engine feeds it from the bus (`follow.py`) and a replay from recorded data, so both use the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Protocol

from countingroom.alarms.engine.described_alarms import DescribedAlarms
from countingroom.alarms.engine.device_alarms import NOT_SERVED, DeviceAlarms, Held
from countingroom.alarms.engine.finding import Found
from countingroom.alarms.engine.fleet_alarms import FleetAlarms
from countingroom.alarms.engine.known import KnownAlarms
from countingroom.alarms.engine.partition_alarms import PartitionAlarms
from countingroom.alarms.engine.role_alarms import RoleAlarms
from countingroom.alarms.engine.settled_findings import SettledFindings
from countingroom.alarms.engine.told_alarms import ToldAlarms
from countingroom.alarms.engine.value_alarms import ValueAlarms
from countingroom.core.fleet.states import FleetState, NodeState, ServiceState
from countingroom.core.messages import Catalogue, DeviceState, Presence, Readings
from countingroom.core.partitions import PartitionState


class Listener(Protocol):
    """Gets the same readings and states: rules and interlocks."""

    def read(self, message: Readings, now_ns: int) -> None: ...
    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> None: ...
    def lost(self, device: str, now_ns: int) -> None: ...


class Evaluation:
    """The conditions of all alarms and suppressions, with their memory. It gives its findings to `find`."""

    def __init__(
        self,
        find: Callable[[Iterable[Found]], None],
        known: KnownAlarms,
        described: DescribedAlarms,
        suppress: Callable[[frozenset[str], bool], None],
        now_ns: int,
        *,
        held: Held = lambda _: (0, 0),
        roles: Sequence[str] = (),
        perhaps: Sequence[str] = (),
        listeners: Sequence[Listener] = (),
    ) -> None:
        """`find`: takes the findings. `known`: gets the catalogues and partitions, to define their alarms. `described`:
        the conditions of the section `alarms`. `suppress`: called with the names of the suppressions that are true,
        and whether all others are known to be false, each time that these or the alarms change. `held`: identity ->
        level and begin (ns) that an alarm had before a restart. `roles`: the processes that the experiment needs.
        `perhaps`: processes that it may need. `listeners`: get the same readings and states."""
        self._pass_on = find
        self._held = held
        self._known = known
        self._described = described
        self._suppress = suppress
        self._listeners = tuple(listeners)
        self._all_known = False
        self._suppressing: frozenset[str] = frozenset()
        self._settled = SettledFindings(known.find, held, now_ns)
        self._values = ValueAlarms(known.find, held)
        self._parts = (described, self._values)
        """Parts that need the readings of a few points only."""
        self._devices: dict[str, DeviceAlarms] = {}
        self._partitions: dict[str, PartitionAlarms] = {}
        self._fleet = FleetAlarms()
        self._told = ToldAlarms()
        self._roles = RoleAlarms(roles, perhaps, lambda id: held(id)[0] > 0)
        self._lost: set[str] = set()
        """Devices whose host is gone."""

    def read(self, message: Readings, now_ns: int) -> int | None:
        """Take in readings. Returns when `pass_time` must be called for the conditions that they concern; None if none
        of them waits for a time."""
        name = message.device
        device = self._devices.get(name) or self._device(name)
        if found := device.read(message, now_ns):
            self._pass_on(found)
        due_ns = device.next_due_ns()
        # Most messages concern none of these conditions. A replay reads millions, so it pays to skip them early.
        for part in self._parts:
            if part.concerns(message):
                self._take_described(part.read(message, now_ns))
                own_ns = part.next_due_ns()
                due_ns = own_ns if due_ns is None or (own_ns is not None and own_ns < due_ns) else due_ns
        for listener in self._listeners:
            listener.read(message, now_ns)
        return due_ns

    def device(self, key: str, device: str, state: DeviceState, now_ns: int) -> None:
        """Take in the state of a device or channel. `key`: its key in the state bucket. A state without a word counts
        as unknown."""
        self._find(self._device(device).state(state, now_ns), now_ns)
        self._take_word(key, state.state or None, state.common, now_ns)

    def device_gone(self, key: str, device: str, channel: str, now_ns: int) -> None:
        """Take in that the state of a device or channel was deleted."""
        if known := self._devices.get(device):
            self._find(known.state_gone(channel, now_ns), now_ns)
        self._take_word(key, None, "", now_ns)

    def catalogue(self, device: str, catalogue: Catalogue, now_ns: int) -> None:
        """Take in the catalogue of a new or changed device."""
        self._known.learn(catalogue)
        self._find(self._device(device).learn(catalogue, now_ns), now_ns)
        self._pass_on(self._values.learn(catalogue, now_ns))
        self._suppress(self._suppressing, self._all_known)

    def catalogue_gone(self, device: str, now_ns: int) -> None:
        """Take in that a device is no longer described: its alarms are removed, its values are unknown."""
        self._known.forget(device)
        if known := self._devices.pop(device, None):
            self._find(known.removed(now_ns), now_ns)
        self._pass_on(self._values.forget(device, now_ns))
        # No further message ages these values, so conditions over them would stay as they are for ever.
        self._take_described(self._described.lost(device, now_ns))
        for one in self._listeners:
            one.lost(device, now_ns)

    def partition(self, key: str, name: str, state: PartitionState, now_ns: int) -> None:
        """Take in the state of a partition. `key`: its key in the state bucket."""
        if self._known.partition(name, (member.system for member in state.members)):
            self._suppress(self._suppressing, self._all_known)
        self.word(key, state.state, now_ns)
        for member in state.members:
            self._take_word(f"system.{member.system}", member.own, member.seen, now_ns)
        self._find(self._partition(name).state(state, now_ns), now_ns)

    def partition_gone(self, key: str, name: str, now_ns: int) -> None:
        """Take in that a partition was deleted."""
        self._known.forget_partition(name)
        self._take_word(key, None, "", now_ns)
        if known := self._partitions.pop(name, None):
            self._find(known.removed(now_ns), now_ns)

    def fleet(self, key: str, state: FleetState | NodeState | ServiceState, now_ns: int) -> None:
        """Take in the state of the fleet, or of one of its nodes or services. `key`: its key in the state bucket."""
        is_new = self._known.fleet(key)
        self._find(self._fleet.take(state, now_ns), now_ns)
        self._update_suppressing(anew=is_new)

    def fleet_gone(self, key: str, now_ns: int) -> None:
        """Take in that a node or service was removed from the fleet."""
        self._known.forget_fleet(key)
        self._find(self._fleet.gone(key, now_ns), now_ns)
        self._update_suppressing()

    def fleet_served(self, is_alive: bool, now_ns: int, process: str = "") -> None:
        """Take in whether the fleet keeper is alive. `process`: the alarm of its process."""
        self._find(self._fleet.served(is_alive, now_ns, process), now_ns)

    def word(self, subject: str, word: str, now_ns: int) -> None:
        """Take in a state that only described conditions use: `partition.mCBM`, `role.runs`."""
        self._take_word(subject, word, "", now_ns)

    def device_served(self, device: str, is_alive: bool, now_ns: int, process: str = "") -> None:
        """Take in whether the host of a device with a catalogue is alive. `process`: the alarm of this host."""
        self._find(self._devices[device].served(is_alive, now_ns, process), now_ns)
        if is_alive:
            self._lost.discard(device)
        elif device not in self._lost:
            self._take_described(self._described.lost(device, now_ns))
            self._pass_on(self._values.lost(device, NOT_SERVED, now_ns))
            for listener in self._listeners:
                listener.lost(device, now_ns)
            self._lost.add(device)

    def partition_served(self, name: str, is_alive: bool, now_ns: int, process: str = "") -> None:
        """Take in whether the owner of a partition is alive. `process`: the alarm of this owner."""
        self._find(self._partition(name).served(is_alive, now_ns, process), now_ns)

    def alarm_of(self, presence: Presence) -> str:
        """The alarm of the process that sent this heartbeat; empty if the experiment does not need it."""
        return self._roles.of(presence)

    def likely_alarm_of(self, role: str) -> str:
        """The alarm of the process of a role from which no heartbeat came yet; empty: unknown."""
        return self._roles.serving(role)

    def roles(self, present: Sequence[Presence], gone: Set[str], now_ns: int) -> None:
        """Take in the processes that send heartbeats now. `gone`: the alarms of processes whose devices or partitions
        are not served."""
        lost = {id for one in self._partitions.values() for id in one.lost_processes(now_ns)}
        self._find(self._roles.look(present, now_ns, lost | gone), now_ns)
        self._find(self._told.look(present, now_ns), now_ns)
        self._find(self._fleet.look(now_ns, lost), now_ns)
        for role, word in self._roles.words(present):
            self.word(f"role.{role}", word, now_ns)

    def all_known(self, now_ns: int) -> None:
        """End the wait after the start. Suppressions whose condition is still unknown count as false, and points
        without a reading count as missing."""
        if not self._all_known:
            self._all_known = True
            self._known.complete()
            self._suppress(self._suppressing, self._all_known)
            self._pass_on(self._values.missing(now_ns))

    def next_due_ns(self) -> int | None:
        """When `pass_time` must be called next; None if no condition waits for a time."""
        return _earliest((self._settled, self._described, self._values, *self._devices.values()))

    def pass_time(self, now_ns: int) -> None:
        """Pass on the findings of delays that are over at `now_ns`."""
        self._pass_on(self._settled.pass_time(now_ns))
        self._take_described(self._described.pass_time(now_ns))
        self._pass_on(self._values.pass_time(now_ns))
        for device in self._devices.values():
            self._pass_on(device.pass_time(now_ns))

    def _find(self, found: Iterable[Found], now_ns: int) -> None:
        """Pass on findings about states; those of alarms with delays follow when the delay is over."""
        self._pass_on(self._settled.take(found, now_ns))

    def _take_word(self, subject: str, word: str | None, common: str, now_ns: int) -> None:
        """Give the state of a device, channel, partition, system or role to conditions; `word` None: unknown."""
        self._take_described(self._described.state(subject, word, common, now_ns))
        for listener in self._listeners:
            listener.state(subject, word, common, now_ns)

    def _take_described(self, found: Iterable[Found]) -> None:
        """Pass on findings of custom alarms, and update the suppressions."""
        self._pass_on(found)
        if self._described.suppressing:
            self._update_suppressing()

    def _update_suppressing(self, *, anew: bool = False) -> None:
        """`anew`: alarms were added that may have to be suppressed."""
        active = frozenset(name for name, is_true in self._described.suppressing.items() if is_true)
        active |= frozenset(self._fleet.suppressing())
        if anew or active != self._suppressing:
            self._suppressing = active
            self._suppress(active, self._all_known)

    def _device(self, device: str) -> DeviceAlarms:
        known = self._devices.get(device)
        if known is None:
            known = self._devices[device] = DeviceAlarms(device, self._known.find, self._held)
        return known

    def _partition(self, name: str) -> PartitionAlarms:
        known = self._partitions.get(name)
        if known is None:
            known = self._partitions[name] = PartitionAlarms(name, self._runs_on)
        return known

    def _runs_on(self, system: str) -> str:
        """The alarm of the process, or of the fleet node, that runs the agent of a system."""
        return self._roles.process_of(system) or self._fleet.node_of(system)


class _Waits(Protocol):
    def next_due_ns(self) -> int | None: ...


def _earliest(parts: Iterable[_Waits]) -> int | None:
    return min((due for one in parts if (due := one.next_due_ns()) is not None), default=None)
