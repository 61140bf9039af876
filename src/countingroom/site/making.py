"""Makes the site of a reader of the public store."""

from __future__ import annotations

from pathlib import Path

from countingroom.core.clock import Clock
from countingroom.mirror.store.reader import PublicReader
from countingroom.site.answer_cache import AnswerCache
from countingroom.site.answers import PreparedAnswer
from countingroom.site.application import SiteApplication
from countingroom.site.asset_files import AssetFiles
from countingroom.site.error_page import ErrorPage
from countingroom.site.feeds import BADGES
from countingroom.site.live import LiveNews, News
from countingroom.site.now_page import NowPages
from countingroom.site.public_records import PublicRecords
from countingroom.site.rendering import Renderer, SiteSettings
from countingroom.site.routes import site_routes
from countingroom.site.static_export import Exported, export


class Site:
    """`application` answers requests; `live.run()` follows the store and must run beside it."""

    def __init__(self, reader: PublicReader, clock: Clock, settings: SiteSettings, *, version: str) -> None:
        self._clock = clock
        self._records = PublicRecords(reader)
        self._cache = AnswerCache(clock)
        self._files = files = AssetFiles()
        renderer = Renderer(settings, files.base)
        self._now = NowPages(self._records, renderer)
        self.live = LiveNews(clock, self.look, lambda: self._now.cells(clock.now_ns() / 1e9))
        routes = site_routes(self._records, renderer, self._now, version)
        self.routes = routes
        self.application = SiteApplication(routes, self._cache, self.live, files, ErrorPage(renderer), clock)

    async def export(self, folder: Path, runs: int) -> Exported:
        """Write the site as files, with the pages of so many of the last runs."""

        async def answer(address: str) -> PreparedAnswer:
            return await self.application.answer("GET", address.encode(), b"")

        badges = [f"/badge/{name}.svg" for name in BADGES]
        return await export(self._records, answer, [*badges, *self._files.addresses], folder, runs)

    async def look(self) -> News | None:
        """Look at the store once: what was answered before news came is not used any more."""
        news = await self._records.look()
        if news is not None:
            self.forget()
        return news

    def forget(self) -> None:
        """Make every answer anew."""
        self._cache.mark += 1
