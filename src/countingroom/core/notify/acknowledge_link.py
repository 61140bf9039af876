"""A one-time link by which the person that a message is for acknowledges the alarms in it."""

from __future__ import annotations

from msgspec import Struct


class AcknowledgeLink(Struct, frozen=True, kw_only=True):
    """What a link allows. Its secret is in the message only; the database has a digest of it."""

    message: str
    """Identity of the message."""
    user: str
    """The account as which it acknowledges, with the rights of that account."""
    alarms: dict[str, tuple[int, int]]
    """Identity of each alarm -> occurrence and priority that the message told."""
    expires_ns: int
    used_ns: int | None = None
    """When it was used; None: it was not."""
