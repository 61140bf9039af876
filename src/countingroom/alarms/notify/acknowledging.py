"""Adds a one-time link for the acknowledgement to a message, right before it is sent.

The secret of a link exists only in the message that is sent. The outbox does not store it, so each try gets a new link.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from msgspec.structs import replace

from countingroom.alarms.sections.notify import NotifySection
from countingroom.core.alarms.queries import AlarmLink
from countingroom.core.notify.messages import Notification
from countingroom.core.notify.routes import Recipients

TITLE = "Acknowledge"


class LinkStore(Protocol):
    """What the linker needs from the database; implemented by `storage/notifications.py`."""

    def issue_link(self, writer: int, message: Notification, user: str) -> Awaitable[str | None]: ...


class AcknowledgeLinker:
    """Adds a link if the message asks for an acknowledgement, the console has an address, and the channel belongs to
    one person with an account."""

    def __init__(self, section: NotifySection, directory: Recipients, store: LinkStore, writer: int) -> None:
        """`writer`: the number from `Alarms.take_over`."""
        self._console = section.console
        self._users: Mapping[str, str] = {name: one.user or name for name, one in section.people.items()}
        self._directory = directory
        self._store = store
        self._writer = writer

    async def linked(self, message: Notification) -> Notification:
        """The message, with the link as its first link if it gets one. LinkError while the database does not answer."""
        user = self._users.get(self._directory.owner(message.channel), "")
        if not (self._console and user and message.kind.asks_for_acknowledgement):
            return message
        if len(message.priorities) != len(message.alarms):  # an earlier version planned it
            return message
        token = await self._store.issue_link(self._writer, message, user)
        if token is None:
            return message
        link = AlarmLink(title=f"{TITLE} as {user}", address=f"{self._console}/acknowledge#{token}")
        return replace(message, links=(link, *message.links))
