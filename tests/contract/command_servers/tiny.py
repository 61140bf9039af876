"""The smallest department: a lamp, with no policy and no driver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress

from countingroom.bus import streams
from countingroom.bus.command_request import CommandHandler, CommandRequest, Completion, find_handler
from countingroom.bus.command_server import CommandServer
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.admission import NOTHING_TO_DO
from countingroom.core.errors import Cause, DeviceError
from countingroom.core.messages import Command, DeviceState, Link, decode
from countingroom.core.policy import Permission
from countingroom.testing.clock import FakeClock
from tests.contract.command_servers.harness import Given, Target

KEY = subjects.device_key("lamp")


class Lamp:
    """Legality and handlers of a lamp."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._handlers = {
            "on": CommandHandler(self._on, takes=("colour",)),
            "off": CommandHandler(self._off),
            "paint": CommandHandler(self._paint, takes=("colour",)),
            "blow": CommandHandler(self._blow),
            "glow": CommandHandler(self._glow),
        }
        self.state = "off"

    def handler(self, command: Command) -> CommandHandler:
        return find_handler(self._handlers, command, "the lamp")

    def permission(self, command: Command) -> Permission:
        return Permission.OPERATE

    def present(self, command: Command) -> str:
        return self.state

    def refusal(self, request: CommandRequest) -> Cause | None:
        if request.command.action != self.state:
            return None
        return Cause(code=NOTHING_TO_DO, message=f"it is {self.state} already", suggestion="nothing")

    async def settle(self) -> Mapping[str, int]:
        await self._publisher.flush()
        return {"state": self._publisher.revision}

    def _move(self, state: str) -> None:
        self.state = state
        self._publisher.state(KEY, DeviceState(device="lamp", state=state, link=Link.CONNECTED, since_ns=1))

    async def _on(self, request: CommandRequest) -> Completion:
        self._move("on")

    async def _off(self, request: CommandRequest) -> Completion:
        self._move("off")

    async def _paint(self, request: CommandRequest) -> Completion:
        request.text("colour")

    async def _blow(self, request: CommandRequest) -> Completion:
        async def fail() -> None:
            raise DeviceError("the fuse is blown")

        return fail()

    async def _glow(self, request: CommandRequest) -> Completion:
        async def glow() -> None:
            await asyncio.Event().wait()

        return glow()


class TinyTarget(Target):
    department = "lamps"
    name = "lamp"
    state = "off"
    do = Given("on")
    undo = Given("off")
    already = Given("off")
    unknown_argument = Given("on", {"volume": 1})
    missing_argument = Given("paint")
    task: asyncio.Task[None]
    publisher: Publisher

    async def is_so(self) -> bool:
        entry = await self.bus.get(subjects.STATE_BUCKET, KEY)
        return bool(entry and entry.data and decode(entry.data, DeviceState).state == "on")

    async def prepare_failure(self) -> Given:
        return Given("blow")

    async def prepare_endless(self) -> Given:
        return Given("glow")

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        await self.publisher.drain()


@asynccontextmanager
async def begin() -> AsyncGenerator[Target]:
    clock = FakeClock()
    target = TinyTarget(clock, MemoryBus(clock))
    await streams.prepare(target.bus)
    bus = target.bus.client("lamps")
    target.publisher = Publisher(bus, clock, "lamps.lamp")
    server = CommandServer(bus, clock, "lamps", "lamp", Lamp(target.publisher), target.publisher)

    async def serve() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(target.publisher.run())
            group.create_task(server.run())

    target.task = asyncio.create_task(serve())
    await clock.advance(0)
    try:
        yield target
    finally:
        await target.stop()
