"""A console with the alarms that the test wants, served from a thread; the alarm department and history are played."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from countingroom.bus.port import Message
from countingroom.console.app import Login, create
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import decode, encode
from countingroom.core.series import RangeQuery, RangesQuery, Series, SeriesAnswer, SeriesListAnswer
from countingroom.storage.database import Database
from tests.console.alarm_history import opened
from tests.console.alarms_stage import AlarmStage, alarms_stage
from tests.console.stage import stage

_BEAT_S = 0.5
_DEADLINE_S = 60.0
_last_port = 0


class AlarmConsole:
    """The served console; `do` lets the played department do something."""

    def __init__(
        self,
        url: str,
        alarms: AlarmStage,
        server: uvicorn.Server,
        loop: asyncio.AbstractEventLoop,
        database: Database,
    ) -> None:
        self.url = url
        self.database = database
        self.alarms = alarms
        self.beats = True
        """Whether the department sends heartbeats."""
        self._server = server
        self._loop = loop

    def shows(self, count: int) -> bool:
        """Whether the console knows of this many alarms."""
        asked = {"state": "all", "limit": 1}
        return httpx.get(f"{self.url}/api/v1/alarms", params=asked, timeout=_DEADLINE_S).json()["total"] == count

    def stop(self) -> None:
        """End the server."""
        self._server.should_exit = True

    def do(self, what: Coroutine[Any, Any, None]) -> None:
        """Run this in the thread of the console, and wait for its end."""
        asyncio.run_coroutine_threadsafe(what, self._loop).result(_DEADLINE_S)


async def _range(message: Message) -> bytes:
    asked = decode(message.data, RangeQuery)
    return encode(SeriesAnswer(series=_series(asked.point, asked.start_ns, asked.end_ns)))


async def _ranges(message: Message) -> bytes:
    asked = decode(message.data, RangesQuery)
    series = [_series(point, asked.start_ns, asked.end_ns) for point in asked.points]
    return encode(SeriesListAnswer(series=series))


def _series(point: str, start_ns: int, end_ns: int) -> Series:
    times = list(range(start_ns, end_ns, max(1, (end_ns - start_ns) // 60)))
    values = [2.0 + 0.5 * number for number in range(len(times))]
    columns: dict[str, Any] = {"time_ns": times, "mean": values, "low": values, "high": values}
    plain: dict[str, Any] = {"quality": [0] * len(times), "count": [1] * len(times)}
    return Series(point=point, resolution="raw", **columns, **plain)


async def _serve(
    listener: socket.socket, began: list[AlarmConsole], ready: threading.Event, login: Login | None
) -> None:
    clock = SystemClock()
    database = Database("sqlite://", clock=clock)
    async with (
        stage(clock) as here,
        opened(database),
        alarms_stage(here) as alarms,
        here.bus.client().respond(subjects.query("history", "range"), _range),
        here.bus.client().respond(subjects.query("history", "ranges"), _ranges),
    ):
        app = create(
            here.bus.client(),
            clock,
            title="Test stand",
            version="0.0.1",
            tick_s=0.2,
            database=database,
            login=login,
        )
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        host, port = listener.getsockname()
        began.append(AlarmConsole(f"http://{host}:{port}", alarms, server, asyncio.get_running_loop(), database))
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve([listener]))
            while not serving.done():
                await here.beat("caen", "chiller")
                if began[0].beats:
                    await alarms.beat()
                if server.started:
                    ready.set()
                await asyncio.wait({serving}, timeout=_BEAT_S)
        ready.set()


def _listener() -> socket.socket:
    """At the port of the console before it, where that is free: a browser has the scripts from there already, which
    takes 0.6 s of processor time off its first page."""
    global _last_port  # noqa: PLW0603
    try:
        made = socket.create_server(("127.0.0.1", _last_port))
    except OSError:
        made = socket.create_server(("127.0.0.1", 0))
    _last_port = int(made.getsockname()[1])
    return made


@contextmanager
def alarm_console(login: Login | None = None) -> Generator[AlarmConsole]:
    """A console on a free port of the loopback, with no alarms yet; without a login unless one is given."""
    began: list[AlarmConsole] = []
    ready = threading.Event()
    with _listener() as listener:
        thread = threading.Thread(target=lambda: asyncio.run(_serve(listener, began, ready, login)), name="console")
        thread.start()
        try:
            assert ready.wait(_DEADLINE_S)
            yield began[0]
        finally:
            if began:
                began[0].stop()
            thread.join(_DEADLINE_S)
