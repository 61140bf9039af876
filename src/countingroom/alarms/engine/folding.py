"""Finds which alarm is a consequence of which. One fault is shown as one alarm, with its consequences folded under it.
Pure.

An alarm is a consequence of another one by its kind:
- the state of a channel, of a point of that channel;
- the state of a device, of its channels and points;
- a system of a partition, of the device that its cause names;
- a lost device, owner or system, of the process that served it, or of the fleet node of that process;
- an alarm of the fleet, of the alarm that it names;
- all other alarms of a device without a link, of that link alarm, because their conditions are unknown. The same holds
  for a partition without an owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, group_of
from countingroom.core.alarms import identity

SKEW_NS = 10_000_000_000
"""A consequence may have a time stamp this much earlier than its cause, because each point is read at its own time."""


class Active(Struct, frozen=True, kw_only=True, gc=False):
    """An active alarm with its last finding."""

    subject: AlarmSubject
    finding: AlarmFinding
    """The last finding that was not unknown."""
    unknown: bool = False
    """Its condition cannot be evaluated now."""


def causes(active: Iterable[Active]) -> dict[str, str]:
    """Consequence -> its root cause, at the end of the chain of causes. Other alarms are not in it."""
    given = sorted(active, key=lambda one: (one.finding.level, -one.finding.since_ns, one.subject.id))
    following = [number for number, one in enumerate(given) if can_follow(one.subject, unknown=one.unknown)]
    if not following:
        return {}
    earliest = _earliest(given)
    lost = {one.subject.id: number for number, one in enumerate(given) if not one.unknown}
    found: dict[str, str] = {}
    for number in following:
        one = given[number]
        root = number
        while (before := _cause(given[root], given, earliest, lost)) is not None:
            root = before
        if root != number:
            found[one.subject.id] = given[root].subject.id
    return found


def can_follow(subject: AlarmSubject, *, unknown: bool) -> bool:
    """Whether an alarm of this kind can be a consequence. A value beyond its limit is always a fault of its own."""
    return unknown or rank_of(subject) not in (_FIRST, _OTHER) or identity.is_of_fleet(subject.id)


_Place = tuple[str, str, str, int, int]
"""The key of `_earliest`: device or process, partition, channel ("*": any), rank and level."""


def _earliest(alarms: Sequence[Active]) -> dict[_Place, int]:
    """Place -> index of its earliest alarm. This index lets thousands of alarms be folded in linear time."""
    found: dict[_Place, int] = {}
    for number, one in enumerate(alarms):
        subject = one.subject
        for channel in {subject.channel, "*"}:
            place = _home(subject), subject.partition, channel, rank_of(one.subject), one.finding.level
            if place not in found or one.finding.since_ns < alarms[found[place]].finding.since_ns:
                found[place] = number
    return found


def _cause(
    alarm: Active, alarms: Sequence[Active], earliest: Mapping[_Place, int], lost: Mapping[str, int]
) -> int | None:
    """The index of the alarm that causes this one: the earliest of the nearest rank; None if there is none."""
    subject = alarm.subject
    if identity.is_of_fleet(subject.id):
        source = identity.FLEET_KEEPER if alarm.unknown else alarm.finding.blames
        return None if source == subject.id else lost.get(source)
    if alarm.unknown:
        source = identity.of_owner(subject.partition) if subject.partition else identity.of_link(subject.device)
        return lost.get(source)
    mine = rank_of(subject)
    if mine == _VALUE:
        return lost.get(identity.of_link(subject.device))  # without a link every value of the device is stale
    if mine == _OTHER or (mine == _LINK and not alarm.finding.blames):
        return None
    if mine == _MEMBER and (node := lost.get(alarm.finding.blames)) is not None:
        return node  # without the check of times below: the loss of a node may be noticed long after its agents' loss
    # A less urgent alarm is not the cause of a more urgent one of the same device: a warning does not explain a fault.
    levels = (1, 2, 3) if subject.partition else range(1, alarm.finding.level + 1)
    for rank in reversed(range(mine)):
        if mine == _LINK:
            device, partition, channel = alarm.finding.blames, "", "*"
        elif not subject.partition:
            device, partition, channel = _home(subject), "", subject.channel or "*"
        elif rank < _MEMBER:
            device, partition, channel = alarm.finding.blames, "", "*"
        else:
            device, partition, channel = "", subject.partition, "*"
        if not (device or partition):
            continue
        places = ((device, partition, channel, rank, level) for level in levels)
        found = [
            number
            for place in places
            if (number := earliest.get(place)) is not None
            and not alarms[number].unknown
            and alarms[number].finding.since_ns <= alarm.finding.since_ns + SKEW_NS
        ]
        if found:
            return min(found, key=lambda number: alarms[number].finding.since_ns)
    return None


def _home(subject: AlarmSubject) -> str:
    return "" if subject.partition else group_of(subject)


_OTHER = -1
_FIRST = 0
_DEVICE = 2
_LINK = 3
_MEMBER = 4
_VALUE = 9
"""Higher than all others, so it is never a cause."""


def rank_of(subject: AlarmSubject) -> int:
    """The distance of an alarm's kind from the hardware. An alarm of a lower rank can cause one of a higher rank."""
    if subject.partition:
        return _MEMBER if subject.system else _MEMBER + 1
    if not subject.device:
        return _FIRST if group_of(subject) else _OTHER
    if subject.point:
        return _VALUE if identity.is_of_value(subject.id) else _FIRST
    if subject.channel:
        return 1
    return _LINK if subject.id == identity.of_link(subject.device) else _DEVICE
