"""A queue of findings for the book. In a flood the most urgent findings are taken first. Pure.

The findings of one device or partition are taken together and in their order, because some are causes of others. A
partition whose member names a device as its cause is taken after all findings of that device. If a device has more
findings than one batch, its lost link is taken first, then the more urgent alarms, and of equally urgent ones those
that can be causes. A group in which no finding announces an alarm is taken as a whole, so that alarms return together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, group_blamed, group_of
from countingroom.alarms.engine.folding import rank_of
from countingroom.core.alarms import identity
from countingroom.core.alarms.states import LOWEST_PRIORITY

Urgency = Callable[[AlarmSubject, AlarmFinding], int]
"""The priority that a finding gives to its alarm; a larger number if it leads to no announcement."""
_LEAST_URGENT = 99


class _Group:
    __slots__ = ("_is_sorted", "_urgencies", "blamed", "found", "number", "urgency")

    def __init__(self, number: int) -> None:
        self.number = number
        """Groups of equal urgency are taken in the order of these numbers."""
        self.urgency = _LEAST_URGENT
        self.found: list[Found] = []
        self.blamed: set[str] = set()
        self._urgencies: dict[str, int] = {}
        """Alarm -> urgency of its most urgent finding."""
        self._is_sorted = False

    def add(self, subject: AlarmSubject, finding: AlarmFinding, urgency: int) -> None:
        self.found.append((subject, finding))
        self.urgency = min(self.urgency, urgency)
        self._urgencies[subject.id] = min(urgency, self._urgencies.get(subject.id, urgency))
        self._is_sorted = False
        if finding.blames:
            self.blamed.add(group_blamed(finding.blames))

    def take(self, most: int) -> list[Found]:
        """At most `most` findings, those of the most urgent alarms. All findings if none announces an alarm."""
        found = self.found
        # Returns must not be split: if a cause returned one batch before its consequences, they would be announced.
        if self.urgency > LOWEST_PRIORITY or (len(found) <= most and not self._is_sorted):
            self.found = []
            return found
        urgencies = self._urgencies
        if not self._is_sorted:
            # The key is the same for all findings of an alarm, and the sort is stable: they keep their own order.
            found.sort(key=lambda one: (not _is_link(one[0]), urgencies[one[0].id], rank_of(one[0])))
            self._is_sorted = True
        self.found = found[most:]
        self.urgency = urgencies[self.found[0][0].id] if self.found else _LEAST_URGENT
        return found[:most]


def _is_link(subject: AlarmSubject) -> bool:
    return subject.id == identity.of_link(subject.device)


class WaitingFindings:
    """The queue. Its size is bounded by the number of alarms: an alarm gets a finding only when it changes."""

    def __init__(self, urgency: Urgency) -> None:
        self._urgency = urgency
        self._new: list[Found] = []
        self._groups: dict[str, _Group] = {}
        self._waiting = 0
        self._number = 0

    def __len__(self) -> int:
        return len(self._new) + self._waiting

    def add(self, found: Iterable[Found]) -> bool:
        """Add findings at the end. Returns whether there were any."""
        before = len(self._new)
        self._new.extend(found)
        return len(self._new) > before

    def take(self, most: int) -> list[Found]:
        """About `most` findings, those of the most urgent devices and partitions."""
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
        """Take from a group, after the groups that it names as causes. Returns whether no finding of it waits now."""
        group = self._groups.pop(name, None)
        if group is None:
            return True  # taken already, for a partition that names it as its cause
        if all(self._take_group(device, taken, most) for device in group.blamed):
            taken += group.take(most)
            if not group.found:
                return True
        self._groups[name] = group
        return False
