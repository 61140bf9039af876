"""Makes the feed of the role `mirror` from the description."""

from __future__ import annotations

from collections.abc import Callable

from countingroom.app.mirror_policy import Policy
from countingroom.app.roles import Setting
from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.core.mirror.publication import FeedRules
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.feed.intake import FeedIntake
from countingroom.mirror.feed.service import FeedService, FeedSettings, Issue
from countingroom.mirror.feed.target import FeedTarget, HttpsTarget
from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.store import PublicStore


def make_feed(setting: Setting, rules: Policy, store: PublicStore) -> Callable[[Bus, Publisher], FeedService]:
    """The feed, to be given its bus and the publisher of the role. `store`: where it goes without a receiver.
    ConfigurationError for a token, certificate or outbox that cannot be used."""
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

    def made(bus: Bus, publisher: Publisher) -> FeedService:
        return FeedService(bus, setting.clock, settings, setting.data, issue, target, publisher)

    return made
