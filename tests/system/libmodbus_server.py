"""A server of libmodbus, the library in C, as a child process: libmodbus_server.py KIND PORT; it prints `ready`.

The values are those of foreign_modbus.py.
"""

from __future__ import annotations

import ctypes
import sys

LIBMODBUS = "libmodbus.so.5"
HOLDING = [3 * address for address in range(100)]


class Mapping(ctypes.Structure):
    """`modbus_mapping_t` of libmodbus 3.1."""

    _fields_ = (
        *((f"number_{one}", ctypes.c_int) for one in range(8)),
        ("coils", ctypes.POINTER(ctypes.c_uint8)),
        ("discrete", ctypes.POINTER(ctypes.c_uint8)),
        ("input", ctypes.POINTER(ctypes.c_uint16)),
        ("holding", ctypes.POINTER(ctypes.c_uint16)),
    )


def serve(address: str) -> None:
    """It serves one client after the other, without an end."""
    library = ctypes.CDLL(LIBMODBUS)
    library.modbus_new_tcp.restype = ctypes.c_void_p
    library.modbus_mapping_new.restype = ctypes.POINTER(Mapping)
    context = ctypes.c_void_p(library.modbus_new_tcp(b"127.0.0.1", int(address)))
    mapping = library.modbus_mapping_new(100, 100, 100, 100)
    for place, number in enumerate(HOLDING):
        mapping.contents.holding[place] = number
    mapping.contents.coils[5] = mapping.contents.discrete[6] = 1
    mapping.contents.input[7] = 777
    listening = ctypes.c_int(library.modbus_tcp_listen(context, 5))
    request = ctypes.create_string_buffer(260)
    print("ready", flush=True)
    while True:
        library.modbus_tcp_accept(context, ctypes.byref(listening))
        while (length := library.modbus_receive(context, request)) >= 0:
            library.modbus_reply(context, request, length, mapping)
        library.modbus_close(context)


if __name__ == "__main__":
    serve(sys.argv[2])
