"""Makes the site of a reader of the public store."""

from __future__ import annotations

from countingroom.core.clock import Clock
from countingroom.site.answer_cache import AnswerCache
from countingroom.site.application import SiteApplication
from countingroom.site.asset_files import AssetFiles
from countingroom.site.error_page import ErrorPage
from countingroom.site.live import LiveNews, News
from countingroom.site.now_page import NowPages
from countingroom.site.public_records import PublicRecords, ReadsStore
from countingroom.site.rendering import Renderer, SiteSettings
from countingroom.site.routes import site_routes


class Site:
    """`application` answers requests; `live.run()` follows the store and must run beside it."""

    def __init__(self, reader: ReadsStore, clock: Clock, settings: SiteSettings, *, version: str) -> None:
        self._clock = clock
        self._records = PublicRecords(reader)
        self._cache = AnswerCache(clock)
        files = AssetFiles()
        renderer = Renderer(settings, files.base)
        self._now = NowPages(self._records, renderer)
        self.live = LiveNews(clock, self.look, lambda: self._now.cells(clock.now_ns() / 1e9))
        routes = site_routes(self._records, renderer, self._now, version)
        self.routes = routes
        self.application = SiteApplication(routes, self._cache, self.live, files, ErrorPage(renderer), clock)

    async def look(self) -> News | None:
        """Look at the store once: what was answered before news came is not used any more."""
        news = await self._records.look()
        if news is not None:
            self._cache.mark += 1
        return news
