"""A simulated IOC made from a table of points: numbers vary, written values are kept, readbacks follow them.

Parameters are `prefix` and `values` of an `epics` section. A number varies about the middle of its limits (or 20
without limits); a value that is the `readback` of a written one follows it with a lag, or at the speed of its `rate`.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping
from typing import Any

from countingroom.core.errors import NotFound
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Scalar
from countingroom.simulators.ioc import IOC_FAULTS, Ioc, provoke
from countingroom.simulators.ioc_server import IocRecord

DEFAULT_VALUES: dict[str, Any] = {
    "temperature": {"pv": "temperature", "unit": "degC", "warning_high": 40.0},
    "setpoint": {"pv": "setpoint", "unit": "degC", "writable": True, "write_low": -30.0, "write_high": 30.0},
}
_LIMITS = ("alarm_low", "warning_low", "warning_high", "alarm_high", "write_low", "write_high")
_DRIVE_LIMITS = {"write_low": -100.0, "write_high": 100.0}
"""Limits of a setpoint of which the table leaves them to the IOC."""
_LAG_S = 2.0


class _Value:
    """One value of the table: what it is now, and what it tends to."""

    def __init__(self, pv: str, table: Mapping[str, Any], noise: random.Random) -> None:
        self.pv = pv
        self.kind = str(table.get("type") or "float")
        words: Mapping[str, Any] = table.get("words") or {}
        self.words = list(words)
        self.writable = bool(table.get("writable"))
        self.unit = str(table.get("unit") or "")
        self.rate = str(table.get("rate") or "")
        self.follows: _Value | None = None
        limits = [float(table[key]) for key in _LIMITS if table.get(key) is not None]
        self.drive_limits = tuple(
            default if table.get(key) is None else float(table[key]) for key, default in _DRIVE_LIMITS.items()
        )
        self._middle = sum(limits) / len(limits) if limits else 20.0
        self._sigma = max(float(table.get("deadband") or 0) * 2, abs(self._middle) * 0.002, 0.01)
        self._noise = noise
        self.value: float | int | str = self._first()
        self.broken = False

    def _first(self) -> float | int | str:
        if self.kind == "string" and not self.words:
            return ""
        return self._middle if self.kind == "float" and not self.words else 0

    def record(self) -> IocRecord:
        kind = "enum" if self.words or self.kind == "bool" else self.kind
        choices = tuple(self.words) or (("false", "true") if self.kind == "bool" else ())
        is_number = kind in {"float", "int"}
        low, high = (limit if kind == "float" else int(limit) for limit in self.drive_limits)
        return IocRecord(
            name=self.pv,
            kind=kind,
            choices=choices,
            value=self.value,
            writable=self.writable,
            unit=self.unit,
            fields={"DRVL": low, "DRVH": high} if self.writable and is_number else {},
        )

    def step(self, dt_s: float, speed: float) -> None:
        if self.writable or self.kind != "float" or self.words:
            if self.follows is not None:
                self.value = self.follows.value
            return
        value = float(self.value)
        if self.follows is None:
            pull = (self._middle - value) * min(1.0, dt_s / 30)
            self.value = value + pull + self._noise.gauss(0, self._sigma) * math.sqrt(dt_s)
        else:
            missing = float(self.follows.value) - value
            reach = speed * dt_s if speed > 0 else abs(missing) * min(1.0, dt_s / _LAG_S)
            self.value = value + math.copysign(min(abs(missing), reach), missing)


class EpicsSimulator:
    """Any EPICS device, as far as its table tells."""

    faults = (
        *IOC_FAULTS,
        CommandSpec(
            name="nan",
            description="One value is no number until `heal`.",
            parameters=(Parameter(name="value", type=Type.STRING),),
        ),
        CommandSpec(name="heal", description="All values are numbers again."),
    )

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        prefix = str(parameters.get("prefix") or "")
        table: Mapping[str, Mapping[str, Any]] = parameters.get("values") or DEFAULT_VALUES
        noise = random.Random(int(parameters.get("seed") or 1))  # noqa: S311 (noise of a meter)
        self._tick_s = float(parameters.get("tick_s") or 0.2)
        self._values = {name: _Value(prefix + str(row["pv"]), row, noise) for name, row in table.items()}
        for name, row in table.items():
            if row.get("readback"):
                self._values[str(row["readback"])].follows = self._values[name]
                self._values[str(row["readback"])].rate = str(row.get("rate") or "")
        self._by_pv = {value.pv: value for value in self._values.values()}
        self.puts = 0
        """How many values clients have written."""
        self._ioc = Ioc(
            (value.record() for value in self._values.values()),
            self._put,
            again=parameters.get("again"),
            protocol=str(parameters.get("protocol") or "ca"),
        )
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> Mapping[str, Any]:
        """Serve; the section's `address_list` that finds it."""
        await self._ioc.start()
        self._work = asyncio.create_task(self._live(), name="epics values")
        return {"address_list": [self._ioc.address], "name_servers": []}

    async def stop(self) -> None:
        """End the server."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
            self._work = None
        await self._ioc.stop()

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(self._tick_s)
            now = loop.time()
            for value in self._values.values():
                rate = self._values.get(value.rate)
                value.step(now - before, float(rate.value) if rate and not isinstance(rate.value, str) else 0.0)
            before = now
            self._show()

    def _show(self) -> None:
        self._ioc.set({value.pv: None if value.broken else value.value for value in self._values.values()})

    def _put(self, name: str, value: float | int | str) -> None:
        self.puts += 1
        self._by_pv[name].value = value

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        """Make it happen."""
        if await provoke(self._ioc, name):
            return
        if name == "nan":
            wanted = self._values.get(str(arguments.get("value")))
            if wanted is None or wanted.kind != "float" or wanted.words:
                numbers = ", ".join(n for n, value in self._values.items() if value.kind == "float" and not value.words)
                raise NotFound(f"no number is called {arguments.get('value')}", suggestion=f"choose one of {numbers}")
            wanted.broken = True
        elif name == "heal":
            for value in self._values.values():
                value.broken = False
        else:
            known = ", ".join(fault.name for fault in self.faults)
            raise NotFound(f"an EPICS simulator has no fault {name}", suggestion=f"choose one of {known}")
        self._show()
