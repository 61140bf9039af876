"""The timeline over runs with its filters, and the history of crashes of clients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from countingroom.site.answers import SiteAnswer
from countingroom.site.clients import ClientState, RunRecord
from countingroom.site.public_records import PublicRecords
from countingroom.site.rendering import Renderer
from countingroom.site.route_table import PageRequest
from countingroom.site.timeline_rows import TimelineRows

STEP = 100
"""Runs in one view of the timeline."""
CRASHES = 300


class CrashRow(Struct, frozen=True):
    """A client that ended with an error."""

    run: int
    client: ClientState


class TimelinePages:
    """Makes them."""

    def __init__(self, records: PublicRecords, renderer: Renderer) -> None:
        self._records = records
        self._renderer = renderer
        self._rows = TimelineRows(renderer.settings.prefix)

    async def timeline(self, question: PageRequest) -> SiteAnswer:
        """Runs below each other, the newest first, a cell for each client."""
        set_name = question["db"]
        last, first = question["to"], question["from"]
        known = await self._records.reader.run_range(set_name)
        if last is None:
            last = known[1] if known else 0
        if first is None:
            newest = await self._records.runs(set_name, last=last, limit=STEP)
            first = newest[-1] if newest else last
        runs = await self._records.span(set_name, min(first, last), max(first, last))
        rows = self._rows.of(runs, question.now_s, bad_only=question["bad"], with_sections=question["ls"])
        text = self._renderer.page(
            "timeline.html",
            question,
            rows=rows,
            first=min(first, last),
            last=max(first, last),
            known=known,
            cells=sum(one.clients for one in rows),
            query=question.values,
            step=STEP,
        )
        return SiteAnswer(body=text.encode())

    async def crashes(self, question: PageRequest) -> SiteAnswer:
        """Clients that ended with an error in the last runs: by client, and one after the other."""
        set_name, name = question["db"], question["client"]
        numbers = await self._records.runs(set_name, limit=question["runs"])
        runs = await self._records.span(set_name, numbers[-1], numbers[0]) if numbers else []
        found = crashes(runs)
        counts = Counter(one.client.name for one in found)
        hosts = Counter(one.client.host for one in found if not name or one.client.name == name)
        shown = [one for one in found if not name or one.client.name == name]
        text = self._renderer.page(
            "crashes.html",
            question,
            counts=counts.most_common(40),
            hosts=hosts.most_common(12),
            shown=shown[:CRASHES],
            client=name,
            runs=len(runs),
            bad_runs=len({one.run for one in shown}),
        )
        return SiteAnswer(body=text.encode())


def crashes(runs: Sequence[RunRecord]) -> list[CrashRow]:
    """Clients that ended with an error, the last first."""
    found = [CrashRow(run.number, one) for run in runs for one in run.clients if one.exit_code]
    return sorted(found, key=lambda one: (-one.run, -one.client.at_s))
