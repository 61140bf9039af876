"""What the pages know: the public store, read through its reader, with the runs that were read kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import groupby

from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.values import DocumentRow, SourceRow, Version
from countingroom.site.clients import RunRecord, StreamFigures, client_state, stream_figures
from countingroom.site.live import News

SETS = ("production", "playback")
MOST_ROWS = 5000
MOST_RUNS = 1000
"""In one answer, the newest of them."""
_KEPT_RUNS = 2000
_KEPT_STREAMS = 50
_KEPT_NUMBERS = 200
_Streams = tuple[tuple[StreamFigures, ...], float | None]


class PublicRecords:
    """The store, and a memory of its runs that follows its changes."""

    def __init__(self, reader: PublicReader) -> None:
        self.reader = reader
        self.version = Version(number=0, at=0)
        self._is_begun = False
        self._replaced = 0
        self._numbers: dict[tuple[str, int, int | None, int], list[int]] = {}
        self._sources: tuple[SourceRow, ...] = ()
        self._runs: OrderedDict[tuple[str, int], RunRecord | None] = OrderedDict()
        self._streams: OrderedDict[tuple[str, int], _Streams] = OrderedDict()

    async def look(self) -> News | None:
        """What changed since the last look; None: nothing. It forgets the runs that changed."""
        version, sources = await self.reader.version(), await self.reader.sources()
        begun, before = self._is_begun, self.version
        is_another = self._replaced != self.reader.replaced
        self._replaced = self.reader.replaced
        heard, self._sources = sources != self._sources, sources
        self._is_begun = True
        if begun and version == before and not heard and not is_another:
            return None
        changed: set[int] = set()
        if is_another or version.number < before.number:
            self._runs.clear()  # another database took its place
            self._streams.clear()
        elif begun and version.number > before.number:
            changed = await self._forget(before.number)
        if is_another or version != before:
            self._numbers.clear()
        self.version = version
        fresh = dict(_fresh(sources))
        fresh |= {"any": max(fresh.values(), default=0), "news": version.at // 1000}
        return News(number=version.number, runs=tuple(sorted(changed)), fresh=fresh)

    async def _forget(self, after_version: int) -> set[int]:
        changed: set[int] = set()
        for set_name in SETS:
            for kind in ("run_client", "graph"):
                rows = await self.reader.documents(set_name, kind, after_version=after_version, limit=MOST_ROWS)
                if len(rows) >= MOST_ROWS:  # more than one answer holds: which ones is not known
                    self._runs.clear()
                    self._streams.clear()
                for run in {row.run for row in rows if row.run is not None}:
                    self._runs.pop((set_name, run), None)
                    self._streams.pop((set_name, run), None)
                    changed.add(run)
        return changed

    async def runs(self, set_name: str, *, first: int = 0, last: int | None = None, limit: int) -> list[int]:
        """Numbers of runs, the newest first. Until something changes each question is asked once."""
        key = (set_name, first, last, limit)
        if key not in self._numbers:
            version = self.version
            found = await self.reader.runs(set_name, first=first, last=last, limit=limit)
            if version != self.version or len(self._numbers) > _KEPT_NUMBERS:
                return found
            self._numbers[key] = found
        return self._numbers[key]

    async def run(self, set_name: str, number: int) -> RunRecord | None:
        """A run with its clients; None where there is none."""
        key = (set_name, number)
        if key not in self._runs:
            version = self.version
            rows = await self.reader.documents(set_name, "run_client", run=number)
            self._keep(key, _record(set_name, number, rows) if rows else None, version)
            return _record(set_name, number, rows) if rows else None
        self._runs.move_to_end(key)
        return self._runs[key]

    async def streams(self, set_name: str, number: int) -> tuple[tuple[StreamFigures, ...], float | None]:
        """The figures of the streams of a run, and when its first section began."""
        key = (set_name, number)
        if key not in self._streams:
            version = self.version
            found = stream_figures(await self.reader.documents(set_name, "graph", run=number))
            if version == self.version:
                self._streams[key] = found
            while len(self._streams) > _KEPT_STREAMS:
                self._streams.popitem(last=False)
            return found
        return self._streams[key]

    async def span(self, set_name: str, first: int, last: int) -> list[RunRecord]:
        """The runs from `first` to `last`, oldest first."""
        numbers = (await self.runs(set_name, first=first, last=last, limit=MOST_RUNS))[::-1]
        missing = [one for one in numbers if (set_name, one) not in self._runs]
        read = await self._read_span(set_name, missing[0], missing[-1]) if missing else {}
        found = [read.get(one) or self._runs.get((set_name, one)) for one in numbers]
        return [one for one in found if one is not None]

    async def _read_span(self, set_name: str, first: int, last: int) -> dict[int, RunRecord]:
        read: dict[int, RunRecord] = {}
        while first <= last:
            version = self.version
            rows = await self.reader.documents(set_name, "run_client", runs=(first, last), limit=MOST_ROWS)
            groups = [(run, list(of)) for run, of in groupby(rows, key=lambda row: row.run or 0)]
            is_cut = len(rows) >= MOST_ROWS
            for run, of in groups[:-1] if is_cut and len(groups) > 1 else groups:
                read[run] = _record(set_name, run, of)
                self._keep((set_name, run), read[run], version)
            if not is_cut:
                break
            first = groups[-1][0] if len(groups) > 1 else groups[-1][0] + 1
        return read

    def _keep(self, key: tuple[str, int], record: RunRecord | None, version: Version) -> None:
        if version != self.version:  # it changed while it was read: it may be the old one
            return
        self._runs[key] = record
        self._runs.move_to_end(key)
        while len(self._runs) > _KEPT_RUNS:
            self._runs.popitem(last=False)


def _record(set_name: str, number: int, rows: Sequence[DocumentRow]) -> RunRecord:
    return RunRecord(number=number, set=set_name, clients=tuple(client_state(row) for row in rows))


def _fresh(sources: Sequence[SourceRow]) -> list[tuple[str, int]]:
    """When each kind of source was heard last, ms since 1970."""
    kinds = sorted({one.kind for one in sources})
    return [(kind, max(one.contact_at for one in sources if one.kind == kind) // 1000) for kind in kinds]
