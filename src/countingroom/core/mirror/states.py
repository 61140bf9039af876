"""The published state of the mirror. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.errors import Cause

FEED_KEY = "mirror.feed"
"""Key in `state` of the feed."""


class FeedState(Struct, frozen=True, kw_only=True):
    """How the feed to the outside stands, at the key `mirror.feed` of the bucket `state`."""

    to: str
    """Where it goes: the URL of the receiver, or the public store of this computer."""
    sequence: int = 0
    """Of the newest record in the outbox."""
    sent: int = 0
    """The outside has all up to this one."""
    waiting: int = 0
    """Records that wait to be sent."""
    waiting_since_ns: int = 0
    """When the oldest of them was made; 0: none waits."""
    contact_ns: int = 0
    """When the outside last answered; 0: not since the start."""
    cause: Cause | None = None
    """Why nothing is sent now."""
    outbox_bytes: int = 0
    outbox_most_bytes: int = 0
    dropped: int = 0
    """Records that were dropped before they were sent, because the outbox was full; ever."""
    held: int = 0
    """Records that only the last check kept inside, since the start."""
    canaries: int = 0
    """Records with a canary that were held back, since the start."""
