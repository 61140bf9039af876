"""A Modbus TCP server on loopback. Its link can be dropped, frozen and slowed down."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress

from countingroom.core.clock import Clock
from countingroom.simulators.register_image import RegisterImage
from countingroom.simulators.tcp_server import TcpServer

Written = Callable[[], None]

_READ = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE, _NO_UNIT = 1, 2, 3, 11


class _Refused(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class ModbusServer:
    """Serves an image. `drop` ends connections and refuses new ones; `freeze` leaves requests open."""

    def __init__(self, image: RegisterImage, clock: Clock, written: Written) -> None:
        self.slow_s = 0.0
        self.writes = 0
        self.requests = 0
        self._image = image
        self._clock = clock
        self._written = written
        self._awake = asyncio.Event()
        self._awake.set()
        self._server = TcpServer(self._serve)

    async def open(self, port: int = 0) -> int:
        """Listen on loopback; the port."""
        return await self._server.open(port)

    async def close(self) -> None:
        """Stop the server and end its connections."""
        await self._server.close()

    def freeze(self) -> None:
        """Accept requests and do not answer them."""
        self._awake.clear()

    def thaw(self) -> None:
        """Answer the waiting requests, late."""
        self._awake.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                request = await reader.readexactly(length - 1)
                self.requests += 1
                if self.slow_s:
                    await self._clock.sleep(self.slow_s)
                await self._awake.wait()
                answer = self._answer(unit, request)
                writer.write(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)

    def _answer(self, unit: int, request: bytes) -> bytes:
        try:
            return self._carried_out(unit, request)
        except _Refused as refused:
            return bytes((request[0] | 0x80, refused.number))
        except (struct.error, IndexError):
            return bytes((request[0] | 0x80, _ILLEGAL_VALUE))

    def _carried_out(self, unit: int, request: bytes) -> bytes:
        if unit not in self._image.units:
            raise _Refused(_NO_UNIT)
        function = request[0]
        address, number = struct.unpack(">HH", request[1:5])
        match function:
            case 1 | 2:
                bits = self._read(unit, _READ[function], address, number)
                packed = sum(bool(bit) << place for place, bit in enumerate(bits))
                size = (number + 7) // 8
                return bytes((function, size)) + packed.to_bytes(size, "little")
            case 3 | 4:
                return self._words(function, self._read(unit, _READ[function], address, number))
            case 5:
                self._write(unit, "coil", address, [int(number == 0xFF00)])
                return request
            case 6:
                self._write(unit, "holding", address, [number])
                return request
            case 15:
                packed = int.from_bytes(request[6:], "little")
                self._write(unit, "coil", address, [packed >> place & 1 for place in range(number)])
                return request[:5]
            case 16:
                self._write(unit, "holding", address, list(struct.unpack(f">{number}H", request[6:])))
                return request[:5]
            case 23:
                to, count = struct.unpack(">HH", request[5:9])
                self._write(unit, "holding", to, list(struct.unpack(f">{count}H", request[10:])))
                return self._words(function, self._read(unit, "holding", address, number))
            case _:
                raise _Refused(_ILLEGAL_FUNCTION)

    def _words(self, function: int, words: list[int]) -> bytes:
        return struct.pack(f">BB{len(words)}H", function, 2 * len(words), *words)

    def _read(self, unit: int, table: str, address: int, count: int) -> list[int]:
        try:
            return [self._image.words[unit, table, address + offset] for offset in range(count)]
        except KeyError:
            raise _Refused(_ILLEGAL_ADDRESS) from None

    def _write(self, unit: int, table: str, address: int, values: list[int]) -> None:
        self._read(unit, table, address, len(values))
        for offset, value in enumerate(values):
            self._image.words[unit, table, address + offset] = value
        self.writes += 1
        self._written()
