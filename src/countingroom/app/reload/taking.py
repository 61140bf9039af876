"""Carries out reload orders in the roles that can take a changed description while they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from countingroom.core.errors import ConfigurationError
from countingroom.core.reload.messages import ReloadOrder
from countingroom.devices.description import DevicesSection
from countingroom.devices.host.reload import HostReload
from countingroom.devices.section import DeviceSection


def sections_of(devices: Mapping[str, Any], directory: Path) -> list[tuple[str, DeviceSection]]:
    """The sections of some devices, as they are written. ConfigurationError where one is not whole."""
    try:
        section = DevicesSection.model_validate(dict(devices), context={"directory": directory})
    except ValidationError as error:
        raise ConfigurationError(
            f"a device of the new description is not understood: {error}",
            source="reload",
            suggestion="run countingroom check; where it finds nothing, report it",
        ) from error
    return list(section.items())


class DeviceReload:
    """A device host."""

    def __init__(self, reload: HostReload, overrides: dict[str, dict[str, Any]], directory: Path) -> None:
        """`overrides`: those that the builder of the host uses, which are brought up to date."""
        self._reload = reload
        self._overrides = overrides
        self._directory = directory
        self._before: dict[str, dict[str, Any]] | None = None
        """The overrides before what is prepared."""

    async def prepare(self, order: ReloadOrder) -> dict[str, dict[str, Any]]:
        await self.cancel()
        self._before = dict(self._overrides)
        self._overrides |= order.overrides
        self._reload.prepare(
            sections_of(order.devices, self._directory),
            sections_of(order.described, self._directory),
            order.removed,
        )
        for device in order.removed:  # one that is added later under its name is another device
            self._overrides.pop(device, None)
        return {}

    async def commit(self) -> None:
        self._before = None
        await self._reload.commit()

    async def cancel(self) -> None:
        self._reload.cancel()
        before, self._before = self._before, None
        if before is not None:
            self._overrides.clear()
            self._overrides |= before


class AreasReload:
    """The alarm department: the areas that devices name themselves."""

    def __init__(self, take: Callable[[Mapping[str, str]], None]) -> None:
        self._take = take
        self._areas: dict[str, str] | None = None

    async def prepare(self, order: ReloadOrder) -> dict[str, dict[str, Any]]:
        self._areas = dict(order.areas)
        return {}

    async def commit(self) -> None:
        if self._areas is not None:
            self._take(self._areas)
        self._areas = None

    async def cancel(self) -> None:
        self._areas = None
