"""One-time links that acknowledge alarms. A change is one transaction, synced before the call returns.

Each try to send a message issues a link of its own, because only a digest of its secret is stored. Those of one
message are used up together.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from countingroom.core.accounts import User
from countingroom.core.errors import Denied
from countingroom.core.notify.acknowledge_link import AcknowledgeLink
from countingroom.core.notify.messages import Notification
from countingroom.storage import rows, secret
from countingroom.storage.notification_tables import acknowledge_link
from countingroom.storage.people_tables import user as account
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.users import user_of

LIFETIME_NS = 24 * 3_600_000_000_000
KEPT_NS = 7 * 86_400_000_000_000
"""After its end a link is kept so long, so that its page can say that it has expired."""


class AcknowledgeLinks(Repository):
    """Repository of the links, for the console. `issue` makes them."""

    @reading
    def look(self, connection: Connection, token: str) -> tuple[AcknowledgeLink, User]:
        """The link with its account. Denied (`link_void`) if it is unknown, used or expired, or the account is
        disabled."""
        return _valid(connection, token, self.clock.now_ns())

    @writing
    def use(self, connection: Connection, token: str) -> tuple[AcknowledgeLink, User]:
        """Use it up, with the other links of its message for this account. Denied as `look`."""
        now_ns = self.clock.now_ns()
        found, user = _valid(connection, token, now_ns)
        connection.execute(update(acknowledge_link).where(_same(found)).values(used_ns=now_ns))
        return found, user

    @writing
    def give_back(self, connection: Connection, link: AcknowledgeLink) -> None:
        """The link was used but acknowledged no alarm: it may be used again."""
        connection.execute(update(acknowledge_link).where(_same(link)).values(used_ns=None))


def issue(connection: Connection, message: Notification, user: str, now_ns: int) -> str | None:
    """The secret of a new link for the alarms of a message, within the caller's transaction; None where there is no
    such account, where it is disabled, or where a link of this message was used."""
    is_disabled = connection.scalar(select(account.c.disabled).where(account.c.name == user))
    if is_disabled is None or is_disabled:
        return None
    table = acknowledge_link.c
    connection.execute(delete(acknowledge_link).where(table.expires_ns < now_ns - KEPT_NS))
    token = secret.token()
    link = AcknowledgeLink(
        message=message.id,
        user=user,
        alarms={
            alarm: (occurrence, priority)
            for (alarm, occurrence), priority in zip(message.alarms, message.priorities, strict=True)
        },
        expires_ns=now_ns + LIFETIME_NS,
    )
    if connection.scalar(select(table.digest).where(_same(link), table.used_ns.is_not(None)).limit(1)):
        return None
    connection.execute(insert(acknowledge_link).values(**rows.columns(link), digest=secret.digest(token)))
    return token


def _same(link: AcknowledgeLink) -> ColumnElement[bool]:
    """The links of one message for one account."""
    return (acknowledge_link.c.message == link.message) & (acknowledge_link.c.user == link.user)


def _valid(connection: Connection, token: str, now_ns: int) -> tuple[AcknowledgeLink, User]:
    query = select(acknowledge_link).where(acknowledge_link.c.digest == secret.digest(token))
    found = rows.first(connection, query, AcknowledgeLink)
    if found is None:
        raise _void("this link is not known: it is not complete, or it ended long ago")
    if found.used_ns is not None:
        raise _void("this link was used before; it acknowledges once")
    if found.expires_ns <= now_ns:
        raise _void("this link has expired; it is valid for 24 h")
    user = user_of(connection, found.user)
    if user.disabled:
        raise _void(f"the account {user.name} is disabled")
    return found, user


def _void(message: str) -> Denied:
    return Denied(
        message,
        code="link_void",
        source="alarms.notify",
        suggestion="open the page of alarms, log in, and acknowledge there",
    )
