"""Connections to Modbus servers and serial buses. All units behind one address share one connection.

Many gateways take one client only, so two devices behind one must not open two. One request is under way at a time.
A TCP answer carries its transaction, and a late one is dropped. An RTU answer carries none: after a missing answer the
connection is opened again, or on a serial bus everything is dropped until it is silent.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import serialx
from msgspec import Struct

from countingroom.core.clock import timeout
from countingroom.core.errors import ConfigurationError, DeviceError, LinkError
from countingroom.devices.drivers.modbus import pdu
from countingroom.devices.drivers.modbus.rtu_answer import RtuAnswer

_ADVICE = "check that the device is on, its address and port, and that no firewall stands between"
_MOST_STRAYS = 64
_MOST_SILENT = 3
"""Requests without an answer before the connection is opened again: its other end may be gone without a word, and as
long as one user remains, nothing else would close it."""
_CLOSE_DEADLINE_S = 1.0
_EVERY_UNIT = 0
"""On a line with RTU a write to this unit is for all units, and none of them answers."""
_TURNAROUND_S = 0.2
"""The time that all units get for such a write. The standard has 0.1 s to 0.2 s."""
_PAUSE_S = 0.2
"""Silence after which an RTU frame is over. Its bytes come without a pause, but servers pass them on in parts."""


class ModbusAddress(Struct, frozen=True, kw_only=True):
    """Where a server or a serial bus is."""

    host: str = ""
    port: int = 502
    is_rtu: bool = False
    """RTU frames over TCP; a serial bus always has them."""
    serial: str = ""
    baudrate: int = 9600
    parity: str = "N"
    stop_bits: int = 1

    @property
    def text(self) -> str:
        """As shown to people."""
        if self.serial:
            return f"serial:{self.serial}"
        return f"modbus{'+rtu' if self.is_rtu else ''}://{self.host}:{self.port}"


class NoAnswer(DeviceError):
    """No answer to one request; the connection is up."""

    code = "unanswered"


class ModbusConnections:
    """The connections of one device host, by address. Get it by `resources.get(ModbusConnections)`."""

    def __init__(self) -> None:
        self._made: dict[str, Connection] = {}

    def at(self, place: ModbusAddress) -> Connection:
        """The connection to this place, shared by its users; ConfigurationError where another has it differently."""
        made = self._made.setdefault(place.text, Connection(place))
        if made.place != place:
            raise ConfigurationError(
                f"{place.text} is in use with other settings",
                source=place.text,
                suggestion="give every device on one bus the same baudrate, parity and stop_bits",
            )
        return made

    async def close(self) -> None:
        """Close every connection."""
        for connection in self._made.values():
            await connection.close()
        self._made.clear()


class Connection:
    """One connection: opened by its first user, closed by its last."""

    def __init__(self, place: ModbusAddress) -> None:
        self.place = place
        self._users: set[object] = set()
        self._turn = asyncio.Lock()
        self._reader: asyncio.StreamReader | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._transaction = 0
        self._answers = 0
        """Since the connection was opened."""
        self._closes_after_answers = False
        self._has_late_answer = False
        self._is_echoed = False
        """The line repeats what is sent, as the last read has shown."""
        self._silent = 0
        """Requests without an answer since the last answer."""

    async def join(self, user: object, timeout_s: float) -> None:
        """Open the connection, or share it; LinkError where no device accepts it."""
        async with self._turn:
            if not self._is_up:
                await self._open(timeout_s)
            self._users.add(user)

    async def leave(self, user: object) -> None:
        """The last user closes it. May be called twice."""
        self._users.discard(user)
        if not self._users:
            await self._drop()

    async def close(self) -> None:
        self._users.clear()
        await self._drop()

    async def ask(self, user: object, unit: int, request: bytes, timeout_s: float) -> list[int]:
        """The values in the answer. NoAnswer when there is none in time, LinkError when the connection is lost,
        DeviceError when the device refuses or answers something else."""
        async with self._turn:
            if user not in self._users:
                raise self._lost("is not connected")
            is_read = request[0] in pdu.READ.values()
            # A server that closes after each answer would take the next request without executing it.
            if not self._is_up or (self._closes_after_answers and self._answers and not is_read):
                await self._open(timeout_s)
            is_used = self._answers > 0
            try:
                return await self._exchange(unit, request, timeout_s)
            except (asyncio.IncompleteReadError, OSError) as error:
                await self._drop()
                if not (is_used and is_read):
                    raise self._lost(f"closed the connection: {error}") from error
            self._closes_after_answers = True
            await self._open(timeout_s)
            try:
                return await self._exchange(unit, request, timeout_s)
            except (asyncio.IncompleteReadError, OSError) as error:
                await self._drop()
                raise self._lost(f"closed the connection: {error}") from error

    @property
    def _is_up(self) -> bool:
        return (
            self._transport is not None
            and not self._transport.is_closing()
            and self._reader is not None
            and not self._reader.at_eof()
        )

    async def _exchange(self, unit: int, request: bytes, timeout_s: float) -> list[int]:
        reader, transport = self._reader, self._transport
        if reader is None or transport is None:
            raise self._lost("is not connected")
        if self._has_late_answer:
            await self._until_silent(reader, timeout_s)
        self._transaction = (self._transaction + 1) % 65536
        rtu = self.place.is_rtu or bool(self.place.serial)
        frame = pdu.rtu_frame(unit, request) if rtu else pdu.tcp_frame(self._transaction, unit, request)
        is_for_all = rtu and unit == _EVERY_UNIT and request[0] not in pdu.READ.values()
        transport.write(frame)
        try:
            async with timeout(min(timeout_s, _TURNAROUND_S) if is_for_all else timeout_s):
                answer = await (self._rtu_answer(reader, unit, request) if rtu else self._tcp_answer(reader, unit))
        except TimeoutError:
            if is_for_all:
                return []
            self._silent += 1
            await self._forget_late(rtu)
            raise NoAnswer(f"no answer within {timeout_s:g} s") from None
        except DeviceError:
            await self._forget_late(rtu)
            raise
        self._answers += 1
        self._silent = 0
        return pdu.values_of(request, answer)

    async def _tcp_answer(self, reader: asyncio.StreamReader, unit: int) -> bytes:
        for _ in range(_MOST_STRAYS):
            try:
                transaction, answering, size = pdu.tcp_header(await reader.readexactly(pdu.HEADER_SIZE))
            except DeviceError:
                await self._drop()  # the next header cannot be found in the stream any more
                raise
            answer = await reader.readexactly(size)
            if transaction != self._transaction:
                continue  # the late answer of an earlier request
            if unit and answering != unit:
                raise pdu.nonsense(f"an answer of unit {answering} to a request for unit {unit}")
            return answer
        raise pdu.nonsense("answers of other transactions only")

    async def _rtu_answer(self, reader: asyncio.StreamReader, unit: int, request: bytes) -> bytes:
        search = RtuAnswer(unit, request, is_echoed=self._is_echoed)
        refusal: DeviceError | None = None
        while True:
            try:
                # What is refused may be noise before the answer, which then follows without a pause.
                async with timeout(None if refusal is None else _PAUSE_S):
                    data = await reader.read(pdu.MOST_FRAME)
            except TimeoutError:
                raise refusal or NoAnswer("no answer") from None
            if not data:
                raise asyncio.IncompleteReadError(b"", None)
            if (answer := search.feed(data)) is not None:
                self._is_echoed = search.is_echoed
                return answer
            refusal = search.refusal

    async def _forget_late(self, rtu: bool) -> None:
        """The answer may still come. An RTU answer could be taken for the answer to the next request."""
        if self.place.serial:
            self._has_late_answer = True
        elif rtu or self._silent >= _MOST_SILENT:
            await self._drop()

    async def _until_silent(self, reader: asyncio.StreamReader, timeout_s: float) -> None:
        with suppress(TimeoutError):
            for _ in range(_MOST_STRAYS):
                async with timeout(timeout_s):
                    if not await reader.read(4096):
                        break
        self._has_late_answer = False

    async def _open(self, timeout_s: float) -> None:
        await self._drop()
        try:
            async with timeout(timeout_s):
                await (self._open_serial() if self.place.serial else self._open_tcp())
        except (OSError, ValueError, serialx.SerialException) as error:
            raise LinkError(
                f"{self.place.text} does not answer: {error or 'no connection in time'}",
                source=self.place.text,
                suggestion=_ADVICE,
            ) from error
        self._answers = 0
        self._silent = 0
        self._has_late_answer = False

    async def _open_tcp(self) -> None:
        reader = asyncio.StreamReader()
        self._transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: asyncio.StreamReaderProtocol(reader), self.place.host, self.place.port
        )
        self._reader = reader

    async def _open_serial(self) -> None:
        reader = asyncio.StreamReader()
        self._transport, _ = await serialx.create_serial_connection(
            asyncio.get_running_loop(),
            lambda: asyncio.StreamReaderProtocol(reader),
            self.place.serial,
            self.place.baudrate,
            parity=serialx.Parity(self.place.parity),
            stopbits=serialx.StopBits(self.place.stop_bits),
            byte_size=8,
        )
        self._reader = reader

    async def _drop(self) -> None:
        transport, self._transport = self._transport, None
        self._reader = None
        if transport is None:
            return
        transport.abort()
        wait_closed = getattr(transport, "wait_closed", None)
        if wait_closed is not None:
            with suppress(OSError, TimeoutError, serialx.SerialException):
                async with timeout(_CLOSE_DEADLINE_S):
                    await wait_closed()

    def _lost(self, why: str) -> LinkError:
        return LinkError(f"{self.place.text} {why}", source=self.place.text, suggestion=_ADVICE)
