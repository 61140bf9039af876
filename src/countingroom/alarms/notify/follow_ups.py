"""Finds the channels that get the message about the return of alarms: those through which a message about the alarms
was sent, or may have been sent.

The message that was planned may have been cancelled, or could not be sent. Then the channels that got a message in its
place get the follow-up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from msgspec.structs import replace

from countingroom.core.notify.messages import Notification, NotificationState, OutboxEntry, notification_id
from countingroom.core.notify.planned import Planned
from countingroom.core.notify.routes import Recipients
from countingroom.core.notify.tracks import Track

T = TypeVar("T")

ENDED = 1_000
"""The number of last messages of a channel that are searched for the alarms."""


class SentMessages(Protocol):
    """What follow-ups need from the outbox; implemented by `storage/notifications.py`."""

    def pending(self) -> Awaitable[tuple[OutboxEntry, ...]]: ...
    def ended(
        self, states: Collection[NotificationState] = (), *, since_ns: int = 0, channel: str = "", limit: int = ...
    ) -> Awaitable[tuple[OutboxEntry, ...]]: ...


class WithDatabase(Protocol):
    """Runs a call of the database and returns its result."""

    async def __call__(self, call: Callable[[], Awaitable[T]], /) -> T: ...


class FollowUps:
    """Finds the receivers of planned follow-ups in the outbox."""

    def __init__(self, store: SentMessages, directory: Recipients, with_database: WithDatabase) -> None:
        self._store = store
        self._directory = directory
        self._with_database = with_database

    async def really(self, planned: Sequence[Planned]) -> list[Planned]:
        """The follow-ups that must be sent: the planned ones, each with the alarms of which its channel got a message,
        and further ones for channels that got a message in place of a planned channel."""
        found: list[Planned] = []
        instead: dict[tuple[str, str], dict[str, Track]] = {}
        threads: dict[tuple[str, str], str] = {}
        for one in planned:
            entries = await self._of(one.channel)
            if (told := _told(one, entries)) is not None:
                found.append(told)
            if any(entry.state is NotificationState.DEAD and _is_about(entry, one) for entry in entries):
                for message in await self._in_place_of(one):
                    key = one.route, message.channel
                    threads.setdefault(key, message.thread_id or message.id)
                    tracks = (track for track in one.tracks if message.channel not in track.told)
                    instead.setdefault(key, {}).update((track.alarm, track) for track in tracks)
        for (route, channel), tracks in instead.items():
            if tracks and (told := _told(self._make(route, channel, tracks, planned), await self._of(channel))):
                found.append(replace(told, thread=threads[route, channel]))
        return found

    def _make(self, route: str, channel: str, tracks: Mapping[str, Track], planned: Iterable[Planned]) -> Planned:
        """The follow-up of a route to a channel that got a message in place of another channel."""
        of = next(one for one in planned if one.route == route)
        named = (f"{track.alarm}@{track.announced_ns}" for track in tracks.values())
        id = notification_id("follow_up", "elsewhere", route, channel, *sorted(named))
        owner = self._directory.owner(channel)
        return replace(of, id=id, channel=channel, person=owner, tracks=tuple(tracks.values()))

    async def _of(self, channel: str) -> list[OutboxEntry]:
        """The messages of this channel that were tried or have ended, the newest first."""
        pending = await self._with_database(self._store.pending)
        trying = [
            one
            for one in pending
            if one.notification.channel == channel
            and (one.state is NotificationState.TRYING or one.notification.is_repeat)
        ]
        # The ended ones are read after the pending ones, so that a message that ends between the two reads is found.
        return [*trying, *await self._with_database(partial(self._store.ended, channel=channel, limit=ENDED))]

    async def _in_place_of(self, planned: Planned) -> list[Notification]:
        """The messages that were made because the planned channel could not send its messages about these alarms."""
        return [
            entry.notification
            for channel in sorted(self._directory.channels - {planned.channel})
            for entry in await self._of(channel)
            if planned.channel in entry.notification.failed_channels and _is_about(entry, planned)
        ]


def _is_about(entry: OutboxEntry, planned: Planned) -> bool:
    """Whether a message is about one of the alarms and of the same route."""
    about = {(track.alarm, track.occurrence) for track in planned.tracks}
    return entry.notification.route == planned.route and not about.isdisjoint(entry.notification.alarms)


def _told(planned: Planned, entries: Iterable[OutboxEntry]) -> Planned | None:
    """The follow-up with those of its alarms for which the last message of its channel said that they are active; None
    if there is no such alarm. `entries`: the messages of the channel, the newest first."""
    last: dict[str, tuple[int, bool]] = {}
    for entry in entries:
        # A message with the mark of a repeat may have been delivered by an earlier try, whatever became of it later.
        if entry.state in (NotificationState.SENT, NotificationState.TRYING) or entry.notification.is_repeat:
            for alarm, occurrence in entry.notification.alarms:
                # If the channel failed for a while, the return of an earlier occurrence can be sent after the message
                # about a later occurrence. So the occurrence counts, not the order.
                if alarm not in last or occurrence > last[alarm][0]:
                    last[alarm] = occurrence, entry.notification.kind.asks_for_acknowledgement
    is_active = {alarm for alarm, (_, asks) in last.items() if asks}
    tracks = tuple(track for track in planned.tracks if track.alarm in is_active)
    return replace(planned, tracks=tracks) if tracks else None
