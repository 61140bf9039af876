"""Law: a line has one owner and one question under way; a late answer is never taken for the answer to the next.

A serial port, a pseudo terminal or `socket://host:port`, carrying requests and answers that end in a terminator. All
`Line`s of one address in a process share one port, and their questions queue for it. A device answers in the order it
was asked and its answers carry no number, so after a timeout (or a cancelled question) the port is out of step: before
the next question it asks a probe whose answer cannot be mistaken, and throws away everything up to that answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

import serialx
from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import ConfigurationError, LinkError

_MOST_BUFFERED = 1 << 16
_MOST_OWED = 64
_MOST_STRAYS = 256
_CLOSE_DEADLINE_S = 1.0


class Settings(Struct, frozen=True, kw_only=True):
    """How the bytes travel. Only `address` and `terminator` matter to a socket."""

    address: str
    """`/dev/ttyUSB0`, a pseudo terminal, or `socket://host:port`."""
    baudrate: int = 9600
    bits: int = 8
    parity: str = "N"
    stop_bits: float = 1
    rtscts: bool = False
    terminator: bytes = b"\n"
    """What an answer ends with; it is cut off. What a request ends with belongs to the request."""


class Probe(Struct, frozen=True):
    """A harmless question whose answer cannot be taken for another's."""

    request: bytes
    recognises: Callable[[bytes], bool]


class Line:
    """One user's end of a line."""

    def __init__(self, settings: Settings, *, probes: Sequence[Probe] = (), clock: Clock | None = None) -> None:
        """`probes`: best two of different kinds; without any, getting back in step is waiting for silence."""
        self._port = _port(settings, clock or SystemClock())
        self._probes = tuple(probes)

    async def open(self, timeout_s: float) -> None:
        """Take the line; LinkError where it cannot be had."""
        await self._port.open(self, timeout_s)

    async def query(self, request: bytes, *, timeout_s: float, quiet_s: float = 0.0) -> bytes:
        """The answer to a request; LinkError when there is none in time. Nothing else is sent for `quiet_s` after."""
        return await self._port.query(self, request, timeout_s, quiet_s, self._probes)

    async def tell(self, request: bytes, *, quiet_s: float = 0.0) -> None:
        """Send what is not answered."""
        await self._port.tell(self, request, quiet_s)

    async def close(self) -> None:
        """Let go of the line; the last user to do so closes the port."""
        await self._port.leave(self)


_ports: WeakValueDictionary[str, _Port] = WeakValueDictionary()


def _port(settings: Settings, clock: Clock) -> _Port:
    """The one port of this address in this process."""
    port = _ports.get(settings.address)
    if port is None:
        port = _ports[settings.address] = _Port(settings, clock)
    elif port.settings != settings:
        raise ConfigurationError(
            f"{settings.address} is in use with other settings",
            source=settings.address,
            suggestion="give every device on one line the same line settings",
        )
    return port


def _as_the_port_can(settings: Settings) -> Settings:
    """A pseudo terminal knows 8 bits and no parity only, and refuses to be told otherwise the second time."""
    if Path(settings.address).resolve().parent == Path("/dev/pts"):
        return replace(settings, bits=8, parity="N", stop_bits=1, rtscts=False)
    return settings


class _Receiver(asyncio.Protocol):
    """Collects what arrives, a bounded amount of it."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.lost = ""
        """Why the connection is gone."""
        self._news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        if len(self.buffer) + len(data) > _MOST_BUFFERED:
            self.buffer.clear()
        self.buffer += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = str(exc or "closed by the other side")
        self._news.set()

    async def line(self, terminator: bytes) -> bytes:
        """The next answer, without its terminator."""
        while (end := self.buffer.find(terminator)) < 0:
            if self.lost:
                raise LinkError(self.lost)
            self._news.clear()
            await self._news.wait()
        answer = bytes(self.buffer[:end])
        del self.buffer[: end + len(terminator)]
        return answer


class _Port:
    """The port itself: opened by its first user, closed by its last."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()
        self._users: set[Line] = set()
        self._transport: serialx.BaseSerialTransport | None = None
        self._receiver = _Receiver()
        self._ready_at = 0.0
        self._owed: deque[bytes] = deque(maxlen=_MOST_OWED)
        """Requests whose answers may still come. They outlive the port being closed: the device remembers."""

    async def open(self, user: Line, timeout_s: float) -> None:
        async with self._turn:
            if self._transport is None or self._receiver.lost:
                await self._drop()
                await self._connect(timeout_s)
            self._users.add(user)

    async def leave(self, user: Line) -> None:
        self._users.discard(user)
        if not self._users:
            await self._drop()

    async def query(
        self, user: Line, request: bytes, timeout_s: float, quiet_s: float, probes: Sequence[Probe]
    ) -> bytes:
        async with self._turn:
            if self._owed:
                await self._fall_in_step(user, timeout_s, quiet_s, probes)
            return await self._ask(user, request, timeout_s, quiet_s)

    async def tell(self, user: Line, request: bytes, quiet_s: float) -> None:
        async with self._turn:
            await self._send(user, request, quiet_s)

    async def _connect(self, timeout_s: float) -> None:
        receiver, line = _Receiver(), _as_the_port_can(self.settings)
        try:
            async with asyncio.timeout(timeout_s):
                self._transport, _ = await serialx.create_serial_connection(
                    asyncio.get_running_loop(),
                    lambda: receiver,
                    line.address,
                    line.baudrate,
                    parity=serialx.Parity(line.parity),
                    stopbits=serialx.StopBits(line.stop_bits),
                    rtscts=line.rtscts,
                    byte_size=line.bits,
                )
        except (OSError, ValueError, serialx.SerialException) as error:
            raise LinkError(
                f"cannot open {line.address}: {error or 'no answer'}",
                source=line.address,
                suggestion="check the cable, the address and that no other program has the port open",
            ) from error
        self._receiver = receiver

    async def _drop(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            with suppress(OSError, serialx.SerialException):
                async with asyncio.timeout(_CLOSE_DEADLINE_S):
                    await transport.wait_closed()

    async def _send(self, user: Line, request: bytes, quiet_s: float) -> None:
        await self._clock.sleep(self._ready_at - self._clock.monotonic())
        if user not in self._users or self._transport is None or self._receiver.lost:
            raise LinkError(f"{self.settings.address} is closed", source=self.settings.address)
        self._receiver.buffer.clear()
        self._transport.write(request)
        self._ready_at = self._clock.monotonic() + quiet_s

    async def _ask(self, user: Line, request: bytes, timeout_s: float, quiet_s: float) -> bytes:
        """Send and wait. Until its answer is here the request is owed one, however this ends."""
        await self._send(user, request, quiet_s)
        self._owed.append(request)
        answer = await self._next(timeout_s)
        self._owed.pop()
        self._ready_at = self._clock.monotonic() + quiet_s
        return answer

    async def _next(self, timeout_s: float) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._receiver.line(self.settings.terminator)
        except TimeoutError as error:
            raise LinkError(
                f"no answer on {self.settings.address} within {timeout_s:g} s", source=self.settings.address
            ) from error

    async def _fall_in_step(self, user: Line, timeout_s: float, quiet_s: float, probes: Sequence[Probe]) -> None:
        """Until nothing that was asked before can be mistaken for an answer to what is asked next.

        Where no probe of that kind is owed, the first recognised answer is the probe's own and ends everything older.
        Otherwise as many as were asked must come, unless the line then stays silent for a whole timeout: lost ones.
        Without probes the line must stay silent for a whole timeout.
        """
        probe = next((one for one in probes if one.request not in self._owed), probes[0] if probes else None)
        awaited = 0
        if probe is not None:
            await self._send(user, probe.request, quiet_s)
            self._owed.append(probe.request)
            awaited = self._owed.count(probe.request)
        heard = 0
        for _ in range(_MOST_STRAYS):
            try:
                answer = await self._next(timeout_s)
            except LinkError:
                if self._receiver.lost or (probe is not None and not heard):
                    raise
                break
            heard += probe is not None and probe.recognises(answer)
            if probe is not None and heard == awaited:
                break
        else:
            raise LinkError(f"{self.settings.address} does not stop talking", source=self.settings.address)
        self._owed.clear()
