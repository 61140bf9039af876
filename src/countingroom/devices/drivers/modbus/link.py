"""The connection to a Modbus TCP device. Only this file uses pymodbus (3.16), whose interface changes often."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from countingroom.core.errors import DeviceError, LinkError

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
"""The host logs what changes; the library would log every lost poll."""

_GATEWAY = (ExcCodes.GATEWAY_PATH_UNAVIABLE, ExcCodes.GATEWAY_NO_RESPONSE)
_ADVICE = "check that the device is on, its address and port, and that no firewall stands between"


class ModbusLink:
    """One TCP connection to one unit, with one request under way at a time (the host calls a driver from one task)."""

    def __init__(self, host: str, port: int, device_id: int, timeout_s: float) -> None:
        self._host = host
        self._port = port
        self._device_id = device_id
        self._timeout_s = timeout_s
        self._client: AsyncModbusTcpClient | None = None

    async def open(self) -> None:
        """Connect; LinkError where the device does not answer."""
        self.close()
        self._client = AsyncModbusTcpClient(
            self._host, port=self._port, timeout=self._timeout_s, retries=0, reconnect_delay=0
        )
        if not await self._client.connect():
            raise LinkError(f"{self._place} does not answer", source=self._place, suggestion=_ADVICE)

    async def read(self, address: int, count: int) -> Sequence[int]:
        """Holding registers."""
        client = self._open_client()
        try:
            answer = await client.read_holding_registers(address, count=count, device_id=self._device_id)
        except ModbusException as error:
            raise self._lost(error) from error
        self._check(answer, f"reading {address} to {address + count - 1}")
        if len(answer.registers) != count:
            raise DeviceError(f"{self._place} gave {len(answer.registers)} registers of {count}", code="nonsense")
        return answer.registers

    async def write(self, address: int, words: Sequence[int]) -> None:
        """Set holding registers."""
        client = self._open_client()
        try:
            answer = await client.write_registers(address, list(words), device_id=self._device_id)
        except ModbusException as error:
            raise self._lost(error) from error
        self._check(answer, f"writing {address}")

    def close(self) -> None:
        """Close the connection. May be called twice."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def _place(self) -> str:
        return f"modbus://{self._host}:{self._port}"

    def _open_client(self) -> AsyncModbusTcpClient:
        if self._client is None or not self._client.connected:
            raise LinkError(f"{self._place} is not connected", source=self._place)
        return self._client

    def _lost(self, error: ModbusException) -> LinkError:
        """Close the connection and make the LinkError.

        The answer may still arrive. On the same connection it could be taken for the answer to the next request; a new
        connection cannot receive it.
        """
        self.close()
        return LinkError(f"{self._place}: {error.string}", source=self._place, suggestion=_ADVICE)

    def _check(self, answer: ModbusPDU, doing: str) -> None:
        if not answer.isError():
            return
        number = answer.exception_code
        name = ExcCodes(number).name.lower() if number in ExcCodes.__members__.values() else "unknown"
        message = f"{self._place} refused {doing}: exception {number}, {name.replace('_', ' ')}"
        if number in _GATEWAY:
            raise LinkError(message, source=self._place, suggestion="check the unit behind the gateway and device_id")
        raise DeviceError(message, source=self._place, code=f"modbus_{name}", evidence={"exception": number})
