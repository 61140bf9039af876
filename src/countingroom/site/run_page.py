"""The page of a run: its clients, the charts of its streams, and the log of a client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from countingroom.core.errors import NotFound
from countingroom.site import now_view, plots, zones
from countingroom.site.answers import SiteAnswer
from countingroom.site.clients import ClientPhase, ClientState, RunRecord, StreamFigures
from countingroom.site.log_view import log_view
from countingroom.site.public_records import PublicRecords
from countingroom.site.rendering import Renderer
from countingroom.site.route_table import PageRequest

_FIRST = 12
"""Clients that stand open; the others fold away where all is well with them."""
_ORDER = tuple(ClientPhase)


class PublicRunPages:
    """Makes the pages of runs."""

    def __init__(self, records: PublicRecords, renderer: Renderer) -> None:
        self._records = records
        self._renderer = renderer

    async def run(self, question: PageRequest) -> SiteAnswer:
        """One run."""
        number, set_name, now_s = question["number"], question["db"], question.now_s
        record = await self.found(set_name, number)
        book = {one.number: one for one in now_view.run_rows(await self._records.reader.now("run"), now_s)}
        if record is None and number not in book:
            raise NotFound(f"there is no run {number} in the set {set_name}", source="site", suggestion="go to /runs")
        record = record or RunRecord(number=number, set=set_name, clients=())
        streams, begun_s = await self._records.streams(set_name, number)
        clients = sorted(record.clients, key=lambda one: (_ORDER.index(one.phase(now_s)), one.name, one.host))
        bad = [one for one in clients if one.phase(now_s) in (ClientPhase.CRASHED, ClientPhase.STUCK)]
        before, after = await self._records.reader.neighbours(set_name, number)
        chosen = _chosen(clients, question["log"], question["client"])
        is_live = record.is_going_on(now_s)
        text = self._renderer.page(
            "run.html",
            question,
            record=record,
            book=book.get(number),
            before=before,
            after=after,
            phases=[(one, one.phase(now_s)) for one in (bad if question["bad"] else clients)],
            only_bad=question["bad"],
            cells_of=[(one, one.phase(now_s)) for one in sorted(record.clients, key=lambda one: (one.name, one.host))],
            counts=record.counts(now_s),
            begun_s=begun_s,
            is_live=is_live,
            charts=_charts(streams),
            chosen=chosen,
            log=await self._log(set_name, chosen, question) if chosen else None,
            first=max(_FIRST, len(bad)),
        )
        return SiteAnswer(body=text.encode(), max_age_s=2 if is_live else 60)

    async def log(self, question: PageRequest) -> SiteAnswer:
        """The log of one client, as a page of its own."""
        row = await self._records.reader.document(question["db"], question["id"])
        record = await self.found(question["db"], row.run) if row and row.run is not None else None
        client = next((one for one in record.clients if one.id == question["id"]), None) if record else None
        if client is None:
            raise NotFound("there is no such log", source="site", suggestion="go to /runs")
        log = await self._log(question["db"], client, question)
        text = self._renderer.page("log.html", question, client=client, log=log)
        return SiteAnswer(body=text.encode())

    async def _log(self, set_name: str, client: ClientState, question: PageRequest) -> Any:
        lines = await self._records.reader.log(set_name, client.id)
        return log_view(lines or {}, question["q"] or "", question["part"])

    async def compare(self, question: PageRequest) -> SiteAnswer:
        """Two runs beside each other."""
        numbers = (question["number"], question["with"])
        runs = [await self.found(question["db"], one) for one in numbers if one is not None]
        missing = [number for number, one in zip(numbers, runs, strict=False) if one is None]
        if missing:
            raise NotFound(f"there is no run {missing[0]}", source="site", suggestion="go to /runs")
        found = [one for one in runs if one is not None]
        rows = _compared(found, question.now_s) if len(found) == 2 else []
        number = question["number"]
        others = [one for one in await self._records.runs(question["db"], limit=60) if one != number]
        streams = [(await self._records.streams(question["db"], one.number))[0] for one in found]
        text = self._renderer.page(
            "compare.html",
            question,
            number=number,
            other=question["with"],
            others=others,
            rows=rows,
            charts=[_charts(one) for one in streams] if len(found) == 2 else [],
        )
        return SiteAnswer(body=text.encode())

    async def found(self, set_name: str, number: int) -> RunRecord | None:
        """The documents of a run; None without any."""
        return await self._records.run(set_name, number)


def _chosen(clients: Sequence[ClientState], id: str, name: str) -> ClientState | None:
    """Whose log is shown: that of the address, else the worst one."""
    if id or name:
        return next((one for one in clients if (one.id == id if id else one.name == name)), None)
    return clients[0] if clients else None


def _charts(streams: Sequence[StreamFigures]) -> dict[str, Any] | None:
    if not any(one.sections for one in streams):
        return None
    return {
        "delay": plots.delay_plot(streams),
        "events": plots.events_plot(streams),
        "gaps": [f"{a} to {b}" if b > a else str(a) for a, b in plots.gaps(streams)],
        "last": [
            {
                "name": one.name,
                "delay": next((delay for delay in reversed(one.delays_s) if delay is not None), None),
                "events": sum(events or 0 for events in one.accepted),
            }
            for one in streams
        ],
        "table": streams,
    }


def _compared(runs: Sequence[RunRecord], now_s: float) -> list[tuple[str, str, str, bool]]:
    """What, first, second, and whether the difference is one to look at: counters always differ."""
    first, second = runs
    rows = [
        ("release", first.release, second.release, first.release != second.release),
        ("key", first.key, second.key, first.key != second.key),
        ("last section", str(first.section or ""), str(second.section or ""), False),
        ("clients", str(len(first.clients)), str(len(second.clients)), len(first.clients) != len(second.clients)),
    ]
    by_name = [{one.name: one for one in run.clients} for run in runs]
    for name in sorted({*by_name[0], *by_name[1]}):
        one, other = by_name[0].get(name), by_name[1].get(name)
        shown = _shown(one, now_s), _shown(other, now_s)
        alike = one is not None and other is not None and one.phase(now_s) == other.phase(now_s)
        rows.append((name, *shown, not alike or (one is not None and other is not None and one.host != other.host)))
    return rows


def _shown(client: ClientState | None, now_s: float) -> str:
    if client is None:
        return "not there"
    phase = client.phase(now_s)
    end = f", exit {client.exit_code}" if client.exit_code else ""
    events = "" if client.events is None else f", {zones.grouped(client.events)} events"
    return f"{phase}{end}{events} on {client.host}"
