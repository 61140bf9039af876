"""The bus on NATS servers with JetStream.

Start with `bus.py`: `connect` opens a connection, `NatsBus` is the adapter of the port. Only `connection.py` and
`pinned_client.py` use nats-py.
"""

from countingroom.bus.nats.bus import connect

__all__ = ["connect"]
