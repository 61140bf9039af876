"""Rows of the history that the keeper told of are planned from once, and are bounded."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from countingroom.alarms.notify.heard_rows import HEARD, HeardRows
from countingroom.alarms.notify.notifier import Notifier
from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.states import BaseState
from countingroom.core.notify.routes import NotifySpec
from countingroom.core.notify.texts import Wording
from countingroom.testing.clock import FakeClock
from tests.memory_outbox import MemoryOutbox


def row(number: int) -> AlarmEntry:
    return AlarmEntry(
        sequence=number,
        time_ns=number,
        alarm="a",
        kind=HistoryKind.ANNOUNCED,
        occurrence=number,
        base=BaseState.UNACKNOWLEDGED,
        priority=1,
    )


def test_a_row_that_was_given_before_is_left_out_when_it_is_read() -> None:
    rows = HeardRows()
    rows.unsaved([row(1)])
    assert rows.take() == [row(1)]
    assert rows.take() == []
    rows.saved([row(1), row(2)])
    assert rows.read([row(1), row(2)], rows.keys(), is_whole=True) == [row(2)]
    assert len(rows) == 0


def test_a_row_that_the_database_does_not_have_is_given_after_all_others() -> None:
    rows = HeardRows()
    rows.unsaved([row(2)])
    assert rows.read([row(1)], rows.keys(), is_whole=False) == [row(1)]
    assert rows.read([], rows.keys(), is_whole=True) == [row(2)]


def test_the_oldest_are_forgotten_and_that_is_known() -> None:
    rows = HeardRows()
    rows.unsaved(row(number) for number in range(HEARD))
    assert not rows.has_lost
    rows.unsaved([row(HEARD)])
    assert (len(rows), rows.has_lost) == (HEARD, True)
    assert rows.take()[0] == row(1)


async def test_an_engine_that_began_without_the_database_says_so() -> None:
    clock = FakeClock()
    people = Notifier(
        NotifySpec(),
        Wording(experiment="bench"),
        MemoryOutbox(clock),
        None,
        clock,
        find=lambda _: None,
        present=(),
        stored=lambda: None,
    )
    running = asyncio.create_task(people.run())
    await clock.advance(5)
    (trouble,) = people.troubles()
    assert trouble.startswith("the database has not answered since this alarm process began: people are told of alarms")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
