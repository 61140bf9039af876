"""Simulated agent: waits for the configured times, counts events while it records, and fails on request.

The command `system fault` sets a fault: `fail` (the next action fails; `times`: how many), `hang` (the next action
never ends), `slow` (each action takes `seconds` longer), `error` (it goes to Error without an order), `heal` (ends
all faults).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

from countingroom.core.clock import Clock
from countingroom.core.errors import DeviceError, NotFound, OutOfRange
from countingroom.core.values import Scalar
from countingroom.runs.agents.port import Handle, Recovery, System
from countingroom.runs.sections.agent import SimulatedAgent

_COUNT_S = 1.0
FAULTS = ("fail", "hang", "slow", "error", "heal")


class Simulated(System):
    """A system without hardware that waits for the configured times."""

    def __init__(
        self,
        handle: Handle,
        section: SimulatedAgent,
        clock: Clock,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(handle)
        self._section = section
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._hangs = False
        self._slow_s = 0.0
        self._recording = asyncio.Event()
        self._began_ns = 0

    async def configure(self, step: str, parameters: Mapping[str, Scalar]) -> None:
        await self._take(self._section.configure, step)

    async def reconfigure(self, parameters: Mapping[str, Scalar]) -> None:
        if self._section.reconfigure is None:
            return await super().reconfigure(parameters)
        return await self._take(self._section.reconfigure, "the change in place")

    async def start(self, run: int) -> None:
        await self._take(self._section.start, f"start of run {run}")
        self._began_ns = self._clock.now_ns()
        self._recording.set()

    async def stop(self) -> None:
        await self._take(self._section.stop, "stop")
        self._count()
        self._recording.clear()

    async def abort(self) -> None:
        self._recording.clear()

    async def reset(self) -> None:
        self._recording.clear()

    async def recover(self) -> Recovery | None:
        found = self.handle.remembered
        if found and found.run:
            self._began_ns = found.since_ns
            self._recording.set()
        return found

    async def live(self) -> None:
        while True:
            await self._recording.wait()
            self._count()
            await self._clock.sleep(_COUNT_S)

    def instruct(self, word: str, arguments: Mapping[str, Scalar]) -> None:
        """Set a fault; OutOfRange where none is named, NotFound for an unknown one."""
        fault = str(arguments.get("name") or "") if word == "fault" else word
        if not fault:
            raise OutOfRange(
                "fault needs name",
                code="missing_argument",
                source=f"systems.{self.handle.system}",
                suggestion=f"give one of {', '.join(FAULTS)}",
            )
        match fault:
            case "fail":
                self._failures = int(_positive(arguments, "times"))
            case "hang":
                self._hangs = True
            case "slow":
                self._slow_s = _positive(arguments, "seconds")
            case "error":
                self._recording.clear()
                self.handle.error(str(arguments.get("message") or "simulated error"))
            case "heal":
                self._failures = 0
                self._hangs = False
                self._slow_s = 0.0
            case _:
                raise NotFound(
                    f"a simulated system has no fault {fault!r}",
                    source=f"systems.{self.handle.system}",
                    suggestion=f"give one of {', '.join(FAULTS)}",
                )

    async def _take(self, seconds: float, what: str) -> None:
        if self._hangs:
            self._hangs = False
            await asyncio.Event().wait()
        if seconds + self._slow_s > 0:
            await self._clock.sleep(seconds + self._slow_s)
        if self._failures or (self._section.fail and self._chance() < self._section.fail):
            self._failures = max(0, self._failures - 1)
            raise DeviceError(
                f"simulated failure of {what}", source=f"systems.{self.handle.system}", suggestion="configure again"
            )

    def _count(self) -> None:
        if self._recording.is_set() and self._section.events_hz:
            passed_s = (self._clock.now_ns() - self._began_ns) / 1e9
            self.handle.count({"events": round(passed_s * self._section.events_hz)})


def _positive(arguments: Mapping[str, Scalar], name: str) -> float:
    """An argument as a number above 0; 1 when it is not given."""
    given = arguments.get(name)
    try:
        number = 1.0 if given in (None, "") else float(given)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise OutOfRange(f"{name} is a number above 0, not {given!r}", code="wrong_argument", suggestion=f"give {name}")
    return number
