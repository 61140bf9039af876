"""The JSON API of the site, version 1. It gives what the pages show, and no more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import msgspec

from countingroom.core.errors import NotFound
from countingroom.site import now_view, zones
from countingroom.site.answers import SiteAnswer, as_json
from countingroom.site.clients import ClientState, RunRecord
from countingroom.site.log_view import plain_lines
from countingroom.site.public_records import PublicRecords
from countingroom.site.route_table import PageRequest
from countingroom.site.withheld_view import withheld

COLUMNS = ("run", "client", "host", "phase", "exit_code", "section", "events", "rate", "memory_mb", "last_heard", "id")
_KEPT_RUNS = 2000


class ClientRows:
    """Rows of the clients of runs, encoded; those of a run whose clients have all ended are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], tuple[RunRecord, list[msgspec.Raw]]] = OrderedDict()

    def of(self, run: RunRecord, now_s: float) -> list[msgspec.Raw]:
        """One row for each client, with the fields of COLUMNS."""
        kept = self._kept.get((run.set, run.number))
        if kept is not None and kept[0] is run:
            return kept[1]
        rows = [msgspec.Raw(msgspec.json.encode(_row(one, now_s))) for one in run.clients]
        if all(one.is_ended for one in run.clients):
            self._kept[run.set, run.number] = (run, rows)
            while len(self._kept) > _KEPT_RUNS:
                self._kept.popitem(last=False)
        return rows


class PublicApi:
    """Answers of the API."""

    def __init__(self, records: PublicRecords, title: str) -> None:
        self._records = records
        self._title = title
        self._rows = ClientRows()

    async def now(self, question: PageRequest) -> SiteAnswer:
        """Partitions, alarms, nodes and the rest of the inside, as they are."""
        reader = self._records.reader
        by_kind: dict[str, list[dict[str, Any]]] = {}
        for one in await reader.now():
            if one.body is not None:
                row = {"key": one.key, "at": zones.iso(one.at / 1e6), "body": one.body}
                by_kind.setdefault(one.kind, []).append(row)
        fresh = now_view.freshness(await reader.sources(), self._records.version.at, question.now_s)
        status = {"word": fresh.word, "last_heard": zones.iso(fresh.heard_s), "last_news": zones.iso(fresh.news_s)}
        return as_json({"title": self._title, "version": self._records.version.number, "status": status, **by_kind})

    async def sources(self, question: PageRequest) -> SiteAnswer:
        """How each kind of source is."""
        sources = await self._records.reader.sources()
        fresh = now_view.freshness(sources, self._records.version.at, question.now_s)
        left = withheld(sources, await self._records.reader.withheld())
        return as_json(
            {
                "status": fresh.word,
                "sources": [
                    {
                        "name": one.name,
                        "last_heard": zones.iso(one.heard_s),
                        "stale": one.is_stale,
                        "sources": one.sources,
                        "connected": one.connected,
                        "trouble": one.trouble,
                    }
                    for one in fresh.sources
                ],
                "lines": left.lines,
                "lines_withheld": left.lines_withheld,
                "records_withheld": left.records,
                "withheld": left.kinds,
            }
        )

    async def runs(self, question: PageRequest) -> SiteAnswer:
        """Runs with their counts, the newest first."""
        set_name, before = question["db"], question["before"]
        last = None if before is None else before - 1
        numbers = await self._records.runs(set_name, last=last, limit=question["limit"])
        runs = await self._records.span(set_name, numbers[-1], numbers[0]) if numbers else []
        shown = [_run(one, question.now_s) for one in reversed(runs)]
        return as_json({"set": set_name, "runs": shown, "next_before": numbers[-1] if numbers else None})

    async def timeline(self, question: PageRequest) -> SiteAnswer:
        """Clients of a range of runs, as one row each: short, as there are thousands."""
        set_name, last, first = question["db"], question["to"], question["from"]
        if last is None:
            last = max(await self._records.runs(set_name, limit=1), default=0)
        if first is None:
            first = min(await self._records.runs(set_name, last=last, limit=100), default=last)
        runs = await self._records.span(set_name, min(first, last), max(first, last))
        rows = [
            row
            for run in reversed(runs)
            for client, row in zip(run.clients, self._rows.of(run, question.now_s), strict=True)
            if (not question["bad"] or client.exit_code) and (not question["ls"] or client.section)
        ]
        return as_json(
            {"set": set_name, "from": min(first, last), "to": max(first, last), "columns": COLUMNS, "rows": rows}
        )

    async def run(self, question: PageRequest) -> SiteAnswer:
        """One run with its clients."""
        record = await self._record(question)
        before, after = await self._records.reader.neighbours(record.set, record.number)
        clients = [_client(one, question.now_s) for one in record.clients]
        content = {**_run(record, question.now_s), "previous": before, "next": after, "clients": clients}
        return as_json(content)

    async def streams(self, question: PageRequest) -> SiteAnswer:
        """Delivery delay and accepted events of each stream of a run, by section."""
        streams, begun_s = await self._records.streams(question["db"], question["number"])
        if not streams:
            raise NotFound(f"run {question['number']} has no figures of streams", source="site")
        shown = {
            one.name: {"sections": one.sections, "delay_s": _rounded(one.delays_s), "accepted": one.accepted}
            for one in streams
        }
        return as_json({"run": question["number"], "begun": zones.iso(begun_s), "streams": shown})

    async def log(self, question: PageRequest) -> SiteAnswer:
        """The log of a client: only approved lines, with how many were withheld where they stood."""
        lines = await self._records.reader.log(question["db"], question["id"])
        if lines is None:
            raise NotFound("there is no such log", source="site")
        search = (question["q"] or "").lower()
        return as_json({"id": question["id"], "lines": [one for one in plain_lines(lines) if search in one.lower()]})

    async def computers(self, question: PageRequest) -> SiteAnswer:
        """Computers of the cluster by alias, and since when each is as it is."""
        hosts = await self._records.reader.hosts(question["db"])
        return as_json(
            [
                {"host": one.host, "up": one.is_up, "message": one.message, "since": zones.iso(one.at / 1e6)}
                for one in hosts
            ]
        )

    async def _record(self, question: PageRequest) -> RunRecord:
        found = await self._records.run(question["db"], question["number"])
        if found is None:
            raise NotFound(f"there is no run {question['number']} in the set {question['db']}", source="site")
        return found


def _run(record: RunRecord, now_s: float) -> dict[str, Any]:
    return {
        "number": record.number,
        "set": record.set,
        "going_on": record.is_going_on(now_s),
        "last_heard": zones.iso(record.heard_s),
        "section": record.section,
        "events": record.events,
        "release": record.release,
        "key": record.key,
        "counts": {phase.value: number for phase, number in record.counts(now_s).items()},
    }


def _client(client: ClientState, now_s: float) -> dict[str, Any]:
    shown = msgspec.structs.asdict(client)
    at_s = shown.pop("at_s")
    return {**shown, "phase": client.phase(now_s).value, "last_heard": zones.iso(at_s)}


def _row(client: ClientState, now_s: float) -> list[Any]:
    what = [client.run, client.name, client.host, client.phase(now_s).value, client.exit_code, client.section]
    memory = None if client.memory_mb is None else round(client.memory_mb, 1)
    return [*what, client.events, client.rate, memory, zones.iso(client.at_s), client.id]


def _rounded(given: Iterable[float | None]) -> list[float | None]:
    return [None if one is None else round(one, 2) for one in given]
