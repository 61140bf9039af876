"""The port of a channel: what sends one message, and what came of it.

A sender blocks, and runs in the thread of its channel alone.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from countingroom.core.notify.messages import Notification

IsWanted = Callable[[], bool]
"""Whether the message shall still be sent. It is asked in the thread of the channel, and only reads."""


class TryOutcome(StrEnum):
    """What came of one try."""

    ACCEPTED = "accepted"
    """The receiver, or the first server on the way, has taken it over."""
    REFUSED = "refused"
    """It was not delivered, and the same message would be refused again."""
    FAILED = "failed"
    """It was not delivered; another try may do it."""
    UNKNOWN = "unknown"
    """The answer was lost or said nothing of it: it may have been delivered. Another try may be a repeat."""
    UNWANTED = "unwanted"
    """It was not sent, because it was not wanted any more."""


class Delivery(Struct, frozen=True, kw_only=True):
    """What came of one try."""

    outcome: TryOutcome
    text: str = ""
    """In words, with the answer of the server: why it was not accepted, or what was said beside the acceptance. Without
    secrets."""


class Sender(Protocol):
    """Sends messages through one channel."""

    @property
    def kind(self) -> str:
        """For display: `mail`."""
        ...

    def send(self, message: Notification, is_wanted: IsWanted) -> Delivery:
        """Send one message; it blocks and raises nothing that is foreseen. `is_wanted` is asked as late as possible."""
        ...

    def abort(self) -> None:
        """End a try that takes too long, from another thread. It may do nothing."""
        ...


def refused(text: str) -> Delivery:
    """It was refused for good."""
    return Delivery(outcome=TryOutcome.REFUSED, text=text)


def failed(text: str) -> Delivery:
    """It was not delivered this time."""
    return Delivery(outcome=TryOutcome.FAILED, text=text)


def unknown(text: str) -> Delivery:
    """It may have been delivered."""
    return Delivery(outcome=TryOutcome.UNKNOWN, text=text)


ACCEPTED = Delivery(outcome=TryOutcome.ACCEPTED)
UNWANTED = Delivery(outcome=TryOutcome.UNWANTED, text="it was not wanted any more")
