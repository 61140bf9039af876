"""The alarms of now, for the overview, the bar, the counts and the metrics: from the published states alone. Pure.

A list is made once for each change of an alarm, however many pages and ticks ask for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from msgspec import Struct

from countingroom.console.present import alarm_views
from countingroom.core import severity
from countingroom.core.alarms.states import AlarmState, BaseState

MOST_LISTED = 200
"""Alarms of the list; the counts are of all."""


class Alarm(Struct, frozen=True, kw_only=True):
    """An open alarm as the overview lists it. The page of alarms has the whole state of each."""

    level: int
    """Priority 1, 2 or 3."""
    since_ns: int
    device: str
    """The device, or the system of a partition, or the partition."""
    partition: str = ""
    """Empty for a device."""
    channel: str = ""
    point: str = ""
    """Empty where it is a state that is abnormal."""
    what: str
    advice: str = ""
    """What to do."""
    after_ns: int | None = None
    """How long after its cause it came; None: it stands for itself."""
    consequences: int = 0
    """The number of alarms that follow from it."""
    id: str
    title: str
    occurrence: int
    base: BaseState
    acknowledged_by: str = ""


class PresentAlarms(Struct, frozen=True, kw_only=True):
    """All open alarms, in lists and numbers."""

    listed: tuple[Alarm, ...] = ()
    """Worst first, then newest first, what follows from an alarm below it; at most MOST_LISTED."""
    counts: tuple[int, int, int] = (0, 0, 0)
    """Alarms of priority 1, 2 and 3 that stand for themselves."""
    newest: AlarmState | None = None
    """The newest that waits to be acknowledged."""
    waiting: int = 0
    follow: int = 0
    """How many follow from `newest`."""
    partitions: Mapping[str, tuple[int, int, int]] = {}
    """Partition -> its open alarms of priority 1, 2 and 3."""
    active: Mapping[str, Counter[int]] = {}
    """Device -> priority -> its active alarms."""
    places: Mapping[str, int] = {}
    """`area:cooling`, `channel:caen.0`, `system:STS` -> the most urgent priority of its open alarms. Only those with an
    alarm; an area has those of the areas in it."""

    def of_partition(self, partition: str) -> tuple[int, int, int]:
        """Its open alarms of priority 1, 2 and 3."""
        return self.partitions.get(partition, (0, 0, 0))

    def worst(self, partition: str) -> int:
        """The most urgent priority in a partition; 0: there is none."""
        return next((level for level, count in enumerate(self.of_partition(partition), 1) if count), 0)


def collect(words: Mapping[str, Struct]) -> PresentAlarms:
    """What stands now."""
    alarms = alarm_views.all_alarms(words)
    opened = {name: one for name, one in alarms.items() if alarm_views.is_open(one)}
    below: dict[str, list[AlarmState]] = {}
    roots: list[AlarmState] = []
    for one in opened.values():
        if cause := alarm_views.cause_of(one, alarms):
            below.setdefault(cause, []).append(one)
        else:
            roots.append(one)
    for members in below.values():
        members.sort(key=lambda one: (one.since_ns, one.id))
    shown = [one for one in roots if one.priority <= severity.LOW]
    # A cause of low priority with an urgent consequence stands where the consequence would.
    shown.sort(key=lambda one: (_urgency(one, below), -one.since_ns, one.id))
    listed: list[Alarm] = []
    for root in shown:
        if len(listed) >= MOST_LISTED:
            break
        members = below.get(root.id, [])
        advice = root.advice or next((one.advice for one in members if one.advice), "")
        listed.append(_row(root, None, advice, len(members)))
        listed += [_row(one, max(0, one.since_ns - root.since_ns), one.advice, 0) for one in members]
    numbers = Counter(one.priority for one in roots)
    newest, waiting = alarm_views.newest_unacknowledged(alarms)
    partitions: dict[str, Counter[int]] = {}
    active: dict[str, Counter[int]] = {}
    places: dict[str, int] = {}
    for one in opened.values():
        if one.partition:
            partitions.setdefault(one.partition, Counter())[one.priority] += 1
        if one.device and one.base.is_active:
            active.setdefault(one.device, Counter())[one.priority] += 1
        if one.priority <= severity.LOW:
            for place in _places(one):
                places[place] = min(one.priority, places.get(place, one.priority))
    return PresentAlarms(
        listed=tuple(listed[:MOST_LISTED]),
        counts=(numbers[1], numbers[2], numbers[3]),
        newest=newest,
        waiting=waiting,
        follow=len(below.get(newest.id, ())) if newest else 0,
        partitions={name: (found[1], found[2], found[3]) for name, found in partitions.items()},
        active=active,
        places=places,
    )


def _places(alarm: AlarmState) -> list[str]:
    parts = alarm.area.split("/") if alarm.area else []
    found = [f"area:{'/'.join(parts[:end])}" for end in range(1, len(parts) + 1)]
    if alarm.device and alarm.channel:
        found.append(f"channel:{alarm.device}.{alarm.channel}")
    if alarm.system:
        found.append(f"system:{alarm.system}")
    return found


def _urgency(root: AlarmState, below: Mapping[str, list[AlarmState]]) -> int:
    return min([root.priority, *(one.priority for one in below.get(root.id, ()))])


def _row(alarm: AlarmState, after_ns: int | None, advice: str, consequences: int) -> Alarm:
    of_partition = bool(alarm.partition and not alarm.device)
    return Alarm(
        level=min(alarm.priority, severity.LOW),
        since_ns=alarm.since_ns,
        device=(alarm.system or alarm.partition) if of_partition else alarm.device,
        partition=alarm.partition if of_partition else "",
        channel=alarm.channel,
        point=alarm.point,
        what=alarm.text,
        advice=advice,
        after_ns=after_ns,
        consequences=consequences,
        id=alarm.id,
        title=alarm.title,
        occurrence=alarm.occurrence,
        base=alarm.base,
        acknowledged_by=alarm.acknowledged_by if alarm.base is BaseState.ACKNOWLEDGED else "",
    )


class AlarmsNow:
    """`collect`, remembered until an alarm changes. `changes` counts the changes of alarms."""

    def __init__(self, words: Mapping[str, Struct], changes: Callable[[], int]) -> None:
        self._words = words
        self._changes = changes
        self._of = -1
        self._found = PresentAlarms()

    def __call__(self) -> PresentAlarms:
        """What stands now."""
        if self._of != self._changes():
            self._of = self._changes()
            self._found = collect(self._words)
        return self._found


def after(alarm: Alarm) -> str:
    """How long after its cause it came: `+0.4 s`, `+12 s`, `+3 min`; empty for one that stands for itself."""
    if alarm.after_ns is None:
        return ""
    seconds = alarm.after_ns / 1e9
    if seconds < 10:
        return f"+{seconds:.1f} s"
    return f"+{seconds:.0f} s" if seconds < 120 else f"+{seconds // 60:.0f} min"
