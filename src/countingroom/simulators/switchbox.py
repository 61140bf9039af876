"""A simulated switchbox on a serial line or, where its section has `mqtt`, on a broker of its own.

It answers every request that it knows with its status, and does what it is told: the rules are those of the driver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import cycle
from typing import Any

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import NotFound, OutOfRange
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Scalar
from countingroom.simulators.own_broker import OwnBroker
from countingroom.simulators.request_line import FAULTS, RequestLine
from countingroom.simulators.switchbox_box import CHANNELS, NONSENSE, Box

_USER = "switchbox"


class SwitchboxSimulator:
    """A box of 48 channels."""

    faults = (
        *FAULTS,
        CommandSpec(name="garbage", description="answer nonsense: halves of lines, texts, impossible masks"),
        CommandSpec(name="refuse", description="take no command, and answer as if nothing was asked"),
        CommandSpec(
            name="force",
            description="switch at the box itself, also against the rules",
            parameters=(
                Parameter(name="lv", type=Type.BOOL, optional=True),
                Parameter(name="hv", type=Type.BOOL, optional=True),
                Parameter(name="channels", label="Mask, bit 0 is channel 1", type=Type.INT, optional=True),
            ),
        ),
        CommandSpec(name="restore", description="end every fault; the switches stay as they are"),
    )

    def __init__(self, parameters: Mapping[str, Any], *, clock: Clock | None = None) -> None:
        self.box = Box()
        self._garbage = False
        self._nonsense = cycle(NONSENSE)
        clock = clock or SystemClock()
        again: Mapping[str, Any] = parameters.get("again") or {}
        where: Mapping[str, Any] | None = parameters.get("mqtt")
        self._way: RequestLine | _BrokerWay = (
            RequestLine(parameters, b"\r", self._line_answer, clock=clock)
            if where is None
            else _BrokerWay(where, again.get("mqtt") or {}, self._answer, clock)
        )

    async def start(self) -> Mapping[str, Any]:
        where = await self._way.start()
        return {"port": where} if isinstance(where, str) else {"mqtt": where}

    async def stop(self) -> None:
        await self._way.stop()

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        match name:
            case "garbage":
                self._garbage = True
            case "refuse":
                self.box.refuses = True
            case "force":
                self._force(arguments)
            case _:
                if not await self._way.fault(name, arguments):
                    raise NotFound(f"a simulated switchbox has no fault {name}")
                if name == "restore":
                    self._garbage = self.box.refuses = False

    def _force(self, arguments: Mapping[str, Scalar]) -> None:
        mask = arguments.get("channels", self.box.channels)
        if not isinstance(mask, int) or not 0 <= mask < 1 << CHANNELS:
            raise OutOfRange(f"channels is a mask of {CHANNELS} bits; got {mask!r}")
        self.box.channels = mask
        self.box.lv = bool(arguments.get("lv", self.box.lv))
        self.box.hv = bool(arguments.get("hv", self.box.hv))

    def _answer(self, request: str) -> str | None:
        if not self.box.obey(request.strip()):
            return None
        return next(self._nonsense) if self._garbage else self.box.status()

    def _line_answer(self, request: bytes) -> bytes | None:
        answer = self._answer(request.decode("ascii", "replace"))
        return None if answer is None else f"{answer}\n".encode()


class _BrokerWay:
    """The box on a broker: it answers each message on the topic of commands on that of its status."""

    def __init__(self, where: Mapping[str, Any], again: Mapping[str, Any], answer: Any, clock: Clock) -> None:
        self._where = where
        self._reply = answer
        self._clock = clock
        self._slow_s = 0.0
        self._awake = asyncio.Event()
        self._awake.set()
        self._waiting: asyncio.Queue[str] = asyncio.Queue(256)
        self._own = OwnBroker(_USER, self._receive, again)
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> Mapping[str, Any]:
        self._life = asyncio.create_task(self._live())
        plain = {"password_env": "", "tls_ca": "", "version": "3.1.1", "transport": "tcp"}
        return {**self._where, **plain, **await self._own.start()}

    async def stop(self) -> None:
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        await self._own.stop()

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> bool:
        match name:
            case "drop":
                await self._own.broker.close()
            case "freeze":
                self._awake.clear()
            case "slow":
                self._slow_s = float(arguments["seconds"] or 0.0)
            case "restore":
                self._slow_s = 0.0
                await self._own.broker.open()
                self._awake.set()
            case _:
                return False
        return True

    def _receive(self, topic: str, payload: bytes) -> None:
        if topic == self._where.get("command_topic", "SB/cmd") and not self._waiting.full():
            self._waiting.put_nowait(payload.decode("ascii", "replace"))

    async def _live(self) -> None:
        while True:
            request = await self._waiting.get()
            await self._clock.sleep(self._slow_s)
            await self._awake.wait()
            if answer := self._reply(request):
                self._own.broker.publish(self._where.get("status_topic", "SB/status"), answer.encode())
