"""The page of the uptime, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from countingroom.site.answers import SiteAnswer, as_json
from countingroom.site.drawing import svg
from countingroom.site.notes_page import as_row
from countingroom.site.notes_view import NOTE, NoteView, notes
from countingroom.site.public_records import PublicRecords
from countingroom.site.rendering import Renderer
from countingroom.site.route_table import PageRequest
from countingroom.site.uptime import KindUptime, first_day, known_days, noted_days, strip, uptimes

_MAX_AGE_S = 60


class UptimePages:
    """Makes them."""

    def __init__(self, records: PublicRecords, renderer: Renderer) -> None:
        self._records = records
        self._renderer = renderer

    async def page(self, question: PageRequest) -> SiteAnswer:
        """A strip for each kind of source, and its days as a table."""
        now_s = question.now_s
        noted = noted_days(await self._notes(now_s), now_s)
        shown = [(one, svg(strip(one, noted)), known_days(one)) for one in await self._found(now_s)]
        text = self._renderer.page("uptime.html", question, kinds=shown, notes=_each_once(noted))
        return SiteAnswer(body=text.encode(), max_age_s=_MAX_AGE_S)

    async def data(self, question: PageRequest) -> SiteAnswer:
        """All days, and the incidents and maintenance in them."""
        now_s = question.now_s
        rows = [as_row(one) for one in _each_once(noted_days(await self._notes(now_s), now_s))]
        return as_json({"kinds": await self._found(now_s), "notes": rows}, max_age_s=_MAX_AGE_S)

    async def _notes(self, now_s: float) -> list[NoteView]:
        return notes(await self._records.reader.now(NOTE), now_s)

    async def _found(self, now_s: float) -> tuple[KindUptime, ...]:
        return uptimes(await self._records.reader.fresh_days(first_day(now_s)), now_s)


def _each_once(noted: Mapping[str, Sequence[NoteView]]) -> list[NoteView]:
    """The newest first."""
    every = {one.number: one for told in noted.values() for one in told}
    return [every[number] for number in sorted(every, reverse=True)]
