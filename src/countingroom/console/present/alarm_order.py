"""The order of alarms on every page: a cause first, and below it what follows from it. Pure.

An alarm follows from another one when its kind can only be derived from it: the state of a channel from a point of
that channel, the state of a device from its channels and points, a system of a partition from the device that its cause
names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from countingroom.console.present.abnormal import Alarm

_SKEW_NS = 10_000_000_000
"""A consequence may be stamped so much before its cause: each point is read at its own time."""


def causes_first(alarms: Iterable[Alarm]) -> list[Alarm]:
    """Worst first, then newest first; what follows from an alarm stands below it, in order of time."""
    given = sorted(
        alarms, key=lambda one: (one.level, -one.since_ns, one.partition, one.device, one.channel, one.point)
    )
    earliest = _earliest(given)
    below: dict[int, list[Alarm]] = {}
    roots: list[int] = []
    for number, alarm in enumerate(given):
        root = number
        while (before := _cause(given[root], given, earliest)) is not None:
            root = before
        if root == number:
            roots.append(number)
        else:
            after_ns = max(0, alarm.since_ns - given[root].since_ns)
            below.setdefault(root, []).append(structs.replace(alarm, after_ns=after_ns))
    # A cause of low priority with an urgent consequence stands where the consequence would.
    roots.sort(key=lambda root: min([given[root].level, *(one.level for one in below.get(root, ()))]))
    found: list[Alarm] = []
    for root in roots:
        follow = sorted(below.get(root, ()), key=lambda one: (_rank(one), one.after_ns))
        if not follow:
            found.append(given[root])
            continue
        advice = given[root].advice or next((one.advice for one in follow if one.advice), "")
        found += [structs.replace(given[root], consequences=len(follow), advice=advice), *follow]
    return found


_Place = tuple[str, str, str, int, int]
"""Device, partition, channel ("*": any), rank and level of an alarm."""


def _earliest(alarms: Sequence[Alarm]) -> dict[_Place, int]:
    """The number of the earliest alarm of each place. With it thousands of alarms are ordered in linear time."""
    found: dict[_Place, int] = {}
    for number, one in enumerate(alarms):
        device = "" if one.partition else one.device
        for channel in {one.channel, "*"}:
            place = device, one.partition, channel, _rank(one), one.level
            if place not in found or one.since_ns < alarms[found[place]].since_ns:
                found[place] = number
    return found


def _cause(alarm: Alarm, alarms: Sequence[Alarm], earliest: Mapping[_Place, int]) -> int | None:
    """The number of the alarm that this one follows from: the earliest of the nearest rank; None: there is none."""
    mine = _rank(alarm)
    # A warning beside a fault of the same device is another alarm, not the reason of the fault.
    levels = range(1, alarm.level + 1) if not alarm.partition else (1, 2, 3)
    for rank in reversed(range(mine)):
        if not alarm.partition:
            device, partition, channel = alarm.device, "", alarm.channel or "*"
        elif rank < _MEMBER:
            device, partition, channel = alarm.blames, "", "*"
        else:
            device, partition, channel = "", alarm.partition, "*"
        places = ((device, partition, channel, rank, level) for level in levels)
        found = [
            number
            for place in places
            if (number := earliest.get(place)) is not None and alarms[number].since_ns <= alarm.since_ns + _SKEW_NS
        ]
        if found:
            return min(found, key=lambda number: alarms[number].since_ns)
    return None


_MEMBER = 3


def _rank(alarm: Alarm) -> int:
    """How far from the hardware its kind is: a lower one can be the cause of a higher one."""
    if alarm.partition:
        return _MEMBER + 1 if alarm.device == alarm.partition else _MEMBER
    if alarm.point:
        return 0
    return 1 if alarm.channel else 2


def after(alarm: Alarm) -> str:
    """How long after its cause it came: `+0.4 s`, `+12 s`, `+3 min`; empty for a cause."""
    if alarm.after_ns is None:
        return ""
    seconds = alarm.after_ns / 1e9
    if seconds < 10:
        return f"+{seconds:.1f} s"
    return f"+{seconds:.0f} s" if seconds < 120 else f"+{seconds // 60:.0f} min"
