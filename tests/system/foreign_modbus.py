"""Modbus servers that we did not write, as a child process: foreign_modbus.py KIND ADDRESS; it prints `ready`.

Holding registers 0 to 99 hold three times their address, coil 5 and discrete input 6 are on, input register 7 is 777.
`marta` has registers of its own.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import threading
import time
from contextlib import suppress

HOLDING = [3 * address for address in range(100)]
UNIT = 1


def modbus_tk(server: object) -> None:
    """A server of modbus-tk with its tables."""
    from modbus_tk import defines

    server.start()  # type: ignore[attr-defined]
    slave = server.add_slave(UNIT)  # type: ignore[attr-defined]
    for name, kind in (("c", defines.COILS), ("d", defines.DISCRETE_INPUTS)):
        slave.add_block(name, kind, 0, 100)
    for name, kind in (("h", defines.HOLDING_REGISTERS), ("i", defines.ANALOG_INPUTS)):
        slave.add_block(name, kind, 0, 100)
    slave.set_values("h", 0, HOLDING)
    slave.set_values("c", 5, [1])
    slave.set_values("d", 6, [1])
    slave.set_values("i", 7, [777])


def tk_tcp(address: str) -> None:
    from modbus_tk.modbus_tcp import TcpServer

    modbus_tk(TcpServer(port=int(address), address="127.0.0.1"))
    while True:  # it listens in a thread, a moment later
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(address))):
            return
        time.sleep(0.01)


def tk_rtu(address: str) -> None:
    import serial
    from modbus_tk.modbus_rtu import RtuServer

    modbus_tk(RtuServer(serial.Serial(address, 9600)))


def py_modbus_tcp(address: str) -> None:
    from pyModbusTCP.server import DataBank, ModbusServer

    bank = DataBank(coils_size=100, d_inputs_size=100, h_regs_size=100, i_regs_size=100)
    bank.set_holding_registers(0, HOLDING)
    bank.set_coils(5, [True])
    bank.set_discrete_inputs(6, [True])
    bank.set_input_registers(7, [777])
    ModbusServer(host="127.0.0.1", port=int(address), data_bank=bank, no_block=True).start()


def marta_plant(address: str) -> None:
    """pyModbusTCP with the registers of a MARTA plant: each number is a quarter of its address."""
    from pyModbusTCP.server import DataBank, ModbusServer

    bank = DataBank(h_regs_size=400)
    for place in range(100, 212, 2):
        high, low = struct.unpack(">HH", struct.pack(">f", place / 4))
        bank.set_holding_registers(place, [low, high])
    bank.set_holding_registers(302, [1 << 4])
    bank.set_holding_registers(305, [0b0100])
    ModbusServer(host="127.0.0.1", port=int(address), data_bank=bank, no_block=True).start()


def pymodbus_rtu_over_tcp(address: str) -> None:
    from pymodbus.framer import FramerType
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    async def serve() -> None:
        bits = [place == 5 for place in range(112)]
        other = [place == 6 for place in range(112)]
        inputs = [777 if place == 7 else 0 for place in range(100)]
        device = SimDevice(
            id=UNIT,
            simdata=(
                [SimData(0, values=bits, datatype=DataType.BITS)],
                [SimData(0, values=other, datatype=DataType.BITS)],
                [SimData(0, values=HOLDING, datatype=DataType.REGISTERS)],
                [SimData(0, values=inputs, datatype=DataType.REGISTERS)],
            ),
        )
        server = ModbusTcpServer(device, framer=FramerType.RTU, address=("127.0.0.1", int(address)))
        await server.serve_forever(background=True)
        print("ready", flush=True)
        await asyncio.Future()

    asyncio.run(serve())


def u_modbus(address: str) -> None:
    """A server of uModbus: a function of ours for each table. It has no function 23."""
    from socketserver import TCPServer

    from umodbus.server.tcp import RequestHandler, get_server

    served = get_server(TCPServer, ("127.0.0.1", int(address)), RequestHandler)
    everywhere = list(range(100))
    tables = {1: [0] * 100, 2: [0] * 100, 3: list(HOLDING), 4: [0] * 100}
    tables[1][5] = tables[2][6] = 1
    tables[4][7] = 777

    def read(slave_id: int, function_code: int, address: int) -> int:
        return tables[function_code][address]

    def write(slave_id: int, function_code: int, address: int, value: int) -> None:
        tables[1 if function_code in (5, 15) else 3][address] = value

    served.route(slave_ids=[UNIT], function_codes=[1, 2, 3, 4], addresses=everywhere)(read)
    served.route(slave_ids=[UNIT], function_codes=[5, 6, 15, 16], addresses=everywhere)(write)
    threading.Thread(target=served.serve_forever).start()


if __name__ == "__main__":
    {
        "tk-tcp": tk_tcp,
        "tk-rtu": tk_rtu,
        "pyModbusTCP": py_modbus_tcp,
        "marta": marta_plant,
        "uModbus": u_modbus,
        "pymodbus-rtu-over-tcp": pymodbus_rtu_over_tcp,
    }[sys.argv[1]](sys.argv[2])
    print("ready", flush=True)
    threading.Event().wait()
