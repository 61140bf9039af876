"""One turn of the book of alarms: findings, what suppressions ask for, then the time. Pure.

The keeper of the engine and a replay take their turns by it, so that the order is the same in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from countingroom.alarms.engine.book import AlarmBook, BookChanges
from countingroom.alarms.engine.finding import Found
from countingroom.core.alarms.events import AlarmEvent

DueEvents = Callable[[AlarmBook], Mapping[str, AlarmEvent]]
"""From the book as it is then to what is to be given to alarms."""


def turn(book: AlarmBook, found: Sequence[Found], due_events: DueEvents | None, now_ns: int) -> Iterator[BookChanges]:
    """What changed, step by step. Each step is taken when the changes of the one before have been asked for."""
    if found:
        yield book.take(found, now_ns)
    if due_events is not None:
        yield book.redefine(now_ns)
        yield book.command(due_events(book), now_ns, by="")
    yield book.pass_time(now_ns)
