"""The loop that owns one driver: connect, poll or monitor, write, and reconnect with growing pauses.

It calls one method of the driver at a time, so requests never interleave. Writes go before the next poll. A call that
does not return is cancelled. A lost link is reported once, when it is lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Collection, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

from msgspec import Struct

from countingroom.core.clock import Clock, raise_if_cancelled, within
from countingroom.core.errors import Cause, Conflict, CountingRoomError, DeviceError, LinkError
from countingroom.devices.host.backoff import pause_s
from countingroom.devices.host.driver_fault import cause_of
from countingroom.devices.host.moves import EVERY_S, MoveLimit
from countingroom.devices.port import Driver, MonitoringDriver, ProvingDriver, Sample
from countingroom.devices.section import DeviceSection

T = TypeVar("T")

WAITING_WRITES = 4096
"""Bound of the queue; further writes are refused."""

PATIENCE = 15
"""A call is given up after this many times `timeout`: one read can need several answers of the device."""


class LinkListener(Protocol):
    """Receives samples and changes of the link."""

    def on_connected(self, samples: Sequence[Sample]) -> None:
        """The device is connected, and these are its first values."""
        ...

    def on_samples(self, samples: Sequence[Sample]) -> bool:
        """More values. Returns whether the link of at least one point is up."""
        ...

    def on_proven(self, points: Collection[str]) -> Collection[str]:
        """Take the last samples of these points as the present values. Returns the points that counted as outdated
        before."""
        ...

    def on_lost(self, cause: Cause) -> None:
        """The device is not connected. Called at every failed attempt."""
        ...

    def on_error(self, cause: Cause | None) -> None:
        """The device answered with an error (called each time), or without one again (None)."""
        ...


class _Write(Struct):
    point: str
    value: float | int | str | bool
    taken: asyncio.Future[None]


class DriverLoop:
    """Owns one driver."""

    def __init__(
        self, driver: Driver, section: DeviceSection, clock: Clock, listener: LinkListener, source: str
    ) -> None:
        self._driver = driver
        self._section = section
        self._clock = clock
        self._listener = listener
        self._source = source
        self._writes: deque[_Write] = deque()
        self._wake = asyncio.Event()
        self._again = False
        self._silent = False
        self._up = False
        self._restored = MoveLimit()
        self._under_way: set[asyncio.Task[None]] = set()
        """Writes of a ProvingDriver."""
        self.monitoring = isinstance(driver, MonitoringDriver)
        self.reads = 0
        """Completed reads. A number larger than at a write proves that the values are newer than it."""
        if isinstance(driver, MonitoringDriver):
            driver.monitor(self._receive)

    async def run(self) -> None:
        """Serve the driver until cancelled."""
        failures = 0
        while True:
            self._again = False
            try:
                reached, cause = await self._attempt()
                raise_if_cancelled()  # an error that came with the cancellation has taken its place
                self._fail_writes()
                self._listener.on_lost(cause)
            finally:
                self._fail_writes()
                await self._close()
            # A link that was up starts at the shortest pause again, because most losses are short. Only attempts that
            # never connected make the pauses grow.
            failures = 1 if reached else failures + 1
            await self._pause(failures)

    async def _attempt(self) -> tuple[bool, Cause]:
        """Connect and serve. Returns whether the device was connected, and why that ended."""
        try:
            await self._connect()
            if isinstance(self._driver, ProvingDriver):
                await self._listen_and_prove(self._driver)
            else:
                await (self._listen() if self.monitoring else self._poll())
        except CountingRoomError as error:
            return self._up, error.cause
        except Exception as error:  # must not take the host down with all other devices
            return self._up, cause_of(error, self._source)
        return self._up, Cause(
            code="reconnecting",
            message="the link is being opened again",
            source=self._source,
            suggestion="wait a moment",
        )

    async def write(self, point: str, value: float | int | str | bool) -> None:
        """Send it before the next poll; returns when the device has accepted it. LinkError at once while there is no
        link: a write is never kept for later, because by then the operator may no longer want it."""
        if not self._up:
            raise LinkError("the device is not connected", source=self._source)
        if len(self._writes) + len(self._under_way) >= WAITING_WRITES:
            raise Conflict(
                f"{WAITING_WRITES} writes are waiting already", source=self._source, suggestion="try again later"
            )
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writes.append(_Write(point=point, value=value, taken=taken))
        self._wake.set()
        await taken

    def reconnect(self) -> None:
        """Close the link and connect again at once."""
        self._again = True
        self._wake.set()

    async def _connect(self) -> None:
        await self._call(self._driver.connect())
        samples = await self._call(self._driver.read())
        self._silent = self._again = False
        self._reach(samples)

    def _reach(self, samples: Sequence[Sample]) -> None:
        self._up = True
        self.reads += 1
        self._listener.on_connected(samples)

    async def _poll(self) -> None:
        due = self._clock.monotonic() + self._section.poll
        while not self._again:
            if await self._send_writes():
                due = self._clock.monotonic()
            if self._clock.monotonic() >= due:
                await self._read_once()
                due = max(due + self._section.poll, self._clock.monotonic())
            await self._wait(due - self._clock.monotonic())

    async def _read_once(self) -> None:
        try:
            samples = await self._call(self._driver.read())
        except DeviceError as error:
            self._listener.on_error(error.cause)
        else:
            self.reads += 1
            self._listener.on_samples(samples)
            self._listener.on_error(None)

    async def _listen(self) -> None:
        while not self._again:
            if self._silent:
                await self._until_restored()
            await self._send_writes()
            await self._wait(None)

    async def _listen_and_prove(self, driver: ProvingDriver) -> None:
        """Listen, write and prove at the same time, until the link is lost."""
        ended: Exception | None = None
        async with asyncio.TaskGroup() as group:
            prover = group.create_task(self._prove(driver))
            try:
                while not self._again:
                    if self._silent:
                        await self._until_restored()
                    self._begin_writes(group)
                    await self._wait(None)
            except Exception as error:  # raised outside the group, which would wrap it
                ended = error
            finally:
                prover.cancel()
                for task in self._under_way:
                    task.cancel()
        if ended:
            raise ended

    async def _prove(self, driver: ProvingDriver) -> None:
        while True:
            await self._clock.sleep(self._section.poll)
            with suppress(CountingRoomError):  # what is not proven ages
                outdated = self._listener.on_proven(await self._call(driver.prove()))
                if outdated:
                    samples = await self._call(driver.read())
                    self._receive([one for one in samples if one.point in outdated])

    def _begin_writes(self, group: asyncio.TaskGroup) -> None:
        while self._writes:
            write = self._writes.popleft()
            if not write.taken.cancelled():
                task = group.create_task(self._write_alone(write))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)

    async def _write_alone(self, write: _Write) -> None:
        """One write of a ProvingDriver. Its failure is not that of the link, which the driver watches by itself."""
        confirm_s = next((point.confirm_s for point in self._driver.points if point.name == write.point), 0.0)
        with suppress(LinkError):
            await self._send(write, more_s=confirm_s)

    async def _until_restored(self) -> None:
        """Wait until a monitored device sends values again, after the links of all its points were lost.

        The client library may restore the links by itself (Channel Access does). A LinkError of `read` ends the wait.
        """
        self._fail_writes()
        self._listener.on_lost(LinkError("the device sends no values", source=self._source).cause)
        failures = 0
        while not self._again:
            if self._silent:
                failures += 1
                await self._pause(failures, unless_restored=True)
                self._receive(await self._call(self._driver.read()))
            elif self._restored.may_move("", self._clock.monotonic()):
                break
            else:  # it comes and goes all the time
                await self._wait(EVERY_S)
        if not self._again:
            self._restored.moved("", self._clock.monotonic())
            self._reach(())

    def _receive(self, samples: Sequence[Sample]) -> None:
        silent = not self._listener.on_samples(samples)
        if silent != self._silent:
            self._silent = silent
            self._wake.set()

    async def _send_writes(self) -> bool:
        sent = False
        while self._writes:
            write = self._writes.popleft()
            if write.taken.cancelled():
                continue
            sent = True
            await self._send(write)
        return sent

    async def _send(self, write: _Write, more_s: float = 0.0) -> None:
        """Write and answer; what ends the link is raised. `more_s`: patience in addition to the usual one."""
        try:
            await self._call(self._driver.write(write.point, write.value), more_s=more_s)
        except DeviceError as error:
            _fail(write, error)
        except BaseException as error:
            # Also when cancelled: the command that waits for this write must not wait until its deadline.
            _fail(write, error if isinstance(error, CountingRoomError) else _unknown(self._source))
            raise
        else:
            if not write.taken.done():
                write.taken.set_result(None)

    def _fail_writes(self) -> None:
        self._up = False
        while self._writes:
            _fail(self._writes.popleft(), LinkError("the link was lost before it was sent", source=self._source))

    async def _call(self, call: Awaitable[T], times: int = PATIENCE, more_s: float = 0.0) -> T:
        patience = times * self._section.timeout + more_s
        try:
            async with within(self._clock, patience):
                return await call
        except TimeoutError:
            raise LinkError(f"no answer within {patience:g} s", source=self._source, code="timeout") from None
        finally:
            # A driver, or a library under it, can return or fail in the place of a cancellation: `asyncio.wait_for`
            # does so before Python 3.12. It comes once, and the loop would go on for ever.
            raise_if_cancelled()

    async def _wait(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            if seconds is None:
                await self._wake.wait()
            elif not self._wake.is_set():
                async with within(self._clock, seconds):
                    await self._wake.wait()
        self._wake.clear()

    async def _pause(self, failures: int, *, unless_restored: bool = False) -> None:
        section, clock = self._section, self._clock
        end = clock.monotonic() + pause_s(failures, first_s=section.reconnect_first, most_s=section.reconnect_most)
        while not self._again and clock.monotonic() < end and not (unless_restored and not self._silent):
            await self._wait(end - clock.monotonic())

    async def _close(self) -> None:
        with suppress(LinkError):  # a close that hangs is abandoned
            await self._call(self._driver.close(), times=2)


def _fail(write: _Write, error: CountingRoomError) -> None:
    if not write.taken.done():
        write.taken.set_exception(error)


def _unknown(source: str) -> LinkError:
    return LinkError("the write was interrupted; its outcome is unknown", source=source, code="unknown")
