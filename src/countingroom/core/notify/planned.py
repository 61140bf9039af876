"""The results of the planner: messages without their texts, the state to save, and its next due time. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.notify.messages import NotificationKind
from countingroom.core.notify.tracks import PlanChanges, PlanState, Track


class Planned(Struct, frozen=True, kw_only=True):
    """One message to one channel, without its text."""

    id: str
    kind: NotificationKind
    route: str
    channel: str
    person: str
    """The person who has this channel; empty if it does not belong to one person."""
    tracks: tuple[Track, ...]
    """The alarms, the most urgent first, as they were before the message."""
    step: int
    thread: str
    """The first message about the first of the alarms on this channel."""
    created_ns: int


class NextMessages(Struct, frozen=True, kw_only=True):
    """The result of one run of the planner."""

    messages: tuple[Planned, ...]
    state: PlanState
    changed: PlanChanges
    next_ns: int | None
    """When it has to look again although nothing happens; None: never."""
    unreached: tuple[str, ...] = ()
    """Routes that had a message and no recipient: no person is on duty."""
