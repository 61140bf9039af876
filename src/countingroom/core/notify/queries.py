"""The query of the outbox over the bus, `query.alarms.notifications`, and its answer."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.notify.messages import ChannelState, OutboxEntry


class OutboxQuery(Struct, frozen=True, kw_only=True):
    """The messages that may still be sent, and those that ended last."""

    channel: str = ""
    """Only of this channel; empty: of all."""
    alarm: str = ""
    """Only those that tell of this alarm; empty: all. Of those that ended the last 1000 are looked at."""
    limit: int = 50
    """Messages that ended; at most 1000."""


class OutboxAnswer(Struct, frozen=True, kw_only=True, tag=True):
    """Pending messages in the order in which they are due, ended ones with the last first."""

    channels: tuple[ChannelState, ...] = ()
    pending: tuple[OutboxEntry, ...] = ()
    ended: tuple[OutboxEntry, ...] = ()
