"""Reads the present activity from the state bucket: partitions at work, and interlocks that act."""

from __future__ import annotations

from countingroom.bus.port import Bus, Current, Entry
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import LinkError
from countingroom.core.interlocks.host_state import HOST_KEYS, HostInterlockState
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.messages import MessageDecoder
from countingroom.core.partitions import PartitionState
from countingroom.core.reload.refusals import ReloadSituation

READ_S = 5.0
_partitions = MessageDecoder(PartitionState)
_interlocks = MessageDecoder(InterlockState)
_hosts = MessageDecoder(HostInterlockState)


async def situation(bus: Bus, clock: Clock) -> ReloadSituation:
    """The situation now. LinkError where the bus does not tell it in time."""
    busy: dict[str, tuple[str, ...]] = {}
    acting: dict[str, None] = {}
    try:
        async with within(clock, READ_S), bus.watch(subjects.STATE_BUCKET) as entries:
            async for entry in entries:
                if isinstance(entry, Current):
                    break
                if not isinstance(entry, Entry) or entry.data is None:
                    continue
                match entry.key.partition(".")[0]:
                    case "partition":
                        one = _partitions.decode(entry.data)
                        if is_at_work(one):
                            busy[one.partition] = tuple(member.system for member in one.members)
                    case "interlock":
                        if does_act(state := _interlocks.decode(entry.data)):
                            acting[state.name] = None
                    case key if key == HOST_KEYS:
                        host = _hosts.decode(entry.data)
                        if host.silent_since_ns is not None or (host.state and does_act(host.state)):
                            acting[host.name] = None
                    case _:
                        pass
    except TimeoutError as error:
        raise LinkError(
            f"the bus did not tell within {READ_S:g} s what goes on now",
            source="reload",
            suggestion="wait until the bus is back, and repeat",
        ) from error
    return ReloadSituation(busy=busy, acting=tuple(sorted(acting)))


def is_at_work(partition: PartitionState) -> bool:
    """Whether a partition takes a run, is not at rest, or is on its way to another state."""
    goal = partition.goal
    is_moving = bool(partition.steps) or (goal is not None and goal.state != partition.state)
    return bool(partition.run) or is_moving or partition.state != partition.chart.initial


def does_act(interlock: InterlockState) -> bool:
    """Whether an interlock is tripped or has an effect, or whether that is not known."""
    return interlock.is_tripped or interlock.unread or any(one.acting_ns is not None for one in interlock.effects)
