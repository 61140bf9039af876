"""Findings that wait for the book. In a flood the most urgent ones are taken first. Pure.

Those of one device or partition are taken together and in the order in which they came, because causes and consequences
are found among them. A partition whose member blames a device is taken together with that device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, group_of

Urgency = Callable[[AlarmSubject, AlarmFinding], int]
"""The priority that a finding gives to its alarm; larger numbers where it announces nothing."""
_LEAST_URGENT = 99


class _Group:
    __slots__ = ("blamed", "found", "number", "urgency")

    def __init__(self, number: int) -> None:
        self.number = number
        """Groups of equal urgency are taken in the order in which they came."""
        self.urgency = _LEAST_URGENT
        self.found: list[Found] = []
        self.blamed: set[str] = set()


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
            self._take_group(name, taken)
        self._waiting -= len(taken)
        return taken

    def _sort_in(self) -> None:
        for subject, finding in self._new:
            name = group_of(subject) or subject.id
            group = self._groups.get(name)
            if group is None:
                self._number += 1
                group = self._groups[name] = _Group(self._number)
            group.urgency = min(group.urgency, self._urgency(subject, finding))
            if finding.blames:
                group.blamed.add(finding.blames)
            group.found.append((subject, finding))
        self._waiting += len(self._new)
        self._new = []

    def _take_group(self, name: str, taken: list[Found]) -> None:
        group = self._groups.pop(name, None)
        if group is None:
            return  # it was taken with a partition that blames it
        for device in group.blamed:
            self._take_group(device, taken)
        taken += group.found
