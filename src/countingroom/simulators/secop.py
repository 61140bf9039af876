"""A simulated SECoP node, with the modules of its section: a target is reached at the next tick, other values stay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import NotFound, OutOfRange
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Scalar
from countingroom.simulators.arguments import text
from countingroom.simulators.secop_node import DEFAULT_MODULES, SecopNode
from countingroom.simulators.tcp_server import HOST, TcpServer

_TICK_S = 0.2
_PARAMETER = Parameter(name="parameter", type=Type.STRING)


class SecopSimulator:
    """A node on a TCP port of loopback."""

    faults = (
        CommandSpec(name="drop", description="end the connections and refuse new ones"),
        CommandSpec(name="freeze", description="stop answering; requests are answered after restore"),
        CommandSpec(name="refuse", description="take no value and no command"),
        CommandSpec(
            name="error",
            description="let a parameter (`cryo:value`) have an error in place of a value",
            parameters=(_PARAMETER, Parameter(name="text", type=Type.STRING)),
        ),
        CommandSpec(
            name="value",
            description='let a parameter be this JSON value; a status is [400, "no helium"]',
            parameters=(_PARAMETER, Parameter(name="json", type=Type.STRING)),
        ),
        CommandSpec(name="restore", description="end every fault; values stay as they are"),
    )

    def __init__(self, parameters: Mapping[str, Any], *, clock: Clock | None = None) -> None:
        """`parameters`: the section that it stands for."""
        self._clock = clock or SystemClock()
        self.node = SecopNode(parameters.get("modules") or DEFAULT_MODULES, parameters.get("equipment_id", ""))
        again: Mapping[str, Any] = parameters.get("again") or {}
        self._tick_s = float(parameters.get("tick_s") or _TICK_S)
        self._server = TcpServer(self._serve, int(again.get("port", 0)))
        self._listening: set[asyncio.StreamWriter] = set()
        self._awake = asyncio.Event()
        self._awake.set()
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> Mapping[str, Any]:
        """Listen; the host and port of the section."""
        port = await self._server.open()
        self._life = asyncio.create_task(self._live())
        return {"host": HOST, "port": port}

    async def stop(self) -> None:
        """End the server."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
            self._life = None
        await self._server.close()

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        """Make it happen."""
        self.node.stamp_s = self._clock.now_ns() / 1e9
        match name:
            case "drop":
                await self._server.close()
            case "freeze":
                self._awake.clear()
            case "refuse":
                self.node.refuses = True
            case "error":
                parameter = self._parameter(arguments)
                self.node.errors[parameter] = ["HardwareError", text(arguments, "text"), {"t": self.node.stamp_s}]
                self._tell(self.node.update(parameter))
            case "value":
                try:
                    value = json.loads(text(arguments, "json"))
                except ValueError as error:
                    raise OutOfRange(f"the value is no JSON: {error}", code="wrong_type") from error
                self._tell(self.node.set(self._parameter(arguments), value))
            case "restore":
                self.node.refuses = False
                mended = list(self.node.errors)
                self.node.errors.clear()
                for parameter in mended:
                    self._tell(self.node.update(parameter))
                self._awake.set()
                await self._server.open()
            case _:
                known = ", ".join(fault.name for fault in self.faults)
                raise NotFound(f"a simulated node has no fault {name}", suggestion=f"choose one of {known}")

    def _parameter(self, arguments: Mapping[str, Scalar]) -> str:
        parameter = text(arguments, "parameter")
        if parameter not in self.node.values:
            known = ", ".join(self.node.values)
            raise NotFound(f"the node has no parameter {parameter}", suggestion=f"choose one of {known}")
        return parameter

    async def _live(self) -> None:
        while True:
            await self._clock.sleep(self._tick_s)
            if self._awake.is_set():
                self.node.stamp_s = self._clock.now_ns() / 1e9
                for line in self.node.arrive():
                    self._tell(line)

    def _tell(self, line: str) -> None:
        for writer in self._listening if self._awake.is_set() else ():
            writer.write(f"{line}\n".encode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, ValueError):
                while line := await reader.readline():
                    await self._awake.wait()
                    self.node.stamp_s = self._clock.now_ns() / 1e9
                    request = line.decode(errors="replace").strip()
                    for is_for_all, said in self.node.answer(request):
                        if is_for_all:
                            self._tell(said)
                        else:
                            writer.write(f"{said}\n".encode())
                    if request == "activate":
                        self._listening.add(writer)
        finally:
            self._listening.discard(writer)
