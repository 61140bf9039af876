"""The port of a channel: a sender of messages, and the result of a try.

A sender blocks, and is called only in the thread of its channel.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from countingroom.core.notify.messages import Notification

IsWanted = Callable[[], bool]
"""Whether the message must still be sent. Called in the thread of the channel; it only reads."""


class TryOutcome(StrEnum):
    """The outcome of one try."""

    ACCEPTED = "accepted"
    """The receiver, or the first server on the way, has accepted the message."""
    REFUSED = "refused"
    """Not delivered; the same message would be refused again."""
    FAILED = "failed"
    """Not delivered; a further try may work."""
    UNKNOWN = "unknown"
    """It may have been delivered: the answer was lost or unclear. A further try may be a repeat."""
    UNWANTED = "unwanted"
    """Not sent, because it was no longer wanted."""


class Delivery(Struct, frozen=True, kw_only=True):
    """The result of one try."""

    outcome: TryOutcome
    text: str = ""
    """The answer of the server as text: why it was not accepted, or a remark to the acceptance. Without secrets."""


class Sender(Protocol):
    """Sends messages through one channel."""

    @property
    def kind(self) -> str:
        """The kind of the channel for display: `mail`."""
        ...

    def send(self, message: Notification, is_wanted: IsWanted) -> Delivery:
        """Send one message; blocks. Expected failures are in the result, not raised. Calls `is_wanted` as late as
        possible."""
        ...

    def abort(self) -> None:
        """End a try that takes too long; called from another thread. It may have no effect."""
        ...


def refused(text: str) -> Delivery:
    """The result of a permanent refusal."""
    return Delivery(outcome=TryOutcome.REFUSED, text=text)


def failed(text: str) -> Delivery:
    """The result of a failure after which a further try may work."""
    return Delivery(outcome=TryOutcome.FAILED, text=text)


def unknown(text: str) -> Delivery:
    """The result of a try that may have delivered the message."""
    return Delivery(outcome=TryOutcome.UNKNOWN, text=text)


ACCEPTED = Delivery(outcome=TryOutcome.ACCEPTED)
UNWANTED = Delivery(outcome=TryOutcome.UNWANTED, text="it was not wanted any more")
