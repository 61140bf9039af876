"""What the contract of the command server needs of a department."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.messages import Command, Event, EventKind, Reply, decode, encode
from countingroom.core.values import Scalar
from countingroom.testing.clock import FakeClock


class Given(Struct, frozen=True):
    """A command as a test gives it."""

    action: str
    arguments: dict[str, Scalar] = {}
    channel: str = ""


class Target:
    """A running target of commands. The state it is in at the start is `state`."""

    department: str
    name: str
    state: str
    do: Given
    """Done within seconds; `is_so` is then true."""
    undo: Given
    """The opposite, done within seconds."""
    already: Given
    """What is so at the start."""
    unknown_argument: Given
    missing_argument: Given

    def __init__(self, clock: FakeClock, bus: MemoryBus) -> None:
        self.clock = clock
        self.bus = bus
        self._ids = itertools.count(1)

    async def is_so(self) -> bool:
        """Whether the state on the bus shows what `do` led to."""
        raise NotImplementedError

    async def prepare_failure(self) -> Given:
        """A command that is accepted and then FAILED."""
        raise NotImplementedError

    async def prepare_endless(self) -> Given:
        """A command that is carried out for longer than the target lives."""
        raise NotImplementedError

    async def stop(self) -> None:
        """End the target."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        return subjects.command("local", self.department, self.name)

    async def request(self, data: bytes) -> Reply:
        asking = asyncio.create_task(self.bus.request(self.subject, data, timeout_s=60.0))
        for _ in range(100):
            if asking.done():
                break
            await self.clock.advance(0.05)
        return decode((await asking).data, Reply)

    def command(self, given: Given, **more: object) -> Command:
        now_ns = self.clock.now_ns()
        fields = {
            "id": f"g{next(self._ids)}",
            "action": given.action,
            "arguments": given.arguments,
            "channel": given.channel,
            "issued_ns": now_ns,
            "deadline_ns": now_ns + 60_000_000_000,
            **more,
        }
        return Command(**fields)  # type: ignore[arg-type]

    async def give(self, given: Given, **more: object) -> Reply:
        return await self.request(encode(self.command(given, **more)))

    async def events(self, *kinds: EventKind) -> list[Event]:
        of_target = subjects.event(self.department, self.name)
        async with self.bus.replay(subjects.EVENTS_STREAM, subjects=of_target, follow=False) as stored:
            found = [decode(one.data, Event) async for one in stored]
        return [event for event in found if event.kind in kinds]

    async def ends(self, command_id: str) -> list[Event]:
        found = await self.events(EventKind.DONE, EventKind.FAILED)
        return [event for event in found if event.command_id == command_id]

    async def end(self, given: Given, **more: object) -> Event:
        """Give a command and wait for its closing event."""
        reply = await self.give(given, **more)
        assert reply.accepted, str(reply.cause)
        for _ in range(400):
            if found := await self.ends(reply.id):
                return found[0]
            await self.clock.advance(0.05)
        raise AssertionError(f"{given.action} has no end")


class Begin(Protocol):
    """Runs a target while entered."""

    def __call__(self) -> AbstractAsyncContextManager[Target]: ...
