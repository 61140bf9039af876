"""A simulated instrument that answers lines of text, as the table of its section describes it.

A value that is set is read back; others keep the value of their example, or of the fault `value`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

from countingroom.core.clock import Clock
from countingroom.core.errors import NotFound
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Scalar
from countingroom.simulators.arguments import text
from countingroom.simulators.request_line import FAULTS, RequestLine
from countingroom.simulators.text_instrument import Instrument

_ENDS = {"LF": "\n", "CR": "\r", "CRLF": "\r\n"}
_NONSENSE = ("#?@", "", "1.2.3", "\x7f\xff", "ERR")


class TextSimulator:
    """An instrument on a pseudo terminal, or on a TCP port where the section names a `socket://`."""

    faults = (
        *FAULTS,
        CommandSpec(name="garbage", description="answer nonsense"),
        CommandSpec(name="refuse", description="take no command, and put an error in the queue"),
        CommandSpec(
            name="value",
            description="let a value be this text of the instrument",
            parameters=(Parameter(name="name", type=Type.STRING), Parameter(name="text", type=Type.STRING)),
        ),
        CommandSpec(name="restore", description="end every fault; values stay as they are"),
    )

    def __init__(self, parameters: Mapping[str, Any], *, clock: Clock | None = None) -> None:
        """`parameters`: the section that it stands for, with its `values`."""
        table: Mapping[str, Any] = parameters if parameters.get("values") else {**_BENCH, **parameters}
        self.instrument = Instrument(table)
        self._end = _ENDS[table.get("line_end", "LF")]
        self._answer_end: str = table.get("answer_end", "") or self._end
        self._echoes = bool(table.get("echo"))
        self._garbage = False
        self._nonsense = cycle(_NONSENSE)
        self._line = RequestLine(parameters, self._end[-1:].encode(), self._answer, clock=clock)

    async def start(self) -> Mapping[str, Any]:
        return {"port": await self._line.start()}

    async def stop(self) -> None:
        await self._line.stop()

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        match name:
            case "garbage":
                self._garbage = True
            case "refuse":
                self.instrument.refuses = True
            case "value":
                value = text(arguments, "name")
                if value not in self.instrument.texts:
                    known = ", ".join(self.instrument.texts)
                    raise NotFound(f"the instrument has no value {value}", suggestion=f"choose one of {known}")
                self.instrument.texts[value] = text(arguments, "text")
            case _:
                if not await self._line.fault(name, arguments):
                    raise NotFound(f"a simulated instrument has no fault {name}")
                if name == "restore":
                    self._garbage = self.instrument.refuses = False

    def _answer(self, request: bytes) -> bytes | None:
        asked = request.decode("latin-1").strip()
        said = self.instrument.answer(asked) if asked else None
        if said is not None and self._garbage:
            said = next(self._nonsense)
        lines = [f"{asked}{self._end}"] if self._echoes else []
        if said is not None:
            lines.append(f"{said}{self._answer_end}")
        return "".join(lines).encode("latin-1") or None


_BENCH: Mapping[str, Any] = {
    "identify": {"query": "*IDN?", "reply": "COUNTINGROOM,SUPPLY"},
    "errors": {"query": "SYST:ERR?"},
    "values": {
        "voltage": {"query": "MEAS:VOLT?"},
        "set_voltage": {"query": "VOLT?", "set": "VOLT {value}", "readback": "voltage"},
        "output": {"query": "OUTP?", "set": "OUTP {value}", "type": "bool"},
    },
}
"""A bench supply, where no table is given."""
