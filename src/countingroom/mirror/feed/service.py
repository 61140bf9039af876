"""The feed as a whole: the collector, the outbox and the sender, and how it stands as published state."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

from msgspec import Struct

from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.core.alarms import identity
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause
from countingroom.core.messages import Event, EventKind
from countingroom.core.mirror.chosen_points import ChosenPoints
from countingroom.core.mirror.feed import FeedRecord
from countingroom.core.mirror.publication import FeedRules
from countingroom.core.mirror.states import FEED_KEY, FeedState
from countingroom.core.times import duration
from countingroom.mirror.feed.collector import FeedCollector
from countingroom.mirror.feed.outbox import FeedOutbox
from countingroom.mirror.feed.sender import FeedSender
from countingroom.mirror.feed.target import FeedTarget
from countingroom.mirror.note_book import NoteBook

OUTBOX = Path("mirror") / "outbox.sqlite"
"""In the data folder."""
LATE_S = 300.0
"""A feed that the outside has not answered for so long is a trouble, before that a warning."""
STATE_S = 10.0
"""Counts in the published state are at most so old."""


class Issue(Struct, frozen=True, kw_only=True):
    """A policy in force."""

    publication: FeedRules
    for_s: float | None
    """After this time the aliases change, and another one is needed; None: never."""


class FeedSettings(Struct, frozen=True, kw_only=True):
    """What the description says of the feed."""

    to: str
    """For people: where it goes."""
    points: tuple[str, ...]
    every_s: float
    most_bytes: int


class FeedService:
    """Runs until cancelled."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        settings: FeedSettings,
        data: Path,
        issue: Callable[[], Issue],
        target: FeedTarget,
        publisher: Publisher,
        notes: NoteBook | None = None,
    ) -> None:
        """`issue` gives the policy in force. `publisher`: of the role, which runs it. `notes`: what operators write for
        the public. ConfigurationError for an outbox that cannot be used."""
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._issue = issue
        self._publisher = publisher
        self._notes = notes
        self._began_ns = clock.now_ns()
        self._outbox = FeedOutbox(data / OUTBOX, settings.most_bytes, clock.now_ns())
        self._changed = asyncio.Event()
        self._sender = FeedSender(self._outbox, target, clock, changed=self._changed.set, left_out=self._tell_left_out)
        self._collector: FeedCollector | None = None
        self._dropped_before = self._outbox.waiting().dropped

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sender.run())
                group.create_task(self._collect())
                group.create_task(self._tell())
        finally:
            self._outbox.close()

    def troubles(self) -> Iterator[str]:
        """Why the feed does not work, one sentence each."""
        if self._collector:
            yield from self._collector.troubles()
        if (late := self._late()) and late[0] >= LATE_S:
            yield late[1]

    def warnings(self) -> Iterator[str]:
        """What may become a trouble."""
        if (late := self._late()) and late[0] < LATE_S:
            yield late[1]
        dropped = self._outbox.waiting().dropped - self._dropped_before
        if dropped > 0:
            yield (
                f"{dropped} records of the feed were dropped before they were sent, because the outbox is full"
                f" ({self._settings.most_bytes >> 20} MiB); present states are kept"
            )

        for kind, number in self._sender.left_out.items():
            yield (
                f"{number} records of the kind {kind} were left out of the feed, because its receiver refuses them:"
                " update the receiver, then start the role mirror again"
            )

    def conditions(self) -> Mapping[str, str]:
        """What is told to the alarm department."""
        return {identity.MIRROR_CANARY: self._collector.canary if self._collector else ""}

    def published_names(self) -> list[str]:
        """Names of partitions, devices and services as they are published now."""
        return sorted(set[str]().union(*(self._outbox.present(kind) for kind in ("partition", "device", "service"))))

    def _late(self) -> tuple[float, str] | None:
        cause = self._sender.cause
        if cause is None:
            return None
        since_s = max(0.0, (self._clock.now_ns() - (self._sender.contact_ns or self._began_ns)) / 1e9)
        return since_s, f"the feed is not sent, since {duration(round(since_s))}: {cause.message}"

    def _tell_left_out(self, record: FeedRecord, cause: Cause) -> None:
        self._publisher.event(
            Event(
                id=uuid4().hex,
                kind=EventKind.NOTE,
                time_ns=self._clock.now_ns(),
                department="mirror",
                source="feed",
                message=f"records of the kind {record.kind} are left out of the feed: its receiver refuses them",
                severity=2,
                cause=cause,
                data={"kind": record.kind, "sequence": record.sequence},
            )
        )

    async def _collect(self) -> None:
        while True:
            issue = self._issue()
            points = ChosenPoints(self._settings.points, self._settings.every_s)
            counts = self._collector.counts if self._collector else None
            self._collector = collector = FeedCollector(
                self._bus, self._clock, issue.publication, self._outbox, points, self._notes, news=self._sender.news
            )
            collector.counts.update(counts or {})
            if issue.for_s is None:
                await collector.run()
            else:
                try:
                    async with within(self._clock, issue.for_s):
                        await collector.run()
                except TimeoutError:
                    pass  # other aliases from now on

    async def _tell(self) -> None:
        while True:
            self._changed.clear()
            self._publisher.state(FEED_KEY, self.state())
            before = self._sender.cause
            try:
                async with within(self._clock, STATE_S):
                    while (self._sender.cause is None) is (before is None):
                        await self._changed.wait()
                        self._changed.clear()
            except TimeoutError:
                pass

    def state(self) -> FeedState:
        """How it stands now."""
        stands = self._outbox.waiting()
        counts = self._collector.counts if self._collector else Counter[str]()
        return FeedState(
            to=self._settings.to,
            sequence=stands.last,
            sent=stands.sent,
            waiting=stands.records,
            waiting_since_ns=stands.oldest_ns,
            contact_ns=self._sender.contact_ns,
            cause=self._sender.cause,
            outbox_bytes=stands.bytes,
            outbox_most_bytes=self._settings.most_bytes,
            dropped=stands.dropped,
            held=counts["held"],
            canaries=counts["canaries"],
        )
