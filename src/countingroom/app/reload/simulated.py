"""The simulators of a changed description: new ones start beside those that run, which end when the device has left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from countingroom.app.reload.taking import sections_of
from countingroom.app.simulation import Overrides, Simulators
from countingroom.core.reload.messages import ReloadOrder
from countingroom.simulators.port import Simulator


class _Started(Struct, frozen=True, kw_only=True):
    made: dict[str, Simulator]
    found: Overrides
    removed: tuple[str, ...]


class SimulatorReload:
    """The role `simulators`."""

    def __init__(self, simulators: Simulators, directory: Path) -> None:
        self._simulators = simulators
        self._directory = directory
        self._started: _Started | None = None

    async def prepare(self, order: ReloadOrder) -> dict[str, dict[str, Any]]:
        await self.cancel()
        sections = sections_of(order.devices, self._directory)
        simulated = {name: section for name, section in sections if section.has_hardware}
        made, found = await self._simulators.start_others(simulated)
        self._started = _Started(made=made, found=found, removed=order.removed)
        return found

    async def commit(self) -> None:
        started, self._started = self._started, None
        if started:
            await self._simulators.replace(started.made, started.found, started.removed)

    async def cancel(self) -> None:
        started, self._started = self._started, None
        for simulator in started.made.values() if started else ():
            await simulator.stop()
