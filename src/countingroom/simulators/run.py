"""The child process of a simulator: one JSON line for each message; it ends with its parent.

    python -m countingroom.simulators.run KIND

The first line in holds the parameters: the device's section as JSON, or `{}`. The first line out is `{"ready": {...}}`
with the keys of the section that now point at the simulator, or `{"refused": cause}`. Then each
`{"fault": name, "arguments": {...}}` is answered by `{"done": name}` or `{"refused": cause}`. The process ends when its
input ends (so also when the parent is killed) or on SIGTERM. SIGINT is ignored: Ctrl-C reaches the whole process group,
and the parent decides the order in which processes end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import msgspec

from countingroom.core.arguments import checked
from countingroom.core.clock import timeout
from countingroom.core.errors import Cause, ConfigurationError, CountingRoomError, RequestError
from countingroom.core.messages import CommandSpec
from countingroom.core.values import Scalar
from countingroom.simulators.port import Simulator

Factory = Callable[[Mapping[str, Any]], Simulator]
Answer = Callable[[Mapping[str, object]], None]

FAULT_DEADLINE_S = 10.0
_LINE_LIMIT = 1 << 24


def _in_module(module: str, name: str) -> Factory:
    """A simulator of this package, imported at its first use."""

    def create(parameters: Mapping[str, Any]) -> Simulator:
        return _class(module, name)(parameters)

    return create


def _class(module: str, name: str) -> Any:
    return getattr(import_module(f"countingroom.simulators.{module}"), name)


_PLACES = {
    "caen": ("caen", "CaenSimulator"),
    "dqm": ("dqm", "DqmSimulator"),
    "epics": ("epics", "EpicsSimulator"),
    "julabo": ("julabo", "JulaboSimulator"),
    "marta": ("marta", "MartaSimulator"),
    "modbus": ("modbus", "ModbusSimulator"),
    "secop": ("secop", "SecopSimulator"),
    "sensors": ("sensors", "SensorSimulator"),
    "snmp": ("snmp", "SnmpSimulator"),
    "switchbox": ("switchbox", "SwitchboxSimulator"),
    "text": ("text", "TextSimulator"),
}

KINDS: dict[str, Factory] = {kind: _in_module(*place) for kind, place in _PLACES.items()}
"""Kind -> its factory."""


def faults(kind: str) -> tuple[CommandSpec, ...]:
    """The faults of a kind, without making a simulator."""
    return _class(*_PLACES[kind]).faults


class _Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One line in."""

    fault: str
    arguments: dict[str, Scalar] = {}


async def serve(factory: Factory, lines: asyncio.StreamReader, answer: Answer) -> int:
    """Run one simulator to the end of the input; returns the exit status."""
    try:
        simulator = factory(_parameters(await lines.readline()))
    except CountingRoomError as error:
        answer({"refused": error.cause})
        return 1
    try:
        answer({"ready": await simulator.start()})
        while line := await lines.readline():
            answer(await _provoke(simulator, line))
    except CountingRoomError as error:
        answer({"refused": error.cause})
        return 1
    finally:
        await simulator.stop()
    return 0


def _parameters(line: bytes) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(line or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"the parameters are no JSON object: {error}") from error


async def _provoke(simulator: Simulator, line: bytes) -> dict[str, object]:
    """Provoke one fault and return the answer."""
    try:
        wanted = msgspec.json.decode(line, type=_Fault)
    except msgspec.DecodeError as error:
        return {"refused": RequestError(f"not a fault: {error}").cause}
    refusal = await provoke(simulator, wanted.fault, wanted.arguments)
    return {"refused": refusal} if refusal else {"done": wanted.fault}


async def provoke(simulator: Simulator, fault: str, arguments: Mapping[str, Scalar]) -> Cause | None:
    """Provoke one fault, within FAULT_DEADLINE_S. Returns the Cause of a refusal, None where there is none."""
    # The arguments as the fault declares them; an unknown fault is refused by the simulator itself.
    spec = next((one for one in simulator.faults if one.name == fault), None)
    try:
        async with timeout(FAULT_DEADLINE_S):
            await simulator.fault(fault, checked(spec, arguments) if spec else arguments)
    except TimeoutError:
        return Cause(
            code="not_in_time", message=f"the fault took longer than {FAULT_DEADLINE_S:g} s", suggestion="try again"
        )
    except CountingRoomError as error:
        return error.cause
    return None


async def _child(kind: str) -> int:
    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    this = asyncio.current_task()
    if this is not None:
        for end in (signal.SIGTERM, signal.SIGHUP):  # of the supervisor, and of a closed terminal
            loop.add_signal_handler(end, this.cancel)
    lines = asyncio.StreamReader(limit=_LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    try:
        return await serve(KINDS[kind], lines, _private_output())
    except asyncio.CancelledError:
        return 0


def _private_output() -> Answer:
    """The answers go to stdout; output that libraries print is redirected to stderr."""
    stream = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def answer(message: Mapping[str, object]) -> None:
        stream.write(msgspec.json.encode(message) + b"\n")

    return answer


def main() -> int:
    """The child process."""
    if len(sys.argv) != 2 or sys.argv[1] not in KINDS:
        sys.stderr.write(f"usage: python -m countingroom.simulators.run {'|'.join(KINDS)}\n")
        return 2
    return asyncio.run(_child(sys.argv[1]))


if __name__ == "__main__":
    raise SystemExit(main())
