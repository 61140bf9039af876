"""A Modbus TCP server on loopback whose link can be dropped, frozen and slowed down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from countingroom.core.clock import Clock
from countingroom.core.errors import LinkError
from countingroom.simulators.register_image import RegisterImage

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

Written = Callable[[], None]


class ModbusServer:
    """Serves an image. `drop` ends connections and refuses new ones; `freeze` leaves requests open."""

    def __init__(self, image: RegisterImage, device_id: int, clock: Clock, written: Written) -> None:
        self.slow_s = 0.0
        self.writes = 0
        self._image = image
        self._device_id = device_id
        self._clock = clock
        self._written = written
        self._awake = asyncio.Event()
        self._awake.set()
        self._server: ModbusTcpServer | None = None
        self._port = 0

    async def open(self, port: int = 0) -> int:
        """Listen on loopback; the port."""
        if self._server is None:
            device = SimDevice(
                id=self._device_id,
                simdata=[
                    SimData(address, values=[0] * count, datatype=DataType.REGISTERS)
                    for address, count in self._image.ranges
                ],
                action=self._access,
            )
            server = ModbusTcpServer(device, address=("127.0.0.1", port or self._port))
            try:
                await server.serve_forever(background=True)
            except RuntimeError as error:
                raise LinkError(f"cannot listen on port {port or self._port}") from error
            self._server = server
            self._port = _port_of(server)
        return self._port

    async def close(self) -> None:
        """Stop the server and end its connections."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.shutdown()

    def freeze(self) -> None:
        """Accept requests and do not answer them."""
        self._awake.clear()

    def thaw(self) -> None:
        """Answer the waiting requests, late."""
        self._awake.set()

    async def _access(
        self,
        function: int,
        first: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Called before the library reads or writes its own registers: copy from and to the image."""
        await self._clock.sleep(self.slow_s)
        await self._awake.wait()
        for offset in range(count):
            if values is not None:
                self._image.words[address + offset] = int(values[offset])
            registers[address - first + offset] = self._image.words[address + offset]
        if values is not None:
            self.writes += 1
            self._written()
        return None


def _port_of(server: ModbusTcpServer) -> int:
    """The port it was given; its transport is an asyncio server while it listens."""
    transport: object = server.transport
    if not isinstance(transport, asyncio.Server):
        raise LinkError("the Modbus server does not listen")
    return transport.sockets[0].getsockname()[1]
