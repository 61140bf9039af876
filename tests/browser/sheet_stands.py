"""Consoles for the contact sheets of pages that the demo does not have: the fleet and the mirror."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx

from countingroom.core.clock import SystemClock
from tests.browser import test_log_lines, test_public_notes
from tests.console.alarm_console import alarm_console
from tests.console.control_stage import control_console
from tests.console.fleet_stage import PlayedFleet
from tests.system.running import until


@contextmanager
def _fleet() -> Generator[str]:
    with alarm_console() as console:
        tasks: list[asyncio.Task[None]] = []

        async def start() -> None:
            fleet = PlayedFleet(console.alarms.here.bus.client(), SystemClock(), console.database)
            tasks.append(asyncio.create_task(fleet.run()))

        async def stop() -> None:
            tasks[0].cancel()
            await asyncio.wait(tasks)

        console.do(start())
        try:
            with httpx.Client(base_url=f"{console.url}/api/v1") as client:
                until(lambda: client.get("/fleet/plan").is_success, "the fleet has a plan")
                mark = client.get("/fleet/plan").json()["mark"]
                order = {"arguments": {"plan": mark, "comment": "first"}, "wait_s": 30}
                assert (applied := client.post("/fleet/commands/apply", json=order)).is_success, applied.text
                until(lambda: client.get("/services/camera").json().get("healthy", 3) == 3, "the service is healthy")
            yield console.url
        finally:
            console.do(stop())


@contextmanager
def _control_room() -> Generator[str]:
    with control_console() as (url, _):
        yield url


@contextmanager
def _log_lines() -> Generator[str]:
    with tempfile.TemporaryDirectory() as folder, test_log_lines.console(Path(folder)) as (url, _):
        yield url


@contextmanager
def _public_notes() -> Generator[str]:
    with tempfile.TemporaryDirectory() as folder, test_public_notes.console(Path(folder)) as (url, _):
        yield url


STANDS: Mapping[str, tuple[Callable[[], AbstractContextManager[str]], str]] = {
    "fleet": (_fleet, "/fleet"),
    "service": (_fleet, "/services/camera"),
    "node": (_fleet, "/nodes/n1"),
    "control-room": (_control_room, "/control"),
    "log-lines": (_log_lines, "/log-lines"),
    "public-notes": (_public_notes, "/public-notes"),
}
"""Name of a page -> its console, and the path there."""
