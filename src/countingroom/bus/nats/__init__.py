"""The bus on NATS servers with JetStream.

Start with `bus.py`: `connect` opens a connection, `NatsBus` is the adapter of the port. Only `connection.py` and
`pinned_client.py` use nats-py.
"""

from countingroom.core.lean_imports import without

with without("aiohttp"):  # nats-py imports it for URLs that begin with ws://; pinned_client.py loads it for these
    from countingroom.bus.nats.bus import connect

__all__ = ["connect"]
