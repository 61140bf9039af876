"""What an evaluation finds about one alarm, and what the alarm is about. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core import severity, units
from countingroom.core.alarms import identity
from countingroom.core.points import Point
from countingroom.core.values import Scalar

CLEAR = 0


class AlarmSubject(Struct, frozen=True, kw_only=True, gc=False):
    """What an alarm is about. It stays the same while the alarm exists."""

    id: str
    """See `core/alarms/identity.py`."""
    title: str
    """Its source for people: `Julabo chiller / Bath`."""
    device: str = ""
    channel: str = ""
    point: str = ""
    partition: str = ""
    system: str = ""


class AbnormalReading(Struct, frozen=True, gc=False):
    """A reading that is abnormal. Its sentence is made only where it is told: an alarm that stays active has a reading
    many times a second, and in a flood the urgent alarms do not wait for the sentences of the others."""

    point: Point
    value: Scalar
    reason: str
    """That of an alarm that the device itself has given."""

    def sentence(self) -> str:
        """What is abnormal, with value, limit and unit."""
        return severity.why(self.point, self.value, unit=units.written(self.point.unit), reason=self.reason)


class AlarmFinding(Struct, frozen=True, kw_only=True, gc=False):
    """The condition of an alarm at one evaluation."""

    level: int
    """0: clear; else the priority that its rule gives, 1 to 3."""
    since_ns: int
    """When it got this level."""
    text: str = ""
    """One sentence: what is abnormal. Empty: `reading` gives it."""
    reading: AbnormalReading | None = None
    advice: str = ""
    blames: str = ""
    """The device that its cause names, or the alarm of the process that served it, or of the node on which that ran."""
    lasting_ns: int = 0
    """It counts when it has lasted for so long: losses often heal by themselves."""
    at_once: bool = False
    """Its on-delay is not waited for: others that follow from it have lasted already."""
    value: Scalar = None
    unknown: bool = False
    """It cannot be evaluated now: the alarm stays as it was."""
    removed: bool = False
    """Its source is no longer described."""

    @property
    def folded_by(self) -> tuple[int, int, str]:
        """What folds depend on."""
        return self.level, self.since_ns, self.blames

    def sentence(self) -> str:
        """What is abnormal."""
        return self.reading.sentence() if self.reading else self.text


Found = tuple[AlarmSubject, AlarmFinding]
_FLEET = "the fleet"


def clear(since_ns: int) -> AlarmFinding:
    """The condition is false."""
    return AlarmFinding(level=CLEAR, since_ns=since_ns)


def unknown(since_ns: int) -> AlarmFinding:
    """The condition cannot be evaluated."""
    return AlarmFinding(level=CLEAR, since_ns=since_ns, unknown=True)


def removed(now_ns: int) -> AlarmFinding:
    """The source of the alarm is no longer described."""
    return AlarmFinding(level=CLEAR, since_ns=now_ns, removed=True)


def group_of(subject: AlarmSubject) -> str:
    """The group within which alarms follow from each other: their device or partition, or the fleet; empty: none. A
    process is a group of its own, which members of partitions can blame."""
    if subject.partition:
        return f"partition {subject.partition}"
    if not subject.device and identity.is_of_fleet(subject.id):
        return _FLEET
    return subject.device or (subject.id if identity.is_of_role(subject.id) else "")


def group_blamed(blames: str) -> str:
    """The group of a device, or of an alarm, that a finding blames."""
    return _FLEET if identity.is_of_fleet(blames) else blames
