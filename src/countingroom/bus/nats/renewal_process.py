"""The parent's side of renewer.py: starts the process that renews the leases of this one, and starts it again.

While it does not run, NatsLease renews in the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec
from msgspec import Struct

from countingroom.bus.nats import renewal_messages as messages
from countingroom.bus.nats.lease_key import LeaseKey
from countingroom.bus.nats.renewal_page import SLOTS, SharedPage
from countingroom.core.clock import Clock, pause_to_multiple, timeout
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.retry import edge_log

_log = logging.getLogger(__name__)

TICK_S = 0.5
READY_S = 20.0
ANSWER_S = 2.0
END_S = 3.0
FIRST_PAUSE_S, MOST_PAUSE_S = 1.0, 30.0
_LATE = 0.6
"""A process that leaves less of a lease time than this does not run, although this one does. The rest of the time must
do for the event loop to renew."""
_TICKS = 3
"""So often in a row, before it is ended."""


class RenewalChild(Protocol):
    """A running process with pipes."""

    @property
    def stdin(self) -> asyncio.StreamWriter | None: ...
    @property
    def stdout(self) -> asyncio.StreamReader | None: ...
    def kill(self) -> None: ...
    async def wait(self) -> int: ...


LaunchRenewer = Callable[[Sequence[str], int | None], Awaitable[RenewalChild]]
"""Starts a command; the second argument is the file descriptor of its standard error, None for that of this process."""
FindSettings = Callable[[str], messages.RenewerSettings]
"""The settings, with the path of the page."""


class _Kept:
    def __init__(self, key: LeaseKey, slot: int) -> None:
        self.key = key
        self.slot = slot
        self.ended = asyncio.Event()


class RenewalProcess:
    """The process for all leases of one connection. It is started at the first lease, and ended by `close`."""

    def __init__(
        self, launch: LaunchRenewer, settings: FindSettings, clock: Clock, is_linked: Callable[[], bool]
    ) -> None:
        """`is_linked`: whether the bus is reached now."""
        self._launch = launch
        self._settings = settings
        self._clock = clock
        self._is_linked = is_linked
        self._page = SharedPage()
        self._slots = list(range(1, SLOTS))
        self._kept: dict[str, _Kept] = {}
        self._answers: dict[str, asyncio.Future[bool]] = {}
        self._orders: asyncio.StreamWriter | None = None
        self._running: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._closing = False
        self._report = edge_log(
            _log,
            "leases are renewed by the event loop, because the process for it does not run",
            "leases are renewed by a process of their own",
        )

    def start(self) -> None:
        """Start the process in the background; once."""
        if self._running is None:
            self._page.tick = self._clock.monotonic()
            self._running = asyncio.create_task(self._run(), name="renewal process")

    async def keep(self, key: LeaseKey, *, wait_s: float) -> None:
        """Let the process renew the key, until it no longer does. Wait for the process at most `wait_s`."""
        with suppress(TimeoutError):
            async with timeout(wait_s):
                await self._ready.wait()
        if self._orders is None or not self._slots:
            return
        kept = _Kept(key, self._slots.pop())
        self._kept[key.name] = kept
        self._page[kept.slot] = key.until
        self._send(
            self._orders,
            messages.Keep(
                name=key.name,
                data=key.data,
                ttl_s=key.ttl_s,
                revision=key.revision,
                until=key.until,
                slot=kept.slot,
            ),
        )
        try:
            await kept.ended.wait()
        finally:
            key.until = self._page[kept.slot]
            self._slots.append(kept.slot)
            if self._kept.get(key.name) is kept:
                del self._kept[key.name]

    def until(self, name: str) -> float | None:
        """Monotonic time at which a lease ends; None when the process does not renew it."""
        kept = self._kept.get(name)
        return None if kept is None else self._page[kept.slot]

    def drop(self, name: str) -> None:
        """Renew a key no longer, because its lease is lost. Where it was renewed just now, it is deleted."""
        if (kept := self._kept.get(name)) and self._orders:
            del self._kept[name]  # now, because a new lease of this name may come before `keep` runs again
            self._send(self._orders, messages.Free(name=name))
            kept.ended.set()

    async def free(self, name: str) -> bool:
        """Delete a key that the process renews; False when it did not."""
        kept = self._kept.get(name)
        if kept is None or self._orders is None:
            return False
        self._answers[name] = answer = asyncio.get_running_loop().create_future()
        self._send(self._orders, messages.Free(name=name))
        try:
            async with timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            return False
        finally:
            del self._answers[name]
            kept.ended.set()

    async def close(self) -> None:
        """End the process."""
        self._closing = True
        if self._running:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._page.close()

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._live()
            except (CountingRoomError, OSError, ValueError, EOFError, TimeoutError) as error:
                # msgspec's errors are ValueErrors.
                why = str(error) or type(error).__name__
                advice = "the leases are renewed by this process until the other one is started again"
                self._report.failed(Cause(code="no_renewer", message=why, source="bus", suggestion=advice))
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, MOST_PAUSE_S)

    async def _live(self) -> None:
        """Start it, and pass on what it reports until it ends; EOFError then."""
        child = await self._launch([sys.executable, "-m", "countingroom.bus.nats.renewer"], None)
        ticking = asyncio.create_task(self._tick(child), name="tick")
        try:
            if child.stdin is None or child.stdout is None:
                raise OSError("it has no pipes")
            self._send(child.stdin, self._settings(self._page.path))
            async with timeout(READY_S):
                self._take(await child.stdout.readline())
            self._orders = child.stdin
            self._ready.set()
            self._report.worked()
            while True:
                self._take(await child.stdout.readline())
        finally:
            self._orders = None
            self._ready.clear()
            for kept in self._kept.values():
                kept.ended.set()
            ticking.cancel()
            await self._end(child)

    async def _end(self, child: RenewalChild) -> None:
        if self._closing and child.stdin:
            with suppress(OSError):
                child.stdin.write_eof()  # it then frees what is left
        else:
            _kill(child)  # at the end of its input it would free leases that this process still has
        try:
            async with timeout(END_S):
                await child.wait()
        except TimeoutError:
            _kill(child)
            await child.wait()
        if child.stdin:
            child.stdin.close()

    def _take(self, line: bytes) -> None:
        if not line:
            raise EOFError("it ended")
        report: messages.Report = msgspec.json.decode(line, type=messages.Report)
        match report:
            case messages.Ready():
                pass
            case messages.Freed(name=name, done=done):
                if (answer := self._answers.get(name)) and not answer.done():
                    answer.set_result(done)
            case messages.Over(name=name):
                if kept := self._kept.get(name):
                    kept.key.taken = True
                    kept.ended.set()

    async def _tick(self, child: RenewalChild) -> None:
        """Say that the event loop runs. A process that does not run, although this one does, is ended."""
        late = 0
        while True:
            now = self._page.tick = self._clock.monotonic()
            waits = any(self._page[one.slot] - now < _LATE * one.key.ttl_s for one in self._kept.values())
            late = late + 1 if waits and self._is_linked() else 0
            if late >= _TICKS:
                _log.warning("the process that renews the leases does not run; it is started again")
                _kill(child)
            await self._clock.sleep(pause_to_multiple(self._clock.monotonic(), TICK_S))

    def _send(self, orders: asyncio.StreamWriter, message: Struct) -> None:
        with suppress(OSError):  # it has ended, which `_live` sees
            orders.write(msgspec.json.encode(message) + b"\n")


def _kill(child: RenewalChild) -> None:
    with suppress(ProcessLookupError):
        child.kill()
