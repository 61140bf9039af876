"""Disconnect events: the NATS server reports each connection that ends, with the name of the connection. Pure.

They come on `subjects.DEPARTURES` as the server's own advisories and show the end of a process earlier than missing
heartbeats. The client chooses the name itself, so it is no proof of identity.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from countingroom.bus.port import Message
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.subjects import DEPARTURES

_SILENT = "Stale Connection"
"""The server closed the connection because pings were not answered. The client may still run behind a slow network;
its heartbeats decide."""


class Departure(Struct, frozen=True, kw_only=True):
    """A connection that ended."""

    name: str
    reason: str
    """The server's text: `Client Closed`."""

    @property
    def sure(self) -> bool:
        """Whether the client has certainly gone, and has not only stopped answering pings."""
        return self.reason != _SILENT


class _Client(Struct):
    name: str = ""


class _Advisory(Struct):
    client: _Client
    reason: str = ""


def departure(name: str, reason: str = "Client Closed") -> Message:
    """The message of a server about the end of a connection (for the memory bus and tests)."""
    return Message(subject=DEPARTURES, data=msgspec.json.encode(_Advisory(_Client(name), reason)))


def read(message: Message) -> Departure | None:
    """Decode a disconnect event; None when it has another format."""
    try:
        advisory = decode_json(message.data, _Advisory)
    except Malformed:
        return None
    return Departure(name=advisory.client.name, reason=advisory.reason)
