"""Replays recorded data through the evaluation and the book of the alarm engine, with the recorded time as the present.
Reads no clock and does no I/O. It does not save, publish or announce. Rules and interlocks can be replayed as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from countingroom.alarms.engine.book import AlarmBook
from countingroom.alarms.engine.described_alarms import DescribedAlarms
from countingroom.alarms.engine.evaluation import Evaluation, Listener
from countingroom.alarms.engine.finding import Found
from countingroom.alarms.engine.known import Defines, KnownAlarms
from countingroom.alarms.engine.suppression import Suppression
from countingroom.alarms.engine.turn import turn
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.events import AlarmEvent
from countingroom.core.alarms.history import AlarmEntry, SavedAlarm
from countingroom.core.messages import Catalogue, DeviceState, Readings
from countingroom.core.start_up import HEARD_S, START_UP_S

_NEVER = 1 << 63


class Other(Listener, Protocol):
    """Rules or interlocks, which get the same readings and states."""

    def pass_time(self, now_ns: int) -> None: ...
    def next_due_ns(self) -> int | None: ...


class AlarmReplay:
    """All alarms of a description. Give it recorded data in the order of time, then call `pass_time` with the end."""

    def __init__(
        self,
        definitions: Defines,
        catalogues: Collection[Catalogue],
        begin_ns: int,
        *,
        devices: Collection[str] | None = None,
        saved: Iterable[SavedAlarm] = (),
        keep: Callable[[AlarmEntry], None] | None = None,
        others: Sequence[Other] = (),
    ) -> None:
        """`catalogues`: the devices with their limits. `devices`: the names of all described devices. `saved`: the
        alarms as they were before the begin. `keep`: takes each history row; without it the rows are in `rows`.
        `others`: rules and interlocks that are replayed as well."""
        self.rows: list[AlarmEntry] = []
        """The history of the alarms, as the engine would have written it."""
        self.readings = 0
        self._keep = keep or self.rows.append
        self._known = KnownAlarms(definitions, (), devices)
        self._book = AlarmBook(self._known.define, self._known.rules)
        self._book.restore(saved, begin_ns)
        section = definitions.section
        self._described = DescribedAlarms(
            section.custom,
            {name: one.when for name, one in section.suppress.items()},
            self._known.customs(),
            self._known.point,
            self._book.held,
            begin_ns,
        )
        self.problems: tuple[str, ...] = tuple(self._described.problems)
        """Conditions that cannot be evaluated, one sentence each."""
        self._suppression = Suppression({name: one.reason for name, one in section.suppress.items()})
        self._asks = False
        """Whether definitions or suppressions have changed since the last turn."""
        self._found: list[Found] = []
        self._others = tuple(others)
        self._now_ns = begin_ns
        self._evaluation = Evaluation(
            self._found.extend,
            self._known,
            self._described,
            self._suppress,
            begin_ns,
            held=self._book.held,
            listeners=self._others,
        )
        self._unheard = {*(devices or ()), *(one.device for one in catalogues)}
        """Devices without recorded data since the begin."""
        self._known_at_ns: int | None = begin_ns + round(HEARD_S * 1e9)
        self._known_by_ns = begin_ns + round(START_UP_S * 1e9)
        """The end of the wait for devices without data; an engine waits as long after its start."""
        self._due_ns = _NEVER
        for catalogue in catalogues:
            self._evaluation.catalogue(catalogue.device, catalogue, begin_ns)
        self._settle()

    def read(self, message: Readings) -> None:
        """Take in a message of readings. The time is the one at which it was sent."""
        now_ns = message.sent_ns
        if now_ns >= self._due_ns:
            self.pass_time(now_ns)
        self._now_ns = now_ns = max(now_ns, self._now_ns)
        self.readings += len(message.points)
        if message.device in self._unheard:
            self._hear(message.device)
        due_ns = self._evaluation.read(message, now_ns)
        if due_ns is not None and due_ns < self._due_ns:
            self._due_ns = due_ns
        for one in self._others:
            if (due_ns := one.next_due_ns()) is not None and due_ns < self._due_ns:
                self._due_ns = due_ns
        if self._found or self._asks:
            self._turn()

    def device(self, key: str, state: DeviceState, now_ns: int) -> None:
        """Take in the state of a device or channel. `key`: its key in the state bucket."""
        self._begin(now_ns)
        self._hear(state.device)
        self._evaluation.device(key, state.device, state, self._now_ns)
        self._settle()

    def word(self, subject: str, word: str, now_ns: int) -> None:
        """Take in the state of a partition, which only described conditions use."""
        self._begin(now_ns)
        self._evaluation.word(subject, word, self._now_ns)
        self._settle()

    def served(self, device: str, is_alive: bool, now_ns: int) -> None:
        """Take in whether the host of a device was alive."""
        self._begin(now_ns)
        if is_alive:
            self._hear(device)
        self._evaluation.device_served(device, is_alive, self._now_ns)
        self._settle()

    def find(self, found: Iterable[Found]) -> None:
        """Take in findings of `others`: the trip of an interlock is an alarm as well."""
        self._found.extend(found)

    def act(self, events: Callable[[AlarmBook], Mapping[str, AlarmEvent]], by: str, now_ns: int) -> None:
        """Repeat what a person did to alarms. If the present state refuses it, it has no effect."""
        self._begin(now_ns)
        for row in self._book.command(events(self._book), self._now_ns, by=by).history:
            self._keep(row)
        self._settle()

    def happen(self, give: Callable[[int], None], now_ns: int) -> None:
        """Call `give` with the time; it gives an input to one of `others`."""
        self._begin(now_ns)
        give(self._now_ns)
        self._settle()

    def pass_time(self, now_ns: int) -> None:
        """Do all that is due up to and including `now_ns`."""
        while self._due_ns <= now_ns:
            self._now_ns = max(self._due_ns, self._now_ns)
            if self._known_at_ns is not None and self._known_at_ns <= self._now_ns:
                if self._unheard and self._now_ns < self._known_by_ns:
                    self._known_at_ns = self._known_by_ns
                else:
                    self._known_at_ns = None
                    self._evaluation.all_known(self._now_ns)
            self._evaluation.pass_time(self._now_ns)
            for one in self._others:
                one.pass_time(self._now_ns)
            self._settle()

    def definition(self, id: str) -> AlarmDefinition | None:
        """The definition of an alarm; None if the description has none."""
        return self._known.find(id)

    def _suppress(self, active: frozenset[str], all_known: bool) -> None:
        self._suppression.update(active, all_known=all_known)
        self._asks = True

    def _suppressed(self, book: AlarmBook) -> Mapping[str, AlarmEvent]:
        return self._suppression.events(self._known.suppressible(), book)

    def _hear(self, device: str) -> None:
        self._unheard.discard(device)
        if not self._unheard and self._known_at_ns == self._known_by_ns:
            self._known_at_ns = self._due_ns = self._now_ns  # the last device has data: the wait ends early

    def _begin(self, now_ns: int) -> None:
        self.pass_time(now_ns)
        self._now_ns = max(now_ns, self._now_ns)

    def _settle(self) -> None:
        """Take a turn, and compute when the next one is due."""
        self._turn()
        due = (self._evaluation.next_due_ns(), self._book.next_due_ns(), self._known_at_ns)
        due += tuple(one.next_due_ns() for one in self._others)
        self._due_ns = min((one for one in due if one is not None), default=_NEVER)

    def _turn(self) -> None:
        found = list(self._found)
        self._found.clear()
        events = self._suppressed if self._asks else None
        self._asks = False
        for changes in turn(self._book, found, events, self._now_ns):
            for row in changes.history:
                self._keep(row)
        if (due_ns := self._book.next_due_ns()) is not None and due_ns < self._due_ns:
            self._due_ns = due_ns
