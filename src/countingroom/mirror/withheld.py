"""The queue of templates whose lines are withheld as nothing was decided of them: counted, with an example.

It is for the inside only: an example and the values of slots are raw.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.core.mirror.proposals import SeenSlot, SeenTemplate, see
from countingroom.core.mirror.templates import ReadLine, read_line

MOST_TEMPLATES = 3000
"""Further templates are counted together until the queue is shorter."""
_LOGS = 20
_LOOKED_AT = 500
"""Of a template so many lines are looked at; later ones are counted."""


class _KeptSlot(Struct):
    kind: str
    values: dict[str, int]
    least: float
    most: float


class _KeptTemplate(Struct):
    template: str
    lines: int
    example: str
    slots: list[_KeptSlot]
    logs: list[str]
    first_ns: int
    last_ns: int


class _KeptQueue(Struct):
    templates: list[_KeptTemplate] = []
    lines: int = 0
    others: int = 0


class QueueEntry(Struct):
    """A template that waits for a decision."""

    seen: SeenTemplate
    first_ns: int
    last_ns: int


class WithheldQueue:
    """Filled by all that redacts, in any thread."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._turn = threading.Lock()
        self._entries: dict[str, QueueEntry] = {}
        self._seen: dict[str, SeenTemplate] = {}
        self._decided: frozenset[str] = frozenset()
        self.lines = 0
        """Withheld without a decision, since the queue was begun."""
        self.others = 0
        """Of them those of templates that are not in the queue, as it is full."""
        self.changes = 0
        """Changes with each log that is added, and each template that is left out."""

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, lines: Iterable[tuple[ReadLine, str]], log: str) -> None:
        """Lines of one log. `log`: what tells logs apart."""
        now_ns = self._now_ns()
        with self._turn:
            for read, line in lines:
                self.lines += 1
                if read.template in self._decided:
                    continue
                entry = self._entries.get(read.template)
                if entry is None and len(self._entries) >= MOST_TEMPLATES:
                    self.others += 1
                    continue
                if entry is not None and entry.seen.lines >= _LOOKED_AT:
                    entry.seen.lines += 1
                    seen = entry.seen
                else:
                    seen = see(self._seen, read, line)
                if entry is None:
                    entry = self._entries[read.template] = QueueEntry(seen=seen, first_ns=now_ns, last_ns=now_ns)
                entry.last_ns = now_ns
                if len(seen.logs) < _LOGS:
                    seen.logs.add(log)
            self.changes += 1

    def leave_out(self, decided: Iterable[str]) -> None:
        """Templates that do not wait, as something was decided of them."""
        with self._turn:
            self._decided = frozenset(decided)
            for template in self._decided & self._entries.keys():
                del self._entries[template]
                del self._seen[template]
                self.changes += 1

    def templates(self) -> tuple[str, ...]:
        """All of them."""
        with self._turn:
            return tuple(self._entries)

    def most_lines(self, most: int) -> Sequence[QueueEntry]:
        """Those with most lines first."""
        with self._turn:
            every = list(self._entries.values())
        return sorted(every, key=lambda one: (-one.seen.lines, one.seen.template))[:most]

    # For the disk.

    def dump(self) -> bytes:
        """All of it as JSON."""
        with self._turn:
            return msgspec.json.encode(
                _KeptQueue(
                    templates=[_kept(one) for one in self._entries.values()], lines=self.lines, others=self.others
                )
            )

    def load(self, data: bytes) -> None:
        """What `dump` gave; ValueError where it is something else."""
        kept = msgspec.json.decode(data, type=_KeptQueue)
        with self._turn:
            self.lines = kept.lines
            self.others = kept.others
            for one in kept.templates[:MOST_TEMPLATES]:
                read = read_line(one.example)
                if read is None or read.template != one.template:
                    continue  # of a version that reads lines in another way
                slots = [SeenSlot(slot.kind, Counter(slot.values), slot.least, slot.most) for slot in one.slots]
                seen = SeenTemplate(one.template, one.lines, one.example, slots, set(one.logs))
                self._seen[one.template] = seen
                self._entries[one.template] = QueueEntry(seen=seen, first_ns=one.first_ns, last_ns=one.last_ns)


def _kept(one: QueueEntry) -> _KeptTemplate:
    seen: Any = one.seen
    return _KeptTemplate(
        template=seen.template,
        lines=seen.lines,
        example=seen.example,
        slots=[_KeptSlot(slot.kind, dict(slot.values), slot.least, slot.most) for slot in seen.slots],
        logs=sorted(seen.logs),
        first_ns=one.first_ns,
        last_ns=one.last_ns,
    )
