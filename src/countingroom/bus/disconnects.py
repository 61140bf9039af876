"""Law: whose connection to the bus ended is told by the server at once, by the name the connection had. Pure.

What comes on `subjects.DEPARTURES` is the server's own advisory. A name is what a client called itself: good for seeing
sooner what heartbeats would show later, not for proving who somebody is.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from countingroom.bus.port import Message
from countingroom.core.subjects import DEPARTURES

_SILENT = "Stale Connection"
"""The server closed it because it heard nothing; whether somebody lives, his heartbeats say."""


class Departure(Struct, frozen=True, kw_only=True):
    """A connection that ended."""

    name: str
    reason: str
    """In the server's words: `Client Closed`."""

    @property
    def sure(self) -> bool:
        """Whether who was connected is gone, and not only unheard."""
        return self.reason != _SILENT


class _Client(Struct):
    name: str = ""


class _Advisory(Struct):
    client: _Client
    reason: str = ""


def departure(name: str, reason: str = "Client Closed") -> Message:
    """What a server says."""
    return Message(subject=DEPARTURES, data=msgspec.json.encode(_Advisory(_Client(name), reason)))


def read(message: Message) -> Departure | None:
    """Who left; None where the message does not say it."""
    try:
        advisory = msgspec.json.decode(message.data, type=_Advisory)
    except msgspec.DecodeError:
        return None
    return Departure(name=advisory.client.name, reason=advisory.reason)
