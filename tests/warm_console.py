"""Imported by the fork server of the tests: the consoles of its forks find their templates compiled and their routes
looked at. Both is the same in every console, and together half of the processor time that it needs to start."""

from __future__ import annotations

import asyncio

from countingroom.bus.memory.bus import MemoryBus
from countingroom.console.app import create
from countingroom.core.clock import SystemClock
from tests import compiled_templates
from tests.console import route_cache


def _prepare() -> None:
    route_cache.install()
    compiled_templates.install()
    clock = SystemClock()
    app = create(MemoryBus(clock), clock, title="", version="")
    asyncio.run(app.state.pages.compile_templates())


_prepare()
