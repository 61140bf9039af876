"""The reload of a device host: other devices are made first, without a connection, and then served, all or none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from msgspec import Struct

from countingroom.devices.host.host import DeviceHost
from countingroom.devices.registry import Hosted
from countingroom.devices.section import DeviceSection

Build = Callable[[str, DeviceSection], Hosted]
"""Makes a device of its section, not connected; ConfigurationError where it cannot work."""


class _Prepared(Struct, frozen=True, kw_only=True):
    served: Sequence[Hosted]
    described: Sequence[Hosted]
    removed: Collection[str]


class HostReload:
    """One reload at a time: `prepare`, then `commit` or `cancel`."""

    def __init__(self, host: DeviceHost, build: Build) -> None:
        self._host = host
        self._build = build
        self._prepared: _Prepared | None = None

    def prepare(
        self,
        served: Sequence[tuple[str, DeviceSection]],
        described: Sequence[tuple[str, DeviceSection]],
        removed: Collection[str],
    ) -> None:
        """Make the devices as `DeviceHost.change` takes them. ConfigurationError, with no effect, where one cannot
        work."""
        self._prepared = _Prepared(
            served=[self._build(name, section) for name, section in served],
            described=[self._build(name, section) for name, section in described],
            removed=tuple(removed),
        )

    async def commit(self) -> None:
        """Serve what was prepared. Nothing where nothing was."""
        prepared, self._prepared = self._prepared, None
        if prepared:
            await self._host.change(prepared.served, prepared.described, prepared.removed)

    def cancel(self) -> None:
        """Forget what was prepared."""
        self._prepared = None
