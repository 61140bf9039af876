"""Fills gaps of a further store from the raw samples of the default store, if the stream no longer has the messages.

The default store does not know the message of a sample. So all samples since the position of the further store are
compared with it, and existing ones are not stored again. The position moves only at the end: an attempt that fails is
repeated as a whole, and does not change existing samples.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import numpy as np
from msgspec import Struct

from countingroom.bus.port import Bus, Stored
from countingroom.core import subjects
from countingroom.history.columns import empty
from countingroom.history.messages import pages
from countingroom.history.port import HistoryStore, Position
from countingroom.history.stores.port import FurtherStore

LATE_NS = 6 * 3_600_000_000_000
"""Samples this much older than the position are compared too: a host may have sent them late, with old times."""
PAGE = 50_000
"""Samples that are compared together."""


class Lost(Struct, frozen=True, kw_only=True):
    """A range of time whose data neither the bus nor the default store has any more."""

    from_ns: int
    to_ns: int
    messages: int = 0
    """The number of messages; 0: unknown."""


class Resumption(Struct, frozen=True, kw_only=True):
    """The position from which following continues."""

    position: Position
    """The store has everything up to here."""
    known_to: int
    """Messages up to this number may be in the store already."""
    lost: tuple[Lost, ...] = ()


async def follows(bus: Bus, position: Position, newest: Position) -> bool:
    """Whether the stream has all messages after this position. `newest`: the position of the default store; a new store
    gets the past of the default store too."""
    first = await first_from(bus, max(1, position.sequence))
    if position.sequence == 0:
        lacks_past = position.stored_ns < newest.stored_ns and (first is None or position.stored_ns == 0)
        return not lacks_past and (first is None or first.sequence == 1)
    if first is None:
        return False  # the stream ends before the position: it was created again
    if first.sequence == position.sequence:
        return first.stored_ns == position.stored_ns
    return first.sequence == position.sequence + 1 and first.stored_ns >= position.stored_ns


async def first_from(bus: Bus, sequence: int) -> Stored | None:
    """The first message that the stream has from this number on."""
    async with bus.replay(subjects.READINGS_STREAM, from_sequence=sequence, follow=False) as stored:
        async for message in stored:
            return message
    return None


async def catch_up(
    bus: Bus,
    default: HistoryStore,
    store: FurtherStore,
    position: Position,
    in_thread: Callable[[Callable[[], int]], Awaitable[int]],
    *,
    most: Callable[[], int] = lambda: PAGE,
) -> Resumption:
    """Fill the store from the default store. `in_thread` runs a call to the store, and gives the samples it took.
    `most`: how many a call may have now, up to PAGE."""
    before = default.position()
    start_ns = max(0, position.stored_ns - LATE_NS)
    found = pages(default, tuple(default.points()), start_ns, 2**62, most=PAGE)
    rest = empty()

    def fill() -> int:
        nonlocal rest
        if not len(rest):
            rows, _ = next(found, (None, 0))
            if rows is None:
                return -1
            rest = rows
        some = rest.chosen(np.arange(min(most(), len(rest))))
        store.fill(some)
        rest = rest.chosen(np.arange(len(some), len(rest)))
        return len(some)

    while await in_thread(fill) >= 0:
        pass
    lost: list[Lost] = []
    kept_ns = default.horizon().raw_ns
    if 0 < position.stored_ns < kept_ns:
        lost.append(Lost(from_ns=position.stored_ns, to_ns=kept_ns))
    known_to = 0
    if await follows(bus, before, before):
        reached = before
    else:
        complete = max(before, position, key=lambda one: one.stored_ns)
        first = await first_from(bus, 1)
        if first is None:
            reached = Position(sequence=0, stored_ns=complete.stored_ns)
        else:
            reached = Position(sequence=first.sequence - 1, stored_ns=min(complete.stored_ns, first.stored_ns))
            if first.sequence > complete.sequence and first.stored_ns > complete.stored_ns and complete.sequence:
                gap = first.sequence - 1 - complete.sequence
                lost.append(Lost(from_ns=complete.stored_ns, to_ns=first.stored_ns, messages=gap))
            else:
                # The stream was created again, or lost its end in a power cut: its numbers cannot be compared.
                known_to = await _last_number(bus)
    after = default.position()
    if await follows(bus, after, after):
        known_to = max(known_to, after.sequence)
    return Resumption(position=reached, known_to=max(known_to, reached.sequence), lost=tuple(lost))


async def _last_number(bus: Bus) -> int:
    async with bus.replay(subjects.READINGS_STREAM, last_per_subject=True, follow=False) as stored:
        return max([message.sequence async for message in stored], default=0)
