"""Messages to people about alarms, and their state in the outbox. Pure.

A message is in the outbox from its plan until it is sent, cancelled or dead. Its id follows from its content: a message
that is planned twice is stored once, and all tries to send it have the same id.
"""

from __future__ import annotations

from enum import StrEnum
from uuid import NAMESPACE_OID, uuid5

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.alarms.queries import AlarmLink
from countingroom.core.alarms.states import LOWEST_PRIORITY

URGENT_PRIORITY = 2
"""Messages about alarms of this priority and more urgent ones are sent also while the database is away."""


AHEAD_NS = 360_000_000_000
"""Longer than any wait between two tries: a message with a later due time was stored before the wall clock was set
back, and may be tried now."""


class NotificationKind(StrEnum):
    """Why a message is sent."""

    FIRST = "first"
    """An alarm was announced."""
    REMINDER = "reminder"
    """It is still not acknowledged."""
    ESCALATION = "escalation"
    """It was not acknowledged in time: an escalation to further people."""
    GROUP = "group"
    """Several alarms in one message."""
    FOLLOW_UP = "follow_up"
    """It returned or was acknowledged; sent to the channels that got a message about it."""
    RULE = "rule"
    """A rule asked for it."""
    TEST = "test"
    """A person tests the channel."""

    @property
    def asks_for_acknowledgement(self) -> bool:
        """Whether it has no use any more once its alarms are acknowledged."""
        return self in (
            NotificationKind.FIRST,
            NotificationKind.REMINDER,
            NotificationKind.ESCALATION,
            NotificationKind.GROUP,
        )


class Notification(Struct, frozen=True, kw_only=True):
    """One message through one channel."""

    id: str
    """Unique and lasting, 32 hexadecimal digits; see `notification_id`."""
    channel: str
    """Name of the channel in the description."""
    kind: NotificationKind
    route: str = ""
    """Name of the route that asks for it; empty: none, as for a test."""
    title: str
    """One line: subject of a mail, head of a push message."""
    text: str
    priority: int = LOWEST_PRIORITY
    """Of the most urgent of its alarms."""
    alarms: tuple[tuple[str, int], ...] = ()
    """Identity and occurrence of each alarm that it tells of."""
    priorities: tuple[int, ...] = ()
    """Of each of them, in the same order, as it is told."""
    thread_id: str = ""
    """Identity of the first message about the occurrence through this channel, for threads in mail clients; empty: it
    belongs to no other message."""
    person: str = ""
    """The person of the description that it is for; empty: the channel itself was named."""
    links: tuple[AlarmLink, ...] = ()
    """Pages that help. The one-time link that acknowledges is added when it is sent; the outbox has none."""
    created_ns: int
    due_ns: int
    """Not sent before. In the outbox: the time of the next try."""
    expires_ns: int
    """Not tried any more from then on: it is dead, and told of."""
    attempt: int = 0
    """Number of this try, 1, 2, 3 …; 0: it was not tried yet."""
    failed_channels: tuple[str, ...] = ()
    """Channels that could not send it before; it is sent this way in their place."""
    is_repeat: bool = False
    """An earlier try may have reached the receiver, though its answer is not known."""

    @property
    def is_urgent(self) -> bool:
        """Whether it tells of an alarm that must not wait for a database that is away."""
        return self.priority <= URGENT_PRIORITY and self.kind.asks_for_acknowledgement


class NotificationState(StrEnum):
    """The state of a message in the outbox."""

    DUE = "due"
    """It waits for its time, or for the next try."""
    TRYING = "trying"
    """It is being sent; after a restart it is due again, and may be a repeat."""
    SENT = "sent"
    """The receiver, or the first server on the way, accepted it."""
    DEAD = "dead"
    """It was refused for good, or could not be sent until it expired."""
    CANCELLED = "cancelled"
    """Its alarms were acknowledged before it was sent, or it had no use any more."""

    @property
    def is_pending(self) -> bool:
        """Whether it may still be sent."""
        return self in (NotificationState.DUE, NotificationState.TRYING)


class OutboxEntry(Struct, frozen=True, kw_only=True):
    """A message with its place in the outbox."""

    notification: Notification
    state: NotificationState
    error: str = ""
    """What the last try said, in words: why it failed, or which of several addresses were refused."""
    ended_ns: int | None = None
    """When it was sent, cancelled or dead; None while it is pending."""


class NotifyCursor(Struct, frozen=True, kw_only=True):
    """The read position of the planner in the history of alarms, and its memory."""

    sequence: int
    """The last row of the history that it has worked on."""
    plan: dict[str, str] = {}
    """Key -> value of what the planner remembers, which only it reads (`tracks.py`). Changes of it are stored with the
    messages that follow from them."""


class ChannelState(Struct, frozen=True, kw_only=True):
    """What is known of a channel, at the key `notification.<channel>` of the bucket `state`. The counts begin at 0 when
    another process becomes active."""

    channel: str
    kind: str
    """`mail`, `webhook`, or the schema of Apprise: `ntfys`."""
    sent: int = 0
    failed: int = 0
    """Tries that failed."""
    dead: int = 0
    cancelled: int = 0
    last_sent_ns: int | None = None
    problem: str = ""
    """Why the last try failed; empty: it did not."""


def notification_id(*parts: str | int) -> str:
    """The identity of a message, from all that makes it another one: route, alarm, occurrence, step, channel."""
    return uuid5(NAMESPACE_OID, "\0".join(map(str, ("notification", *parts)))).hex


def is_due(due_ns: int, now_ns: int) -> bool:
    """Whether a message that waits until `due_ns` may be tried now."""
    return due_ns <= now_ns or due_ns > now_ns + AHEAD_NS


def begun(message: Notification, now_ns: int) -> Notification:
    """The message with one more try begun. One that expired before its first try gets its time anew: it could not be
    sent before."""
    if message.attempt == 0 and message.expires_ns <= now_ns:
        message = replace(message, expires_ns=now_ns + message.expires_ns - message.created_ns)
    return replace(message, attempt=message.attempt + 1)


def failed_try(message: Notification, *, next_ns: int, may_repeat: bool) -> Notification:
    """The message after a try that failed. `may_repeat`: it may have been delivered all the same."""
    return replace(message, due_ns=next_ns, is_repeat=message.is_repeat or may_repeat)
