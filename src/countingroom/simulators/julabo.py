"""A simulated Julabo. It answers in order, one request at a time, with the delay that a fault sets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import NotFound
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Scalar
from countingroom.simulators.arguments import number, text
from countingroom.simulators.julabo_bath import Bath
from countingroom.simulators.julabo_protocol import answer, is_setting, trouble
from countingroom.simulators.serial_end import SerialEnd, end_for

_TICK_S = 0.1
_MOST_WAITING = 256
_MOST_UNFINISHED = 256


class JulaboSimulator:
    """A chiller on a pseudo terminal, or on a TCP port where the section it stands for names a `socket://`."""

    faults = (
        CommandSpec(name="drop", description="pull the cable"),
        CommandSpec(name="freeze", description="stop answering; requests wait, and are answered after restore"),
        CommandSpec(
            name="slow",
            description="take this long for every request",
            parameters=(Parameter(name="seconds", unit="s", low=0.0, high=60.0),),
        ),
        CommandSpec(name="garbage", description="answer nonsense"),
        CommandSpec(
            name="trip",
            description="stop with a fault",
            parameters=(
                Parameter(name="code", type=Type.INT, optional=True),
                Parameter(name="text", type=Type.STRING, optional=True),
            ),
        ),
        CommandSpec(name="manual", description="control is taken at the front panel"),
        CommandSpec(name="unplug", description="pull out the external Pt100"),
        CommandSpec(name="restore", description="end every fault"),
    )

    def __init__(self, parameters: Mapping[str, Any], *, clock: Clock | None = None, seed: int = 1) -> None:
        self.bath = Bath(seed=seed)
        self.requests = 0
        """Requests received so far."""
        self.settings_taken = 0
        self._clock = clock or SystemClock()
        self._end: SerialEnd = end_for(parameters, self._arrived)
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._unfinished = b""
        self._connected = True
        self._awake = asyncio.Event()
        self._slow_s = 0.0
        self._garbage = False
        self._random = random.Random(seed)  # noqa: S311
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> Mapping[str, Any]:
        address = await self._end.open()
        self._awake.set()
        self._life = asyncio.create_task(self._live())
        return {"port": address}

    async def stop(self) -> None:
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        await self._end.forget()

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        match name:
            case "drop":
                await self._end.close()
                self._connected = False
            case "freeze":
                self._awake.clear()
            case "slow":
                self._slow_s = number(arguments, "seconds")
            case "garbage":
                self._garbage = True
            case "trip":
                words = text(arguments, "text", "LOW LEVEL ALARM")
                self.bath.trip(trouble(int(number(arguments, "code", -1)), words))
            case "manual":
                self.bath.manual = True
            case "unplug":
                self.bath.sensor_plugged = False
            case "restore":
                await self._restore()
            case _:
                raise NotFound(f"a simulated Julabo has no fault {name}")

    async def _restore(self) -> None:
        self._slow_s = 0.0
        self._garbage = False
        self.bath.trouble = None
        self.bath.manual = False
        self.bath.sensor_plugged = True
        if not self._connected:
            await self._end.open()
            self._connected = True
        self._awake.set()

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pass_time())
            tasks.create_task(self._answer())

    async def _pass_time(self) -> None:
        before = self._clock.monotonic()
        while True:
            await self._clock.sleep(_TICK_S)
            now = self._clock.monotonic()
            self.bath.step(now - before)
            before = now

    async def _answer(self) -> None:
        while True:
            request = await self._waiting.get()
            await self._clock.sleep(self._slow_s)
            await self._awake.wait()
            self.settings_taken += is_setting(request)
            said = answer(self.bath, request)
            if said is not None:
                self._end.send((self._nonsense() if self._garbage else said) + b"\r\n")

    def _nonsense(self) -> bytes:
        return bytes(self._random.choice(b"#?@\x7f\x15ABC9-.") for _ in range(6))

    def _arrived(self, data: bytes) -> None:
        """Queue the requests; those beyond the bound are lost, as on a real line."""
        *requests, rest = (self._unfinished + data).split(b"\r")
        self._unfinished = rest[-_MOST_UNFINISHED:]
        self.requests += len(requests)
        for request in requests:
            if not self._waiting.full():
                self._waiting.put_nowait(request)
