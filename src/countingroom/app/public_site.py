"""Serves the public site of the mirror, or writes it as files: a process of its own that reads the public store and
has no bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from socket import socket

from msgspec import Struct, structs

from countingroom import __version__
from countingroom.app.connection_table import connection_limits
from countingroom.app.file_limit import raise_file_limit
from countingroom.app.listening_socket import listen
from countingroom.app.until_stopped import run_until_stopped
from countingroom.app.web_server import serve
from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError
from countingroom.mirror.store.reader import PublicReader
from countingroom.site.making import Site
from countingroom.site.rendering import SiteSettings
from countingroom.site.static_export import Exported
from countingroom.site.zones import UTC_NAME, full, zone


class SitePlan(Struct, frozen=True, kw_only=True):
    """What is served, and where."""

    store: str
    """URL of the public store."""
    settings: SiteSettings
    host: str = "127.0.0.1"
    port: int = 8090
    behind_proxy: bool = False
    """All viewers have the address of the proxy, so the number of connections of one address is not limited."""


def run(plan: SitePlan, say: Callable[[str], None]) -> None:
    """Serve until a signal ends it. ConfigurationError where there is no store; LinkError where it does not answer."""
    run_until_stopped(_serve(plan, say))
    say("stopped")


def write(store: str, settings: SiteSettings, folder: Path, runs: int) -> Exported:
    """Write the site as files. ConfigurationError where there is no store, or the folder cannot be written."""
    return asyncio.run(_write(store, settings, folder, runs))


async def _write(store: str, settings: SiteSettings, folder: Path, runs: int) -> Exported:
    clock = SystemClock()
    made = full(clock.now_ns() / 1e9, zone(UTC_NAME))
    reader = PublicReader(store)
    try:
        await reader.open()
        site = Site(reader, clock, structs.replace(settings, copied=made), version=__version__)
        await site.look()
        return await site.export(folder, runs)
    except OSError as error:
        message = f"the copy cannot be written: {error.strerror}"
        raise ConfigurationError(message, source=str(folder), suggestion="choose another folder") from error
    finally:
        await reader.close()


async def _serve(plan: SitePlan, say: Callable[[str], None]) -> None:
    reader = PublicReader(plan.store)
    try:
        await reader.open()
        listening = listen(plan.host, plan.port)
        shown = f"http://{plan.host}:{listening.getsockname()[1]}/"
        await serve_on(plan, listening, reader, lambda: say(f"the site is at {shown}"))
    finally:
        await reader.close()


async def serve_on(plan: SitePlan, listening: socket, reader: PublicReader, serves: Callable[[], None]) -> None:
    """Serve from an open reader until cancelled; `serves` is called when requests are answered."""
    limits = connection_limits(files=raise_file_limit(), behind_proxy=plan.behind_proxy)
    site = Site(reader, SystemClock(), plan.settings, version=__version__)
    await site.look()
    async with asyncio.TaskGroup() as group:
        news = group.create_task(site.live.run())
        await serve(site.application, listening, serves, limits=limits)
        news.cancel()
