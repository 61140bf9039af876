"""What tests of the mirror have in common: commands to it, and a console with a part of it behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from fastapi import FastAPI

from countingroom.bus.memory.bus import MemoryBus
from countingroom.console.app import create
from countingroom.console.command_client import send_and_wait
from countingroom.core.clock import Clock, SystemClock
from countingroom.core.messages import Command
from countingroom.core.values import Scalar
from tests.console.served import served
from tests.console.stage import stage
from tests.patience import PATIENCE_S


class MirrorPart(Protocol):
    """A service of the mirror."""

    def runs(self) -> AbstractAsyncContextManager[Any]:
        """Runs it."""
        ...


Part = TypeVar("Part", bound=MirrorPart)


async def give(bus: MemoryBus, clock: Clock, target: str, action: str, by: str, arguments: Mapping[str, Scalar]) -> str:
    """Give a command to the mirror. The code of the refusal or failure; empty where it was done."""
    command = Command(
        id=uuid4().hex,
        action=action,
        arguments=dict(arguments),
        issued_ns=clock.now_ns(),
        deadline_ns=clock.now_ns() + 10**10,
    )
    reply, event = await send_and_wait(bus, clock, "mirror", target, command, PATIENCE_S, user=by)
    if not reply.accepted:
        assert reply.cause
        return reply.cause.code
    assert event is not None
    return "" if event.cause is None else event.cause.code


@contextmanager
def mirror_console(
    part: Callable[[MemoryBus, Clock], Part], begin: Callable[[Part], Awaitable[None]]
) -> Generator[tuple[str, Part]]:
    """The address of a console without a login, and the part of the mirror behind it. `begin`: what it has then."""

    @asynccontextmanager
    async def made() -> AsyncGenerator[tuple[FastAPI, Part]]:
        async with stage(SystemClock(), play=False) as here:
            inside = part(here.bus, here.clock)
            async with inside.runs():
                await begin(inside)
                yield create(here.bus.client(), here.clock, title="Test stand", version="0.0.1", tick_s=0.05), inside

    with served(made) as found:
        yield found
