"""The pages Now, Runs and Computers, and the wall display."""

from __future__ import annotations

from typing import Any

from countingroom.site import now_view, plots
from countingroom.site.answers import SiteAnswer
from countingroom.site.devices_view import DEVICE, devices
from countingroom.site.live import PageCells
from countingroom.site.notes_view import notes, present_notes
from countingroom.site.public_records import SETS, PublicRecords
from countingroom.site.rendering import Renderer
from countingroom.site.route_table import PageRequest
from countingroom.site.withheld_view import withheld

_LAST_RUNS = 8
_BIG_CARDS = 1
_NOTES = 6
PER_PAGE = 50


class NowPages:
    """Makes them."""

    def __init__(self, records: PublicRecords, renderer: Renderer) -> None:
        self._records = records
        self._renderer = renderer

    async def now(self, question: PageRequest) -> SiteAnswer:
        """Everything at one glance."""
        text = self._renderer.page("now.html", question, **await self._content(question, is_wall=False))
        return SiteAnswer(body=text.encode())

    async def wall(self, question: PageRequest) -> SiteAnswer:
        """The same for a display at a wall: large, without navigation."""
        text = self._renderer.page("now.html", question, **await self._content(question, is_wall=True))
        return SiteAnswer(body=text.encode())

    async def cells(self, now_s: float) -> PageCells:
        """The texts of the page Now that may change."""
        question = PageRequest(path="/", values={"tz": "UTC", "db": SETS[0]}, now_s=now_s)
        return self._renderer.cells("now.html", question, **await self._content(question, is_wall=False))

    async def _content(self, question: PageRequest, *, is_wall: bool) -> dict[str, Any]:
        now_s, set_name = question.now_s, question["db"]
        reader = self._records.reader
        records = await reader.now()
        partitions = now_view.partitions(records)
        numbers = await self._records.runs(set_name, limit=_LAST_RUNS)
        runs = await self._records.span(set_name, numbers[-1], numbers[0]) if numbers else []
        monitor = next((one for one in reversed(runs) if one.is_going_on(now_s)), runs[-1] if runs else None)
        trend = plots.small_trend((await self._records.streams(set_name, monitor.number))[0]) if monitor else ""
        book = now_view.run_rows(records, now_s)
        sources = await reader.sources()
        big = [one for one in partitions if one.is_recording][: _BIG_CARDS + 1] or partitions[:_BIG_CARDS]
        return {
            "fresh": now_view.freshness(sources, self._records.version.at, now_s),
            "first": big,
            "others": [one for one in partitions if one not in big],
            "monitor": monitor,
            "going": bool(monitor and monitor.is_going_on(now_s)),
            "counts": monitor.counts(now_s) if monitor else {},
            "trend": trend,
            "alarms": now_view.alarms(records),
            "alarms_unknown": now_view.alarms_unknown(sources, now_s),
            "computers": now_view.computers(records, await reader.hosts(set_name)),
            "devices": devices(one for one in records if one.kind == DEVICE),
            "rows": now_view.run_lines(book, runs, now_s)[:_LAST_RUNS],
            "notes": present_notes(notes(records, now_s), now_s)[:_NOTES],
            "wall": is_wall,
        }

    async def runs(self, question: PageRequest) -> SiteAnswer:
        """Runs, the newest first, some at a time."""
        now_s, set_name, before = question.now_s, question["db"], question["before"]
        last = None if before is None else before - 1
        numbers = await self._records.runs(set_name, last=last, limit=PER_PAGE + 1)
        shown = numbers[:PER_PAGE]
        runs = await self._records.span(set_name, shown[-1], shown[0]) if shown else []
        book = now_view.run_rows(await self._records.reader.now("run"), now_s)
        least = shown[-1] if len(numbers) > PER_PAGE else 0
        book = [one for one in book if one.number >= least and (last is None or one.number <= last)]
        rows = now_view.run_lines(book, runs, now_s)[: 2 * PER_PAGE]
        older = shown[-1] if len(numbers) > PER_PAGE else None
        text = self._renderer.page("runs.html", question, rows=rows, older=older, before=before)
        return SiteAnswer(body=text.encode())

    async def computers(self, question: PageRequest) -> SiteAnswer:
        """Every computer, with its last changes."""
        reader = self._records.reader
        records = await reader.now()
        found = now_view.computers(records, await reader.hosts(question["db"]))
        changes = await reader.host_changes(question["db"], limit=100)
        sources = await reader.sources()
        text = self._renderer.page(
            "computers.html",
            question,
            computers=found,
            changes=changes,
            fresh=now_view.freshness(sources, self._records.version.at, question.now_s),
            withheld=withheld(sources, await reader.withheld()),
            services=[one for one in records if one.kind == "service" and one.body],
        )
        return SiteAnswer(body=text.encode())
