"""Messages to and from a broker. Pure."""

from __future__ import annotations

from msgspec import Struct

MOST_PAYLOAD = 1024
"""Bytes of a command; dashboards send at most some tens."""
BURST = 100
"""Messages that are published at once; then there is a pause."""
PAUSE_S = 0.05
"""The listener of the bus keeps out who sends more than 5,000 a second, if its user has no other limit."""


class Publication(Struct, frozen=True, kw_only=True):
    """A message to publish, with QoS 0."""

    topic: str
    payload: bytes
    retain: bool = False


class Incoming(Struct, frozen=True, kw_only=True):
    """A message that came in."""

    topic: str
    payload: bytes
    """At most one byte more than MOST_PAYLOAD: enough to see that it is too long."""
    retained: bool


def shown(message: Incoming) -> str:
    """The begin of the payload, for people."""
    text = printable(message.payload[:100].decode(errors="replace"))
    return text + ("…" if len(message.payload) > 100 else "")


def printable(text: str) -> str:
    """The text, with escapes for letters that cannot be printed."""
    return text if text.isprintable() else ascii(text)
