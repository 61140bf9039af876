"""Findings that wait for the book. In a flood the most urgent ones are taken first. Pure.

Those of one device or partition are taken together and in the order in which they came, because causes and consequences
are found among them. A partition whose member blames a device is taken after all findings of that device. Of a device
with more findings than are taken at once, its lost link is taken first, then the more urgent alarms, and of equally
urgent ones those that can be the cause of others. What announces nothing is taken whole: alarms return together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, group_blamed, group_of
from countingroom.alarms.engine.folding import rank_of
from countingroom.core.alarms import identity
from countingroom.core.alarms.states import LOWEST_PRIORITY

Urgency = Callable[[AlarmSubject, AlarmFinding], int]
"""The priority that a finding gives to its alarm; larger numbers where it announces nothing."""
_LEAST_URGENT = 99


class _Group:
    __slots__ = ("_is_sorted", "_urgencies", "blamed", "found", "number", "urgency")

    def __init__(self, number: int) -> None:
        self.number = number
        """Groups of equal urgency are taken in the order in which they came."""
        self.urgency = _LEAST_URGENT
        self.found: list[Found] = []
        self.blamed: set[str] = set()
        self._urgencies: dict[str, int] = {}
        """Alarm -> that of its most urgent finding."""
        self._is_sorted = False

    def add(self, subject: AlarmSubject, finding: AlarmFinding, urgency: int) -> None:
        self.found.append((subject, finding))
        self.urgency = min(self.urgency, urgency)
        self._urgencies[subject.id] = min(urgency, self._urgencies.get(subject.id, urgency))
        self._is_sorted = False
        if finding.blames:
            self.blamed.add(group_blamed(finding.blames))

    def take(self, most: int) -> list[Found]:
        """All where there are not more, or none announces anything; else those of the most urgent alarms."""
        found = self.found
        # In parts, the return of a cause would come before those of its consequences, which would be announced.
        if self.urgency > LOWEST_PRIORITY or (len(found) <= most and not self._is_sorted):
            self.found = []
            return found
        urgencies = self._urgencies
        if not self._is_sorted:
            # All findings of an alarm have one place in this order, and so they keep their own.
            found.sort(key=lambda one: (not _is_link(one[0]), urgencies[one[0].id], rank_of(one[0])))
            self._is_sorted = True
        self.found = found[most:]
        self.urgency = urgencies[self.found[0][0].id] if self.found else _LEAST_URGENT
        return found[:most]


def _is_link(subject: AlarmSubject) -> bool:
    return subject.id == identity.of_link(subject.device)


class WaitingFindings:
    """A queue of findings. It is bounded by what is evaluated: an alarm has a finding each time that it changes."""

    def __init__(self, urgency: Urgency) -> None:
        self._urgency = urgency
        self._new: list[Found] = []
        self._groups: dict[str, _Group] = {}
        self._waiting = 0
        self._number = 0

    def __len__(self) -> int:
        return len(self._new) + self._waiting

    def add(self, found: Iterable[Found]) -> bool:
        """Add findings at the end; whether there were any."""
        before = len(self._new)
        self._new.extend(found)
        return len(self._new) > before

    def take(self, most: int) -> list[Found]:
        """About `most` of them: all where there are not more, else those of the most urgent devices and partitions."""
        if not self._groups and len(self._new) <= most:
            everything, self._new = self._new, []
            return everything
        self._sort_in()
        taken: list[Found] = []
        for name in sorted(self._groups, key=lambda name: (self._groups[name].urgency, self._groups[name].number)):
            if len(taken) >= most:
                break
            self._take_group(name, taken, most)
        self._waiting -= len(taken)
        return taken

    def _sort_in(self) -> None:
        for subject, finding in self._new:
            name = group_of(subject) or subject.id
            group = self._groups.get(name)
            if group is None:
                self._number += 1
                group = self._groups[name] = _Group(self._number)
            group.add(subject, finding, self._urgency(subject, finding))
        self._waiting += len(self._new)
        self._new = []

    def _take_group(self, name: str, taken: list[Found], most: int) -> bool:
        """Whether none of it waits any more."""
        group = self._groups.pop(name, None)
        if group is None:
            return True  # it was taken with a partition that blames it
        if all(self._take_group(device, taken, most) for device in group.blamed):
            taken += group.take(most)
            if not group.found:
                return True
        self._groups[name] = group
        return False
