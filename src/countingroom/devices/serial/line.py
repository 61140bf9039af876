"""Serial lines with requests and answers that end in a terminator. One request is under way on a port at a time.

The address is a serial port, a pseudo terminal or `socket://host:port`. All `SerialLine`s of one address share one
port of `SerialPorts`, and their requests queue for it. A late answer is never taken for the answer to the next request:
after a timeout or a cancelled request, `pending_answers.py` knows which answers may still come, and a probe whose
answer cannot be confused with any other brings the line back into step.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import serialx
from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.clock import Clock, SystemClock, timeout
from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.devices.serial.pending_answers import PendingAnswers, Probe

_MOST_BUFFERED = 1 << 16
_MOST_PROBES = 64
_MOST_STRAYS = 256
_CLOSE_DEADLINE_S = 1.0


class Settings(Struct, frozen=True, kw_only=True):
    """Parameters of a line. A socket uses only `address`, `terminator` and `probes`."""

    address: str
    """`/dev/ttyUSB0`, a pseudo terminal, or `socket://host:port`."""
    baudrate: int = 9600
    bits: int = 8
    parity: str = "N"
    stop_bits: float = 1
    rtscts: bool = False
    terminator: bytes = b"\n"
    """The end of an answer; it is removed. The end of a request is part of the request."""
    probes: tuple[Probe, ...] = ()
    """Requests that bring the line back into step. Without any, the line waits for silence."""


class SerialPorts:
    """The serial ports of one device host, by address. Get it by `resources.get(SerialPorts)`."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        # A port stays here after its last user has closed it: the device may still answer what it was asked before,
        # so the list of pending answers must outlive the open file.
        self._ports: dict[str, _Port] = {}

    def line(self, settings: Settings) -> SerialLine:
        """A new user of the port at this address; ConfigurationError where another user set it up differently."""
        port = self._ports.get(settings.address)
        if port is None:
            port = _Port(settings, self._clock)
            self._ports[settings.address] = port
        elif port.settings != settings:
            raise ConfigurationError(
                f"{settings.address} is in use with other settings",
                source=settings.address,
                suggestion="give every device on one line the same line settings",
            )
        return SerialLine(port)

    async def close(self) -> None:
        """Close every port."""
        for port in self._ports.values():
            await port.close()
        self._ports.clear()


class SerialLine:
    """One user's access to a port; made by `SerialPorts.line`."""

    def __init__(self, port: _Port) -> None:
        self._port = port

    async def open(self, timeout_s: float) -> None:
        """Open the port, or join its other users; LinkError where it cannot be opened."""
        await self._port.open(self, timeout_s)

    async def query(self, request: bytes, *, timeout_s: float, quiet_s: float = 0.0) -> bytes:
        """The answer to a request; LinkError when there is none in time. Then nothing is sent for `quiet_s`."""
        return await self._port.query(self, request, timeout_s, quiet_s)

    async def send(self, request: bytes, *, quiet_s: float = 0.0) -> None:
        """Send a request that the device does not answer. Then nothing is sent for `quiet_s`."""
        await self._port.send(self, request, quiet_s)

    async def close(self) -> None:
        """Leave the port; its last user closes it."""
        await self._port.leave(self)


def _as_the_port_can(settings: Settings) -> Settings:
    """Settings that a pseudo terminal accepts: 8 bits and no parity. It refuses others when it is opened again."""
    if Path(settings.address).resolve().parent == Path("/dev/pts"):
        return replace(settings, bits=8, parity="N", stop_bits=1, rtscts=False)
    return settings


class _Receiver(asyncio.Protocol):
    """Collects received bytes, up to a bound."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.lost = ""
        """Why the connection was lost; empty while it is up."""
        self._news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        if len(self.buffer) + len(data) > _MOST_BUFFERED:
            self.buffer.clear()
        self.buffer += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = str(exc or "closed by the other side")
        self._news.set()

    def arrived(self, terminator: bytes) -> bytes | None:
        """The next answer without its terminator; None until it is complete."""
        end = self.buffer.find(terminator)
        if end < 0:
            return None
        answer = bytes(self.buffer[:end])
        del self.buffer[: end + len(terminator)]
        return answer

    async def line(self, terminator: bytes) -> bytes:
        """Wait for the next answer."""
        while (answer := self.arrived(terminator)) is None:
            if self.lost:
                raise LinkError(self.lost)
            self._news.clear()
            await self._news.wait()
        return answer


class _Port:
    """One port: opened by its first user, closed by its last."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()
        self._users: set[SerialLine] = set()
        self._transport: serialx.BaseSerialTransport | None = None
        self._receiver = _Receiver()
        self._ready_at = 0.0
        self._pending = PendingAnswers(settings.probes)
        """Kept while the port is closed: the device may still answer an earlier request."""

    async def open(self, user: SerialLine, timeout_s: float) -> None:
        async with self._turn:
            if self._transport is None or self._receiver.lost:
                await self._drop()
                await self._connect(timeout_s)
                self._pending.opened()
            self._users.add(user)

    async def leave(self, user: SerialLine) -> None:
        self._users.discard(user)
        if not self._users:
            await self._drop()

    async def close(self) -> None:
        self._users.clear()
        await self._drop()

    async def query(self, user: SerialLine, request: bytes, timeout_s: float, quiet_s: float) -> bytes:
        async with self._turn:
            if not self._pending.may_ask(request):
                await self._fall_in_step(user, request, timeout_s, quiet_s)
            await self._send(user, request, quiet_s, answered=True)
            for _ in range(_MOST_STRAYS):
                answer = await self._next(timeout_s)
                if self._pending.belongs(answer):
                    self._ready_at = self._clock.monotonic() + quiet_s
                    return answer
            raise self._babble()

    async def send(self, user: SerialLine, request: bytes, quiet_s: float) -> None:
        async with self._turn:
            await self._send(user, request, quiet_s, answered=False)

    async def _connect(self, timeout_s: float) -> None:
        receiver, line = _Receiver(), _as_the_port_can(self.settings)
        try:
            async with timeout(timeout_s):
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
                async with timeout(_CLOSE_DEADLINE_S):
                    await transport.wait_closed()

    async def _send(self, user: SerialLine, request: bytes, quiet_s: float, *, answered: bool) -> None:
        await self._clock.sleep(self._ready_at - self._clock.monotonic())
        if user not in self._users or self._transport is None or self._receiver.lost:
            raise LinkError(f"{self.settings.address} is closed", source=self.settings.address)
        # What arrived between two requests is a late answer. It must leave the buffer now, or the next request gets it.
        while (late := self._receiver.arrived(self.settings.terminator)) is not None:
            self._pending.stray(late)
        try:
            self._transport.write(request)
        except (OSError, serialx.SerialException) as error:
            raise LinkError(f"{self.settings.address} was lost: {error}", source=self.settings.address) from error
        self._ready_at = self._clock.monotonic() + quiet_s
        if answered:
            self._pending.asked(request)

    async def _next(self, timeout_s: float) -> bytes:
        try:
            async with timeout(timeout_s):
                return await self._receiver.line(self.settings.terminator)
        except TimeoutError as error:
            raise LinkError(
                f"no answer on {self.settings.address} within {timeout_s:g} s", source=self.settings.address
            ) from error

    async def _fall_in_step(self, user: SerialLine, request: bytes, timeout_s: float, quiet_s: float) -> None:
        """Send probes until no earlier answer can be confused with the answer to this request."""
        for _ in range(_MOST_PROBES):
            probe = self._pending.probe_for(request)
            if probe is not None:
                await self._send(user, probe.request, quiet_s, answered=True)
            if await self._listen(request, timeout_s, probed=probe is not None):
                return
        raise self._babble()

    async def _listen(self, request: bytes, timeout_s: float, *, probed: bool) -> bool:
        """Attribute what arrives. True when the request may be sent, False when another probe is needed first.

        The next probe is sent at once, because a device that answers is alive. Silence after a probe is a lost link.
        Without probes silence is the sign that the line is in step: every late answer has arrived or is lost.
        """
        for _ in range(_MOST_STRAYS):
            try:
                stray = self._pending.stray(await self._next(timeout_s))
            except LinkError:
                if probed or self._receiver.lost:
                    raise
                self._pending.answered()
                return True
            if stray:
                return self._pending.may_ask(request)
        raise self._babble()

    def _babble(self) -> LinkError:
        return LinkError(f"{self.settings.address} sends answers without a request", source=self.settings.address)
