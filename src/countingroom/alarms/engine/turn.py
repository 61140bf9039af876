"""One turn of the alarm book: findings, then events of suppressions, then the time. Pure.

The keeper of the engine and a replay both use it, so the order is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from countingroom.alarms.engine.book import AlarmBook, BookChanges
from countingroom.alarms.engine.finding import Found
from countingroom.core.alarms.events import AlarmEvent

DueEvents = Callable[[AlarmBook], Mapping[str, AlarmEvent]]
"""Present book -> alarm -> the event for it."""


def turn(book: AlarmBook, found: Sequence[Found], due_events: DueEvents | None, now_ns: int) -> Iterator[BookChanges]:
    """The changes, step by step. A step is taken only when the caller asks for its changes, so the caller can save and
    publish the changes of one step before the next."""
    if found:
        yield book.take(found, now_ns)
    if due_events is not None:
        yield book.redefine(now_ns)
        yield book.command(due_events(book), now_ns, by="")
    yield book.pass_time(now_ns)
