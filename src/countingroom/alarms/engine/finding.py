"""The finding of an evaluation about one alarm, and the subject of the alarm. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core import severity, units
from countingroom.core.alarms import identity
from countingroom.core.points import Point
from countingroom.core.values import Scalar

CLEAR = 0


class AlarmSubject(Struct, frozen=True, kw_only=True, gc=False):
    """The subject of an alarm: its identity, its title and its source. It stays the same while the alarm exists."""

    id: str
    """See `core/alarms/identity.py`."""
    title: str
    """The source as text for people: `Julabo chiller / Bath`."""
    device: str = ""
    channel: str = ""
    point: str = ""
    partition: str = ""
    system: str = ""


class AbnormalReading(Struct, frozen=True, gc=False):
    """A reading that is abnormal. Its sentence is made only when it is published: an active alarm can have many
    readings per second, and in a flood the urgent alarms must not wait for the sentences of the others."""

    point: Point
    value: Scalar
    reason: str
    """The reason of an alarm that the device itself gives."""

    def sentence(self) -> str:
        """One sentence with value, limit and unit."""
        return severity.why(self.point, self.value, unit=units.written(self.point.unit), reason=self.reason)


class AlarmFinding(Struct, frozen=True, kw_only=True, gc=False):
    """The condition of an alarm at one evaluation."""

    level: int
    """0: clear; otherwise the priority by the limit or state, 1 to 3."""
    since_ns: int
    """Since when it has this level."""
    text: str = ""
    """One sentence that says what is abnormal; empty if `reading` gives it."""
    reading: AbnormalReading | None = None
    advice: str = ""
    blames: str = ""
    """The source of the fault: the device that its cause names, or the alarm of the process that served it, or the
    alarm of the node of that process."""
    lasting_ns: int = 0
    """The time that it must last before it counts: lost connections often come back by themselves."""
    at_once: bool = False
    """Skip its on-delay: its consequences have lasted long enough already."""
    value: Scalar = None
    unknown: bool = False
    """It cannot be evaluated now: the alarm stays unchanged."""
    removed: bool = False
    """Its source is no longer described."""

    @property
    def folded_by(self) -> tuple[int, int, str]:
        """The fields on which folds depend."""
        return self.level, self.since_ns, self.blames

    def sentence(self) -> str:
        """One sentence that says what is abnormal."""
        return self.reading.sentence() if self.reading else self.text


Found = tuple[AlarmSubject, AlarmFinding]
_FLEET = "the fleet"


def clear(since_ns: int) -> AlarmFinding:
    """A finding that the condition is false."""
    return AlarmFinding(level=CLEAR, since_ns=since_ns)


def unknown(since_ns: int) -> AlarmFinding:
    """A finding that the condition cannot be evaluated."""
    return AlarmFinding(level=CLEAR, since_ns=since_ns, unknown=True)


def removed(now_ns: int) -> AlarmFinding:
    """A finding that the source of the alarm is no longer described."""
    return AlarmFinding(level=CLEAR, since_ns=now_ns, removed=True)


def group_of(subject: AlarmSubject) -> str:
    """The group within which alarms can be consequences of each other: a device, a partition, or the fleet; empty: no
    group. A process is a group of its own; members of partitions can name it as their cause."""
    if subject.partition:
        return f"partition {subject.partition}"
    if not subject.device and identity.is_of_fleet(subject.id):
        return _FLEET
    return subject.device or (subject.id if identity.is_of_role(subject.id) else "")


def group_blamed(blames: str) -> str:
    """The group of the device or alarm that a finding names in `blames`."""
    return _FLEET if identity.is_of_fleet(blames) else blames
