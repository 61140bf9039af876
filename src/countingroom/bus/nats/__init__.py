"""The bus on NATS servers with JetStream.

Start with `bus.py`: `connect` opens a connection, `NatsBus` is the adapter of the port. Only `connection.py` uses
nats-py.
"""

from countingroom.bus.nats.bus import connect

__all__ = ["connect"]
