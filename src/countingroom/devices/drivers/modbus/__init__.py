"""Devices that are described by their register table, over Modbus TCP or RTU.

Start with `driver.py`; `connection.py` does the I/O, `pdu.py` holds the bytes of the protocol, `codec.py` converts
registers, and `read_plan.py` decides which are asked for together.
"""
