"""Makes the feed of the role `mirror` from the description."""

from __future__ import annotations

from collections.abc import Callable

from countingroom.app.mirror_policy import Policy
from countingroom.app.roles import Setting
from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.core.mirror.publication import FeedRules
from countingroom.core.mirror.redactor import Redactor
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.feed.intake import FeedIntake
from countingroom.mirror.feed.service import FeedService, FeedSettings, Issue
from countingroom.mirror.feed.target import FeedTarget, HttpsTarget
from countingroom.mirror.note_book import NOTES, NoteBook
from countingroom.mirror.note_service import NoteService
from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.store import PublicStore


def make_feed(
    setting: Setting, rules: Policy, redactor: Callable[[], Redactor], store: PublicStore
) -> Callable[[Bus, Publisher], tuple[FeedService, NoteService]]:
    """The feed, and the notes that it follows, to be given the bus and the publisher of the role. `redactor` gives the
    one in force; `store`: where it goes without a receiver. ConfigurationError for a token, certificate, outbox or file
    of notes that cannot be used."""
    section = setting.experiment.section(MirrorSection)
    feed = section.feed
    target: FeedTarget
    if feed.to and feed.token:
        ca = setting.directory / feed.tls_ca if feed.tls_ca else None
        target = HttpsTarget(feed.to, feed.token, ca)
    else:
        reader = PublicReader(section.store.address(setting.data))
        target = FeedIntake(store, reader, setting.clock)
    settings = FeedSettings(
        to=feed.to or f"the public store {store.address.replace('+pysqlite', '').replace('+psycopg', '')}",
        points=tuple(feed.points),
        every_s=feed.every,
        most_bytes=feed.outbox,
    )

    def issue() -> Issue:
        now_s = setting.clock.now_ns() / 1e9
        period = rules.period(now_s)
        publication = FeedRules(rules.redactor_of(period), rules.aliases(period), rules.check, section.publish)
        for_s = (period + 1) * section.rotate - now_s + 1 if section.rotate else None
        return Issue(publication=publication, for_s=for_s)

    book = NoteBook(setting.data / NOTES)

    def made(bus: Bus, publisher: Publisher) -> tuple[FeedService, NoteService]:
        made = FeedService(bus, setting.clock, settings, setting.data, issue, target, publisher, book)
        return made, NoteService(bus, setting.clock, publisher, book, redactor, made.published_names)

    return made
