"""Which alarm follows from which: one fault is one alarm, and its consequences are folded under it. Pure.

An alarm follows from another one when its kind can only be derived from it: the state of a channel from a point of
that channel, the state of a device from its channels and points, a system of a partition from the device that its cause
names, and what is lost from the process that served or ran it, or from the node of the fleet on which that ran. An
alarm of the fleet names the one that it follows from. Of a device that is not reached, and of a partition without an
owner, nothing is known: all their other alarms follow from that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, group_of
from countingroom.core.alarms import identity

SKEW_NS = 10_000_000_000
"""A consequence may be stamped so much before its cause: each point is read at its own time."""


class Active(Struct, frozen=True, kw_only=True, gc=False):
    """An active alarm with what was found last."""

    subject: AlarmSubject
    finding: AlarmFinding
    """The last one that was known."""
    unknown: bool = False
    """It cannot be evaluated now."""


def causes(active: Iterable[Active]) -> dict[str, str]:
    """Alarm -> the alarm that it follows from in the end, of those that follow from another one."""
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
    """Whether an alarm of this kind can follow from another one. A value beyond its limit is a fault of its own."""
    return unknown or rank_of(subject) not in (_FIRST, _OTHER) or identity.is_of_fleet(subject.id)


_Place = tuple[str, str, str, int, int]
"""Device or process, partition, channel ("*": any), rank and level of an alarm."""


def _earliest(alarms: Sequence[Active]) -> dict[_Place, int]:
    """The number of the earliest alarm of each place. With it thousands of alarms are folded in linear time."""
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
    """The number of the alarm that this one follows from: the earliest of the nearest rank; None: there is none."""
    subject = alarm.subject
    if identity.is_of_fleet(subject.id):
        source = identity.FLEET_KEEPER if alarm.unknown else alarm.finding.blames
        return None if source == subject.id else lost.get(source)
    if alarm.unknown:
        source = identity.of_owner(subject.partition) if subject.partition else identity.of_link(subject.device)
        return lost.get(source)
    mine = rank_of(subject)
    if mine == _VALUE:
        return lost.get(identity.of_link(subject.device))  # of a device that is not reached every value is stale
    if mine == _OTHER or (mine == _LINK and not alarm.finding.blames):
        return None
    if mine == _MEMBER and (node := lost.get(alarm.finding.blames)) is not None:
        return node  # it may be noticed long after the agents that ran there
    # A warning beside a fault of the same device is another alarm, not the reason of the fault.
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
"""It is the cause of nothing."""


def rank_of(subject: AlarmSubject) -> int:
    """How far from the hardware its kind is: a lower one can be the cause of a higher one."""
    if subject.partition:
        return _MEMBER if subject.system else _MEMBER + 1
    if not subject.device:
        return _FIRST if group_of(subject) else _OTHER
    if subject.point:
        return _VALUE if identity.is_of_value(subject.id) else _FIRST
    if subject.channel:
        return 1
    return _LINK if subject.id == identity.of_link(subject.device) else _DEVICE
