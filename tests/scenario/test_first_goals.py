"""A described goal is commanded until it is accepted, once, and leaves no user in control."""

from __future__ import annotations

import asyncio

from countingroom.app.first_goals import LONGEST_S, request_first_goals
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.errors import Cause
from countingroom.core.messages import Command, Reply, decode, encode
from countingroom.testing.clock import FakeClock


class Partition:
    """Refuses the first so many commands."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.taken: list[Command] = []

    async def answer(self, message: Message) -> bytes:
        command = decode(message.data, Command)
        if self.refuses:
            self.refuses -= 1
            return encode(Reply(id=command.id, accepted=False, cause=Cause(code="looking", message="not yet")))
        self.taken.append(command)
        return encode(Reply(id=command.id, accepted=True))


async def test_a_goal_is_asked_for_until_it_is_taken() -> None:
    clock = FakeClock()
    bus, partition = MemoryBus(clock), Partition(refuses=3)
    asking = asyncio.ensure_future(request_first_goals(bus, clock, {"mCBM": "Recording"}))
    await clock.advance(2.0)
    assert not asking.done(), "nobody owns it yet"
    async with bus.respond(subjects.commands_to("runs", "mCBM"), partition.answer):
        await clock.advance(5.0)
        await asking
    assert [command.action for command in partition.taken] == ["goal", "release_control"]
    assert partition.taken[0].arguments == {"state": "Recording"}


async def test_a_partition_that_never_takes_it_is_left_where_it_is() -> None:
    clock = FakeClock()
    bus, partition = MemoryBus(clock), Partition(refuses=1_000_000)
    async with bus.respond(subjects.commands_to("runs", "mCBM"), partition.answer):
        asking = asyncio.ensure_future(request_first_goals(bus, clock, {"mCBM": "Recording"}))
        await clock.advance(LONGEST_S + 1.0)
        await asking
    assert partition.taken == []
