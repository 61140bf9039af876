"""The line of a simulated device that answers requests, in order and one at a time, with the faults of every line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.values import Scalar
from countingroom.simulators.arguments import number
from countingroom.simulators.serial_end import end_for

_MOST_WAITING = 256
_MOST_UNFINISHED = 1024

Answer = Callable[[bytes], bytes | None]

FAULTS = (
    CommandSpec(name="drop", description="pull the cable"),
    CommandSpec(name="freeze", description="stop answering; requests wait, and are answered after restore"),
    CommandSpec(
        name="slow",
        description="take this long for every request",
        parameters=(Parameter(name="seconds", unit="s", low=0.0, high=60.0),),
    ),
)


class RequestLine:
    """A pseudo terminal, or a TCP port where the section it stands for names a `socket://`."""

    def __init__(
        self, parameters: Mapping[str, Any], end: bytes, answer: Answer, *, clock: Clock | None = None
    ) -> None:
        """`end`: the last byte of a request; `answer` gets a request without it and returns all that is sent."""
        self._end_of_request = end
        self._reply = answer
        self._clock = clock or SystemClock()
        self._line = end_for(parameters, self._arrived)
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._unfinished = b""
        self._connected = True
        self._awake = asyncio.Event()
        self._slow_s = 0.0
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Open the line; its address."""
        address = await self._line.open()
        self._awake.set()
        self._life = asyncio.create_task(self._answer())
        return address

    async def stop(self) -> None:
        """Close the line and free its address."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        await self._line.forget()

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> bool:
        """Cause one of FAULTS, or end all of them (`restore`). False for any other name."""
        match name:
            case "drop":
                await self._line.close()
                self._connected = False
            case "freeze":
                self._awake.clear()
            case "slow":
                self._slow_s = number(arguments, "seconds")
            case "restore":
                self._slow_s = 0.0
                if not self._connected:
                    await self._line.open()
                    self._connected = True
                self._awake.set()
            case _:
                return False
        return True

    async def _answer(self) -> None:
        while True:
            request = await self._waiting.get()
            await self._clock.sleep(self._slow_s)
            await self._awake.wait()
            if said := self._reply(request):
                self._line.send(said)

    def _arrived(self, data: bytes) -> None:
        """Queue the requests; those beyond the bound are lost, as on a real line."""
        *requests, rest = (self._unfinished + data).split(self._end_of_request)
        self._unfinished = rest[-_MOST_UNFINISHED:]
        for request in requests:
            if not self._waiting.full():
                self._waiting.put_nowait(request)
