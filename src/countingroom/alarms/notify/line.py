"""Sends the messages of one channel in a thread, so that the event loop is not blocked."""

from __future__ import annotations

from typing import Protocol

from countingroom.alarms.notify.apprise_channel import AppriseSender
from countingroom.alarms.notify.deadline_thread import DeadlineThread
from countingroom.alarms.notify.mail import MailSender
from countingroom.alarms.notify.sender import Delivery, IsWanted, Sender
from countingroom.alarms.notify.webhook import WebhookSender
from countingroom.alarms.sections.notify_channels import ChannelSection
from countingroom.core.clock import Clock
from countingroom.core.notify.messages import Notification


class Line(Protocol):
    """What a worker needs from its channel."""

    @property
    def kind(self) -> str:
        """The kind of the channel for display: `mail`."""
        ...

    @property
    def is_hanging(self) -> bool:
        """Whether an earlier try has not ended, although its deadline is over."""
        ...

    async def freed(self) -> None:
        """Wait until no try hangs."""
        ...

    async def send(self, message: Notification, is_wanted: IsWanted) -> Delivery:
        """Send one message and return the result, at the deadline at the latest."""
        ...


class ThreadLine:
    """A sender with its thread."""

    def __init__(self, channel: str, sender: Sender, clock: Clock, timeout_s: float) -> None:
        self._sender = sender
        self._thread = DeadlineThread(f"notify-{channel}", clock, timeout_s, sender.abort)

    @property
    def kind(self) -> str:
        return self._sender.kind

    @property
    def is_hanging(self) -> bool:
        return self._thread.is_hanging

    async def freed(self) -> None:
        await self._thread.freed()

    async def send(self, message: Notification, is_wanted: IsWanted) -> Delivery:
        return await self._thread.run(lambda: self._sender.send(message, is_wanted))


def line_of(channel: str, section: ChannelSection, clock: Clock) -> ThreadLine:
    """The line of a described channel."""
    return ThreadLine(channel, sender_of(section, clock), clock, section.timeout)


def sender_of(section: ChannelSection, clock: Clock) -> Sender:
    """The sender of a described channel. LookupError if its section names no kind."""
    if section.mail is not None:
        return MailSender(section.mail, section.timeout)
    if section.webhook is not None:
        return WebhookSender(section.webhook, section.timeout, clock)
    if section.apprise is not None:
        return AppriseSender(section.apprise, section.timeout)
    raise LookupError("a channel has one of mail, webhook and apprise")
