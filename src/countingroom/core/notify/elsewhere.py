"""Sends a message another way when its channel could not send it. Pure.

It goes to the recipients of the next escalation of its route, earlier than planned. If the route has no further
escalation and no other recipient of it got the message, it goes to the recipients of the other routes. A channel that
failed for this message is not tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import structs

from countingroom.core.notify.messages import Notification, notification_id
from countingroom.core.notify.routes import NotifySpec, Recipient


def elsewhere(dead: Notification, reason: str, spec: NotifySpec, now_ns: int) -> tuple[Notification, ...]:
    """The messages in place of a message that was given up. None if it asks for no acknowledgement, or if no channel is
    left. Their ids follow from it, so they are the same each time."""
    if not dead.kind.asks_for_acknowledgement:
        return ()
    failed = (*dead.failed_channels, dead.channel)
    for recipients in _groups(dead, failed, spec, now_ns):
        if left := [one for one in recipients if one.channel not in failed]:
            return tuple(_instead(dead, one, failed, reason, now_ns) for one in left)
    return ()


def _groups(
    dead: Notification, failed: Sequence[str], spec: NotifySpec, now_ns: int
) -> Iterator[tuple[Recipient, ...]]:
    find = spec.directory.recipients
    route = spec.routes.get(dead.route)
    told = find(route.to, now_ns) if route else ()
    for step in route.escalate if route else ():
        channels = {one.channel for one in told}
        yield tuple(one for one in find(step.to, now_ns) if one.channel not in channels)
    if any(one.channel not in failed for one in told):
        return
    for name, other in spec.routes.items():
        if name != dead.route:
            yield find(other.to, now_ns)


def _instead(
    dead: Notification, recipient: Recipient, failed: tuple[str, ...], reason: str, now_ns: int
) -> Notification:
    said = f"The channel {dead.channel} could not send this: {reason}"
    return structs.replace(
        dead,
        id=notification_id("elsewhere", dead.id, recipient.channel),
        channel=recipient.channel,
        person=recipient.person,
        text=f"{dead.text.rstrip()}\n\n{said}\n",
        thread_id="",
        created_ns=now_ns,
        due_ns=now_ns,
        expires_ns=now_ns + dead.expires_ns - dead.created_ns,
        attempt=0,
        is_repeat=False,
        failed_channels=failed,
    )
