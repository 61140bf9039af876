"""A simulated device with an SNMP agent, as the table of its section describes it.

A value that is set is read back; others keep their first value, or that of the fault `value`. The agent speaks versions
1 and 2c with the community `public`: a section of version 3 is simulated with version 2c, so that no secret is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import LinkError, NotFound
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.snmp.ber import BerError
from countingroom.core.snmp.pdu import RESPONSE, decode_message, encode_message
from countingroom.core.values import Scalar
from countingroom.simulators.arguments import number, text
from countingroom.simulators.snmp_agent import Agent

_HOST = "127.0.0.1"
_COMMUNITY = b"public"
_NAME = Parameter(name="name", type=Type.STRING)

_UPS: Mapping[str, Any] = {
    "values": {
        "charge": {"oid": "1.3.6.1.2.1.33.1.2.4.0", "type": "int", "warning_low": 50, "warning_high": 150},
        "name": {"oid": "1.3.6.1.2.1.33.1.1.5.0", "type": "string", "writable": True},
    }
}
"""A UPS, where no table is given."""


class SnmpSimulator:
    """An agent on a UDP port of loopback."""

    faults = (
        CommandSpec(name="drop", description="close the port"),
        CommandSpec(name="freeze", description="answer nothing; requests are lost"),
        CommandSpec(
            name="slow",
            description="take this long for every answer",
            parameters=(Parameter(name="seconds", unit="s", low=0.0, high=60.0),),
        ),
        CommandSpec(name="refuse", description="take no value"),
        CommandSpec(name="missing", description="a value is not there any more", parameters=(_NAME,)),
        CommandSpec(name="restart", description="begin the time of the agent (sysUpTime) again"),
        CommandSpec(
            name="value",
            description="let a value be this, as the agent has it; 0x80 is a byte of an OctetString",
            parameters=(_NAME, Parameter(name="text", type=Type.STRING)),
        ),
        CommandSpec(name="restore", description="end every fault; values stay as they are"),
    )

    def __init__(self, parameters: Mapping[str, Any], *, clock: Clock | None = None) -> None:
        """`parameters`: the section that it stands for, with its `values`."""
        table = parameters if parameters.get("values") else _UPS
        self.agent = Agent(table)
        self._version = "1" if table.get("version") == "1" else "2c"
        self._clock = clock or SystemClock()
        again: Mapping[str, Any] = parameters.get("again") or {}
        self._port = int(again.get("port", 0))
        self._transport: asyncio.DatagramTransport | None = None
        self._started = self._clock.monotonic()
        self._is_frozen = False
        self._slow_s = 0.0
        self._answers: set[asyncio.Task[None]] = set()
        self.requests = 0

    async def start(self) -> Mapping[str, Any]:
        """Listen; the keys of the section that lead here."""
        await self._open()
        return {
            "host": _HOST,
            "port": self._port,
            "version": self._version,
            "community": None,
            "write_community": None,
        }

    async def stop(self) -> None:
        """Close the port."""
        self._close()
        for task in self._answers:
            task.cancel()
        if self._answers:
            await asyncio.wait(self._answers)

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        """Make it happen."""
        match name:
            case "drop":
                self._close()
            case "freeze":
                self._is_frozen = True
            case "slow":
                self._slow_s = number(arguments, "seconds")
            case "refuse":
                self.agent.refuses = True
            case "missing":
                self.agent.missing.add(self.agent.oid(self._name(arguments)))
            case "restart":
                self._started = self._clock.monotonic()
            case "value":
                self.agent.put(self._name(arguments), text(arguments, "text"))
            case "restore":
                self.agent.refuses = self._is_frozen = False
                self.agent.missing.clear()
                self._slow_s = 0.0
                await self._open()
            case _:
                known = ", ".join(fault.name for fault in self.faults)
                raise NotFound(f"a simulated agent has no fault {name}", suggestion=f"choose one of {known}")

    def _name(self, arguments: Mapping[str, Scalar]) -> str:
        name = text(arguments, "name")
        if name not in self.agent.names:
            known = ", ".join(self.agent.names)
            raise NotFound(f"the agent has no value {name}", suggestion=f"choose one of {known}")
        return name

    async def _open(self) -> None:
        if self._transport is not None:
            return
        try:
            self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Port(self), local_addr=(_HOST, self._port)
            )
        except OSError as error:
            raise LinkError(f"cannot listen on port {self._port}: {error.strerror}") from error
        self._port = self._transport.get_extra_info("sockname")[1]

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def received(self, data: bytes, sender: Any) -> None:
        """A datagram came."""
        self.requests += 1
        if self._is_frozen:
            return
        task = asyncio.get_running_loop().create_task(self._answer(data, sender))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _answer(self, data: bytes, sender: Any) -> None:
        try:
            version, community, request = decode_message(data)
        except BerError:
            return
        if community != _COMMUNITY or request.kind == RESPONSE:
            return
        if self._slow_s:
            await self._clock.sleep(self._slow_s)
        self.agent.ticks = int((self._clock.monotonic() - self._started) * 100)
        answer = self.agent.answer(version, request)
        if self._transport is not None:
            self._transport.sendto(encode_message(version, community, answer), sender)


class _Port(asyncio.DatagramProtocol):
    def __init__(self, simulator: SnmpSimulator) -> None:
        self._simulator = simulator

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._simulator.received(data, addr)
