"""A simulated CAEN mainframe over Channel Access: its process variables, commands and faults."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from countingroom.core.errors import NotFound, OutOfRange
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Scalar
from countingroom.simulators.caen_physics import HV_DEFAULTS, LV_DEFAULTS, HighVoltage, LowVoltage, Value
from countingroom.simulators.ioc import IOC_FAULTS, Ioc, provoke
from countingroom.simulators.ioc_server import IocRecord

DEFAULT_CHANNELS: dict[str, Any] = {
    str(n): {"lv": {"board": 0, "chan": n}, "hv": {"board": 12, "chan": n}, "module": f"module_{n}"} for n in range(3)
}

_KEYS = {
    "setV": "V0Set",
    "maxI": "I0Set",
    "tripTime": "Trip",
    "tripInt": "TripInt",
    "tripExt": "TripExt",
    "unVThr": "UNVThr",
    "ovVThr": "OVVThr",
    "rampUpTime": "RUpTime",
    "rampDwnTime": "RDwTime",
    "rampUpSpeed": "RUp",
    "rampDwnSpeed": "RDWn",
    "tripMode": "PDwn",
    "imRange": "ImRange",
}
_WORDS = {"Kill": 0, "Ramp": 1, "Low": 0, "High": 1}
_ENUMS = {"Pw": ("Off", "On"), "ImRange": ("Low", "High"), "PDwn": ("Kill", "Ramp")}
_MEASURED = ("VMon", "IMon", "Temp", "Status")
_STORM_HZ = 200.0
"""How many batches a second an `update_hz` is cut into."""

_CHANNEL = Parameter(name="channel", type=Type.STRING)
_SIDE = Parameter(name="side", type=Type.STRING, choices=("lv", "hv"), optional=True)


class CaenSimulator:
    """A mainframe. At the start all outputs are off, with the settings of the description."""

    faults = (
        *IOC_FAULTS,
        CommandSpec(
            name="trip",
            description="Over-current: trips after the trip time, or at once.",
            parameters=(_CHANNEL, _SIDE, Parameter(name="now", type=Type.BOOL, optional=True)),
        ),
        CommandSpec(name="switch_off", description="An output goes off by itself.", parameters=(_CHANNEL, _SIDE)),
        CommandSpec(
            name="nan",
            description="One measured value is NaN until `heal`.",
            parameters=(_CHANNEL, _SIDE, Parameter(name="variable", type=Type.STRING, optional=True)),
        ),
        CommandSpec(name="heal", description="End `nan` and `slow`."),
        CommandSpec(
            name="slow",
            description="Commands take effect this much later.",
            parameters=(Parameter(name="seconds", unit="s", low=0, high=60),),
        ),
    )

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._prefix = str(parameters.get("prefix") or "cleanroom")
        self._tick_s = float(parameters.get("tick_s") or 0.2)
        self._update_hz = float(parameters.get("update_hz") or 0)
        self._random = random.Random(int(parameters.get("seed") or 1))  # noqa: S311 (noise of a meter)
        everywhere: Mapping[str, Any] = parameters.get("global") or parameters.get("everywhere") or {}
        channels: Mapping[str, Any] = parameters.get("channels") or DEFAULT_CHANNELS
        self._outputs: dict[str, LowVoltage | HighVoltage] = {}
        self._names: dict[tuple[str, str], str] = {}
        for channel, outputs in channels.items():
            for side, kind in (("lv", LowVoltage), ("hv", HighVoltage)):
                own = outputs[side]
                stem = f"{self._prefix}:{int(own['board']):02}:{int(own['chan']):03}"
                self._names[str(channel), side] = stem
                self._outputs[stem] = kind(_settings(everywhere.get(side) or {}) | _settings(own))
        self._clear = f"{self._prefix}:ClearAlarm"
        self._broken: set[str] = set()
        self._delay_s = 0.0
        self.puts = 0
        """How many values clients have written."""
        self._ioc = Ioc(self._records(), self._put, again=parameters.get("again"))
        self._work: asyncio.Task[None] | None = None

    @property
    def outputs(self) -> dict[tuple[str, str], LowVoltage | HighVoltage]:
        """(channel, side) -> its output."""
        return {key: self._outputs[stem] for key, stem in self._names.items()}

    def _records(self) -> list[IocRecord]:
        records = [IocRecord(name=self._clear, kind="enum", choices=("No", "Yes"), value=0, writable=True)]
        for stem, output in self._outputs.items():
            defaults = LV_DEFAULTS if isinstance(output, LowVoltage) else HV_DEFAULTS
            for variable, value in {**output.measured(self._random), **output.settings}.items():
                choices = _ENUMS.get(variable, ())
                default = defaults.get(variable, value)
                number = "int" if variable == "Status" or isinstance(default, int) else "float"
                records.append(
                    IocRecord(
                        name=f"{stem}:{variable}",
                        kind="enum" if choices else number,
                        choices=choices,
                        value=value,
                        writable=variable not in _MEASURED,
                    )
                )
        return records

    async def start(self) -> Mapping[str, Any]:
        """Serve; the section's `address_list` that finds it."""
        self._show()  # the outputs may have changed since the records were made
        await self._ioc.start()
        self._work = asyncio.create_task(self._live(), name="caen physics")
        return {"address_list": [self._ioc.address], "name_servers": []}

    async def stop(self) -> None:
        """End the outputs and their server."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
            self._work = None
        await self._ioc.stop()

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._step())
            if self._update_hz:
                group.create_task(self._storm())

    async def _step(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(self._tick_s)
            now = loop.time()
            for output in self._outputs.values():
                output.step(now - before)
            before = now
            self._show()

    async def _storm(self) -> None:
        """Measured values of all outputs in turn, each time another value."""
        loop = asyncio.get_running_loop()
        begin, sent, level = loop.time(), 0, 0
        names = [f"{stem}:{variable}" for stem in self._outputs for variable in ("VMon", "IMon")]
        while True:
            await asyncio.sleep(1 / _STORM_HZ)
            due = int((loop.time() - begin) * self._update_hz)
            level += 1
            self._ioc.set({names[n % len(names)]: 1.0 + level % 1000 + n % 7 / 10 for n in range(sent, due)})
            sent = due

    def _show(self) -> None:
        values: dict[str, Scalar] = {}
        for stem, output in self._outputs.items():
            for variable, value in output.measured(self._random).items():
                name = f"{stem}:{variable}"
                if not (self._update_hz and variable in {"VMon", "IMon"}):
                    values[name] = None if name in self._broken else value
        self._ioc.set(values)

    def _put(self, name: str, value: float | int | str) -> None:
        """Handle a put of a client."""
        self.puts += 1
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._obey, name, value)
        else:
            self._obey(name, value)

    def _obey(self, name: str, value: float | int | str) -> None:
        if name == self._clear:
            if value == 1:
                for output in self._outputs.values():
                    output.clear()
                self._ioc.set({self._clear: 0})
        else:
            stem, _, variable = name.rpartition(":")
            output = self._outputs[stem]
            if variable == "Pw":
                output.switch(bool(value))
            else:
                output.settings[variable] = _number(value)
        self._show()

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        """Provoke a fault."""
        if await provoke(self._ioc, name):
            return
        match name:
            case "trip":
                output = self._output(arguments)
                if arguments.get("now", False):
                    output.trip()
                else:
                    output.extra_current = 1.2 * float(output.settings["I0Set"]) + 0.1
            case "switch_off":
                self._output(arguments).switch(False)
            case "nan":
                stem = self._stem(arguments)
                self._broken.add(f"{stem}:{arguments.get('variable') or 'VMon'}")
            case "heal":
                self._broken.clear()
                self._delay_s = 0.0
            case "slow":
                self._delay_s = _number(arguments.get("seconds"))
            case _:
                known = ", ".join(fault.name for fault in self.faults)
                raise NotFound(f"a CAEN simulator has no fault {name}", suggestion=f"choose one of {known}")
        self._show()

    def _stem(self, arguments: Mapping[str, Scalar]) -> str:
        channel, side = str(arguments.get("channel")), str(arguments.get("side") or "hv")
        stem = self._names.get((channel, side))
        if stem is None:
            channels = ", ".join(dict.fromkeys(name for name, _ in self._names))
            raise NotFound(f"there is no output {side} of channel {channel}", suggestion=f"channels are {channels}")
        return stem

    def _output(self, arguments: Mapping[str, Scalar]) -> LowVoltage | HighVoltage:
        return self._outputs[self._stem(arguments)]


def _settings(keys: Mapping[str, Any]) -> dict[str, Value]:
    """The keys of a channel file as process variables."""
    found: dict[str, Value] = {}
    for key, value in keys.items():
        if key in _KEYS and value is not None:
            found[_KEYS[key]] = _WORDS[value] if value in _WORDS else _number(value)
    return found


def _number(value: Any) -> Value:
    """A number, also as `0b…` and `0x…`."""
    try:
        return int(value, 0) if isinstance(value, str) else value + 0
    except (TypeError, ValueError):
        raise OutOfRange(f"{value!r} is no number") from None
