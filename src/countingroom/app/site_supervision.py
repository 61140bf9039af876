"""Runs the process of the public site under `up`, and sends its heartbeats: it has no access to the bus itself.

The heartbeats tell whether the process runs, so that `/readyz` names the site when it ends, hangs or cannot start. The
experiment runs without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from countingroom.app.serve import first_of
from countingroom.app.site_child import site_child
from countingroom.app.supervisor import ChildChange
from countingroom.bus.port import Bus
from countingroom.bus.presence import MAIN, SITE_ROLE, heartbeat
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.mirror.description import MirrorSection


class SiteSupervision:
    """Runs until cancelled; ends at once where the description has no public site."""

    def __init__(
        self, section: MirrorSection, data: Path, clock: Clock, on_change: Callable[[ChildChange], None]
    ) -> None:
        self._section = section
        self._data = data
        self._clock = clock
        self._on_change = on_change
        self._trouble = "the public site is not ready yet"

    async def run(self, bus: Bus, say: Callable[[str], None]) -> None:
        """Serve. `say` is told the address, or why there is none."""
        if self._section.site is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(
                heartbeat(
                    bus, self._clock, role=SITE_ROLE, instance=MAIN, boot=uuid4().hex, troubles=lambda: self.troubles
                )
            )
            await self._serve(say)

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why the site does not serve; empty: it does."""
        return (self._trouble,) if self._trouble else ()

    async def _serve(self, say: Callable[[str], None]) -> None:
        try:
            child = site_child(self._section, self._data, self._clock, self._changed)
            if child is None:
                return
            async with asyncio.TaskGroup() as group:
                group.create_task(child.run())
                say(f"Public site: {(await child.ready())['address']}")
        except* CountingRoomError as errors:
            self._trouble = f"the public site does not run: {first_of(errors)}"
            say(f"The public site does not run: {first_of(errors)}")

    def _changed(self, change: ChildChange) -> None:
        self._trouble = "" if change.running and not change.hangs else change.message
        self._on_change(change)
