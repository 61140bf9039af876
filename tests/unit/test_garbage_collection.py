"""What refers to itself goes at the set time, and a burst of new objects brings no look through everything."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from contextlib import suppress

import pytest

from countingroom.app.garbage_collection import SETTLED_S, WHOLE_S, collect
from countingroom.testing.clock import FakeClock


class Ring:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


async def test_everything_is_looked_through_at_the_set_time_and_not_in_a_burst() -> None:
    clock = FakeClock()
    task = asyncio.create_task(collect(clock))
    await clock.advance(0)
    ring = Ring()
    gone = weakref.ref(ring)
    gc.collect(1)  # it is old now
    del ring
    whole = gc.get_stats()[2]["collections"]
    burst = [[number] for number in range(400_000)]
    assert gc.get_stats()[2]["collections"] == whole
    assert gone() is not None
    await clock.advance(WHOLE_S)
    assert gone() is None
    assert len(burst) == 400_000
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_what_a_process_has_since_its_start_is_not_looked_through_again_and_later_rings_go() -> None:
    clock = FakeClock()
    task = asyncio.create_task(collect(clock))
    frozen = gc.get_freeze_count()
    await clock.advance(SETTLED_S)
    assert gc.get_freeze_count() > frozen + 1000
    gone = weakref.ref(Ring())
    assert gone() is not None
    await clock.advance(WHOLE_S)
    assert gone() is None
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_the_first_collection_looks_only_at_what_came_after_the_start() -> None:
    """With the modules it took 80 ms, in which the console answered nothing."""
    clock = FakeClock()
    before = [["of a module"]]
    task = asyncio.create_task(collect(clock))
    await clock.advance(0)
    after = [["of a role"]]
    looked_at = gc.get_objects()
    assert not any(one is before for one in looked_at)
    assert any(one is after for one in looked_at)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
