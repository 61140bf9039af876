"""The state of a partition is published when it has changed; an unchanged one rarely, and always when that is asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from msgspec import structs

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.messages import decode
from countingroom.core.partitions import PartitionState
from countingroom.runs.partition.state_publisher import REPEAT_S, StatePublisher
from countingroom.testing.clock import FakeClock
from tests.console.runs_stage import CHART

STATE = PartitionState(partition="mCBM", template="cbm", state="Active", since_ns=1, chart=CHART)


class Stage:
    """A publisher whose lease is held."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.state = STATE
        context = SimpleNamespace(bus=self.bus.client(), clock=self.clock)
        self.publisher = StatePublisher(cast(Any, context), "mCBM", cast(Any, self), lambda: self.state)

    async def held(self) -> None:
        """As `Leadership.held`."""

    async def changed(self) -> int:
        """Tell the publisher of a change; the revision of the key after that."""
        self.publisher.changed()
        await self.clock.advance(0.1)
        return await self.revision()

    async def revision(self) -> int:
        entry = await self.bus.get(subjects.STATE_BUCKET, subjects.partition_key("mCBM"))
        assert entry and entry.data
        assert decode(entry.data, PartitionState) == self.state
        return entry.revision


async def test_an_unchanged_state_is_published_again_only_after_a_while() -> None:
    on = Stage()
    await prepare(on.bus)
    running = asyncio.create_task(on.publisher.run())
    await on.clock.advance(0)
    first = await on.revision()
    assert await on.changed() == first
    on.state = structs.replace(STATE, state="Recording")
    second = await on.changed()
    assert second > first
    assert await on.changed() == second
    await on.clock.advance(REPEAT_S)
    assert await on.revision() == second, "no change is told"
    assert await on.changed() > second
    running.cancel()


async def test_a_state_that_is_to_be_shown_now_is_published_although_it_is_unchanged() -> None:
    on = Stage()
    await prepare(on.bus)
    await on.publisher.settle()
    first = await on.revision()
    on.publisher.changed()
    await on.publisher.settle()
    assert await on.revision() == on.publisher.revision == first
    await on.publisher.show()
    assert await on.revision() == on.publisher.revision > first
