"""The process of the public site under `up`: `python -m countingroom.app.site_process`, see site_child.py."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import suppress

import msgspec

from countingroom.app import parent_watch
from countingroom.app.listening_socket import listen
from countingroom.app.public_site import SitePlan, serve_on
from countingroom.app.site_child import SiteParameters
from countingroom.app.watchdog import TICK_S
from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import ConfigurationError, CountingRoomError, LinkError
from countingroom.core.retry import Retry, edge_log
from countingroom.core.umask import keep_files_private
from countingroom.mirror.store.reader import PublicReader
from countingroom.site.rendering import SiteSettings

_log = logging.getLogger(__name__)
_RETRY_S = 2.0


def main() -> int:
    """Serve until the parent ends it; status 1 where that cannot begin."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    keep_files_private()
    parent = parent_watch.ParentReport()
    try:
        told = msgspec.convert(parent_watch.parameters(), SiteParameters)
        asyncio.run(_run(told, parent))
    except CountingRoomError as error:
        _log.error("%s", error.cause)
        parent.refused(error.cause)
        return 1
    return 0


async def _run(told: SiteParameters, parent: parent_watch.ParentReport) -> None:
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    if this is None:
        raise RuntimeError("runs inside a task")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, this.cancel)
    parent_watch.when_parent_ends(lambda: loop.call_soon_threadsafe(this.cancel))
    with suppress(asyncio.CancelledError):
        await _serve(told, parent)


async def _serve(told: SiteParameters, parent: parent_watch.ParentReport) -> None:
    settings = SiteSettings(title=told.title, url=told.url, prefix=told.prefix)
    plan = SitePlan(store=told.store, settings=settings, host=told.host, port=told.port, behind_proxy=told.behind_proxy)
    clock = SystemClock()
    listening = listen(plan.host, plan.port)
    reader = PublicReader(plan.store)
    try:
        parent.ready({"address": f"http://{plan.host}:{listening.getsockname()[1]}/"})
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(_tick(parent, clock))
            # The mirror makes the store, and a database may be away.
            report = edge_log(_log, "the public store is not read", "the public store is read")
            await Retry(clock, report, pause_s=_RETRY_S).run(lambda: _open(reader))
            await serve_on(plan, listening, reader, lambda: _log.info("the site serves"))
            ticking.cancel()
    except BaseExceptionGroup as failures:
        known, _ = failures.split(CountingRoomError)
        raise (known or failures).exceptions[0] from failures
    finally:
        listening.close()
        await reader.close()


async def _open(reader: PublicReader) -> None:
    try:
        await reader.open()
    except ConfigurationError as error:
        if error.cause.code != "no_store":
            raise
        raise LinkError(error.cause.message, source=error.cause.source, code=error.cause.code) from error


async def _tick(parent: parent_watch.ParentReport, clock: Clock) -> None:
    while True:
        parent.tick()
        await clock.sleep(TICK_S)


if __name__ == "__main__":
    sys.exit(main())
