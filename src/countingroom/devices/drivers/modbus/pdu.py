"""Requests and answers of Modbus, without and with the frames of TCP and RTU. Pure.

After the Modbus Application Protocol 1.1b3 and Modbus over Serial Line 1.02. An answer is checked against its request:
another function, another size or another address is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from countingroom.core.errors import DeviceError

READ = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
"""Table -> the function that reads it."""
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS, READ_WRITE = 5, 6, 15, 16, 23
MOST_WORDS = 125
"""Registers of one request: the protocol's limit."""
MOST_BITS = 2000
HEADER_SIZE = 7
"""Of a TCP frame: transaction, protocol, length, unit."""
MOST_FRAME = 260

_BITS = (1, 2)
_WORDS = (3, 4, READ_WRITE)
_ECHOED = (WRITE_COIL, WRITE_REGISTER)
_ERROR = 0x80

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway no response",
}
GATEWAY = (10, 11)
"""Exceptions of a gateway whose unit does not answer."""
OF_THE_REQUEST = (1, 2, 3, 4)
"""Exceptions that depend on which registers were asked for."""


class ModbusRefusal(DeviceError):
    """The device answered with an exception."""

    code = "modbus_refusal"


def read_request(table: str, address: int, count: int) -> bytes:
    """Read neighbouring bits or registers."""
    return struct.pack(">BHH", READ[table], address, count)


def write_request(function: int, address: int, values: Sequence[int]) -> bytes:
    """Write bits (0 or 1) or registers."""
    count = len(values)
    match function:
        case 5:
            return struct.pack(">BHH", function, address, 0xFF00 if values[0] else 0)
        case 6:
            return struct.pack(">BHH", function, address, values[0])
        case 15:
            packed = sum(bool(value) << place for place, value in enumerate(values))
            size = (count + 7) // 8
            return struct.pack(">BHHB", function, address, count, size) + packed.to_bytes(size, "little")
        case 16:
            return struct.pack(f">BHHB{count}H", function, address, count, 2 * count, *values)
        case 23:
            return struct.pack(f">BHHHHB{count}H", function, address, count, address, count, 2 * count, *values)
        case _:
            raise DeviceError(f"function {function} writes nothing", code="read_only")


def values_of(request: bytes, answer: bytes) -> list[int]:
    """The bits or registers in an answer, empty for a write; DeviceError where it does not answer this request."""
    function = request[0]
    if len(answer) == 2 and answer[0] == function | _ERROR:
        raise refused(answer[1])
    if not answer or answer[0] != function:
        raise nonsense(f"an answer of function {answer[0] if answer else 'none'} to function {function}")
    if function in _BITS:
        count = int.from_bytes(request[3:5], "big")
        data = _counted(answer, (count + 7) // 8)
        return [data[place // 8] >> place % 8 & 1 for place in range(count)]
    if function in _WORDS:
        count = int.from_bytes(request[3:5], "big")
        return list(struct.unpack(f">{count}H", _counted(answer, 2 * count)))
    expected = request if function in _ECHOED else request[:5]
    if answer != expected:
        raise nonsense("an answer that repeats another address, value or number than was written")
    return []


def _counted(answer: bytes, size: int) -> bytes:
    if len(answer) != 2 + size or answer[1] != size:
        raise nonsense(f"an answer of {max(0, len(answer) - 2)} bytes where {size} belong")
    return answer[2:]


def refused(number: int) -> ModbusRefusal:
    """The error of an exception."""
    name = EXCEPTIONS.get(number, "unknown")
    return ModbusRefusal(
        f"exception {number}, {name}", code=f"modbus_{name.replace(' ', '_')}", evidence={"exception": number}
    )


def nonsense(message: str) -> DeviceError:
    """The error of an answer that does not belong to its request."""
    return DeviceError(message, code="nonsense")


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """The request with its TCP header."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def tcp_header(header: bytes) -> tuple[int, int, int]:
    """Transaction, unit, and how many bytes follow; DeviceError where this is no header."""
    transaction, protocol, length, unit = struct.unpack(">HHHB", header)
    if protocol != 0 or not 2 <= length <= MOST_FRAME - 6:
        raise nonsense("a header that is not of Modbus TCP")
    return transaction, unit, length - 1


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """The request with unit and check sum."""
    frame = bytes((unit,)) + pdu
    return frame + crc(frame)


def rtu_size(head: bytes) -> int | None:
    """The size of the answer that begins so; None while too little of it is known; DeviceError where it is none."""
    if len(head) < 3:
        return None
    function = head[1]
    if function & _ERROR:
        return 5
    if function in _BITS or function in _WORDS:
        return 5 + head[2]
    if function in (*_ECHOED, WRITE_COILS, WRITE_REGISTERS):
        return 8
    raise nonsense(f"an answer of function {function}")


def rtu_parts(frame: bytes) -> tuple[int, bytes]:
    """Unit and answer of a complete frame; DeviceError where the check sum is wrong."""
    if crc(frame[:-2]) != frame[-2:]:
        raise nonsense("an answer with a wrong check sum")
    return frame[0], frame[1:-2]


def crc(data: bytes) -> bytes:
    """The check sum of an RTU frame, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")
