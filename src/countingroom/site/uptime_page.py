"""The page of the uptime, and the same as JSON."""

from __future__ import annotations

from countingroom.site.answers import SiteAnswer, as_json
from countingroom.site.drawing import svg
from countingroom.site.public_records import PublicRecords
from countingroom.site.rendering import Renderer
from countingroom.site.route_table import PageRequest
from countingroom.site.uptime import KindUptime, first_day, known_days, strip, uptimes

_MAX_AGE_S = 60


class UptimePages:
    """Makes them."""

    def __init__(self, records: PublicRecords, renderer: Renderer) -> None:
        self._records = records
        self._renderer = renderer

    async def page(self, question: PageRequest) -> SiteAnswer:
        """A strip for each kind of source, and its days as a table."""
        shown = [(one, svg(strip(one)), known_days(one)) for one in await self._found(question.now_s)]
        text = self._renderer.page("uptime.html", question, kinds=shown)
        return SiteAnswer(body=text.encode(), max_age_s=_MAX_AGE_S)

    async def data(self, question: PageRequest) -> SiteAnswer:
        """All days."""
        return as_json({"kinds": await self._found(question.now_s)}, max_age_s=_MAX_AGE_S)

    async def _found(self, now_s: float) -> tuple[KindUptime, ...]:
        return uptimes(await self._records.reader.fresh_days(first_day(now_s)), now_s)
