"""Messages that a rule asks for."""

from __future__ import annotations

from collections.abc import Sequence

from countingroom.core.errors import NotFound
from countingroom.core.notify.messages import Notification, NotificationKind, notification_id
from countingroom.core.notify.routes import Recipients
from countingroom.core.notify.texts import EXPIRES_NS
from countingroom.core.yaml.validation_errors import did_you_mean


def rule_messages(
    directory: Recipients, to: Sequence[str], title: str, text: str, principal: str, *, id: str, now_ns: int
) -> list[Notification]:
    """A message to each channel behind these names. NotFound for an unknown name, or where no person is on duty."""
    known = [*directory.channels, *directory.people, *directory.calendars]
    for name in to:
        if name not in known:
            raise NotFound(
                f"there is no channel, person or calendar {name}{did_you_mean(name, known)}",
                source="alarms.notify",
                suggestion="name one of alarms.notify",
            )
    recipients = directory.recipients(to, now_ns)
    if not recipients:
        raise NotFound(
            f"no person is on duty: {', '.join(to)}", source="alarms.notify", suggestion="look at the calendar"
        )
    return [
        Notification(
            id=notification_id(NotificationKind.RULE.value, id, one.channel),
            channel=one.channel,
            kind=NotificationKind.RULE,
            title=" ".join(title.split()),
            text=f"{text.strip()}\n\nSent by {principal}.\n",
            person=one.person,
            created_ns=now_ns,
            due_ns=now_ns,
            expires_ns=now_ns + EXPIRES_NS,
        )
        for one in recipients
    ]
