"""Devices that are described by their register table, over Modbus TCP.

Start with `driver.py`; `link.py` is the only file that uses the client library, `codec.py` converts registers.
"""
