"""A further store in a VictoriaMetrics of one node.

It has no transactions, it stores a sample twice that comes twice, and it keeps what is new in memory: a server that
is killed loses up to ten seconds of what it has answered for. So each position is kept with the second in which the
process of the server began. When that is another one now, the store is at the position of half a minute before the last
one that is there, and what follows comes again. While it may be that samples are there beyond the position (then, after
the start and after an error), an append looks first which of its samples the store has, and writes the others.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable, Iterator, Sequence

import httpx
import msgspec
import numpy as np

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import LinkError
from countingroom.history.columns import Columns, together
from countingroom.history.port import Position
from countingroom.history.stores import victoriametrics_samples as series
from countingroom.history.stores.port import StoreLimits, moved
from countingroom.history.stores.store_http import Parameters, StoreHttp
from countingroom.history.stores.victoriametrics_samples import MS, Key, SeriesLine
from countingroom.history.stores.victoriametrics_section import VictoriaMetricsSection

_log = logging.getLogger(__name__)

_BACK_MS = (3_600_000, 86_400_000, 30 * 86_400_000, 2**62)
"""How far back the newest sample is searched, step by step."""
_WINDOW_MS = 600_000
_LINES = 2_000
"""Series of one request."""
_PARTS = ("sequence", "stored_s", "stored_rest_ns", "server")
"""The position, in numbers that a double holds, and the begin of the process of the server (s since the epoch)."""
_S = 1_000_000_000
_SURE_MS = 30_000
"""What was written so long before the end of the server is on its disk. It flushes every five seconds."""
_DOUBT_NS = 60 * _S
"""So much the clocks of the bus and of this process may differ."""
_BEGAN = re.compile(r"^vm_app_start_timestamp(?:{[^}]*})? (\d+)", re.MULTILINE)
_SUGGESTION = "see that the store is a VictoriaMetrics of one node; its log says what it refuses"


class VictoriaMetricsStore:
    """A FurtherStore in a VictoriaMetrics."""

    def __init__(
        self,
        name: str,
        section: VictoriaMetricsSection,
        timeout_s: float,
        *,
        clock: Clock | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout_s`: deadline of a request. ConfigurationError where a secret cannot be read."""
        self.limits = StoreLimits(
            resolution_ns=MS,
            equal_times=False,
            device_time=False,
            messages=False,
            digits=15,
            most_texts=section.most_texts,
        )
        self._name = name
        self._source = f"history.stores.{name}"
        self._section = section
        self._clock = clock or SystemClock()
        self._is_sure = False
        """Whether nothing is in the store beyond its position."""
        self._doubt_until_ns = 0
        self._doubt()
        self._newest: dict[Key, set[int]] = {}
        """The time in ms of the last sample of each series: another one in this ms, of the next append, is left out."""
        self._texts: dict[str, set[str]] = {}
        self._are_texts_known = False
        self._full: set[str] = set()
        self._http = StoreHttp(
            section.url,
            source=self._source,
            timeout_s=timeout_s,
            headers=_login(section, self._source),
            tls_ca=section.tls_ca,
            compress=section.compress,
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def abort(self) -> None:
        self._http.abort()

    def position(self) -> Position:
        with self._http.call():
            return self._position(self._began())[0]

    def append(self, columns: Columns, position: Position, *, after: Position) -> None:
        with self._http.call():
            began = self._began()
            at, at_ms = self._position(began)
            if at != after:
                self._doubt()
                raise moved(self._name, at, after)
            was_sure = self._is_sure
            wanted = self._lines(columns)
            try:
                absent = series.without(wanted, self._newest) if was_sure else self._absent(wanted)
                self._write(absent)
                now = max(self._clock.now_ns() // MS, at_ms + 1)
                parts = (position.sequence, position.stored_ns // _S, position.stored_ns % _S, began)
                self._write(
                    [SeriesLine(self._part(part), [value], [now]) for part, value in zip(_PARTS, parts, strict=True)]
                )
                self._flush()
            except LinkError:
                self._doubt()
                raise
            is_past = position.stored_ns > self._doubt_until_ns
            self._is_sure = was_sure or (is_past and bool(wanted) and _size(absent) == _size(wanted))
            self._newest.update((series.key(line), {line.timestamps[-1]}) for line in wanted)

    def fill(self, columns: Columns) -> None:
        with self._http.call():
            self._write(self._absent(self._lines(columns)))
            self._flush()

    def points(self) -> dict[str, bool]:
        with self._http.call():
            every = self._names("value|quality|text")
            texts = self._names("text")
        return {name: name in texts for name in sorted(every)}

    def samples(self, names: tuple[str, ...], start_ns: int, end_ns: int, *, limit: int) -> Columns:
        parts: list[Columns] = []
        begin, end = -(-start_ns // MS), -(-end_ns // MS) - 1
        window = _WINDOW_MS if limit < series.MANY else end + 1
        while begin <= end and limit > 0:
            stop = min(end, begin + window)
            with self._http.call():
                found = self._read(names, begin, stop)
            parts.append(found.chosen(np.argsort(found.time_ns, kind="stable")[:limit]))
            limit -= len(parts[-1])
            begin, window = stop + 1, 2 * window
        return together(parts or [_NOTHING])

    def last_before(self, names: tuple[str, ...], at_ns: int, *, since_ns: int = 0) -> Columns:
        missing = set(names)
        parts: list[Columns] = []
        end, least = at_ns // MS, -(-since_ns // MS)
        for back in _BACK_MS:
            begin = max(least, end - back)
            with self._http.call():
                found = self._read(tuple(missing), begin, end)
            rows = {name: row for row, name in enumerate(found.names)}
            parts.append(found.chosen(np.array(list(rows.values()), np.int64)))
            missing -= rows.keys()
            if not missing or begin == least:
                break
        return together(parts)

    def _read(self, names: Sequence[str], begin_ms: int, end_ms: int) -> Columns:
        wanted = set(names)
        found = self._export(self._selectors(wanted), begin_ms, end_ms)
        return series.columns((line for line in found if _name(line) in wanted), self._section.prefix)

    def _selectors(self, names: Iterable[str]) -> list[str]:
        """By device, with its points where they are few: a selector may not be as long as a thousand names."""
        devices: dict[str, list[str]] = {}
        for name in sorted(names):
            device, _, point = name.partition(".")
            devices.setdefault(device, []).append(point)
        metrics = self._metric("(value|quality|text)")
        return [
            series.selector(metrics, device=device, point=points)
            if len(points) <= series.FEW
            else series.selector(metrics, device=device)
            for device, points in devices.items()
        ]

    def _doubt(self) -> None:
        """Samples may be in the store beyond its position: all that the bus has stored until now."""
        self._is_sure = False
        self._doubt_until_ns = self._clock.now_ns() + _DOUBT_NS

    def _began(self) -> int:
        """When the process of the server began (s since the epoch)."""
        answer = self._done(self._http.get("/metrics", {}))
        if found := _BEGAN.search(answer.text):
            return int(found[1])
        raise self._http.refused(answer, _SUGGESTION)

    def _position(self, began: int) -> tuple[Position, int]:
        """The position, and the time of the last samples of a position in ms. `began`: of the process of the server."""
        which = series.selector(self._metric("position"), store=self._name)
        now = self._clock.now_ns() // MS + _BACK_MS[0]
        newest = 0
        for back in _BACK_MS:
            parts: dict[int, dict[str, int]] = {}
            for line in self._export([which], max(0, now - back - _BACK_MS[0]), now):
                for value, at_ms in zip(line.values, line.timestamps, strict=True):
                    parts.setdefault(at_ms, {})[line.metric["part"]] = round(value or 0)
            whole = {at_ms: found for at_ms, found in parts.items() if len(found) == len(_PARTS)}
            if whole and whole[max(whole)]["server"] != began:
                self._doubt()
                sure = max(whole) - _SURE_MS
                whole = {at_ms: found for at_ms, found in whole.items() if at_ms <= sure}
            if whole:
                found = whole[max(whole)]
                stored_ns = found["stored_s"] * _S + found["stored_rest_ns"]
                return Position(sequence=found["sequence"], stored_ns=stored_ns), max(parts)
            newest = max(newest, *parts, 0)
        return Position(), newest

    def _lines(self, columns: Columns) -> list[SeriesLine]:
        """The samples to write, without texts beyond the limit."""
        found = series.lines(columns, self._section.prefix)
        if not columns.texts:
            return found
        if not self._are_texts_known:
            for labels in self._series("text"):
                self._texts.setdefault(f"{labels['device']}.{labels['point']}", set()).add(labels.get("text", ""))
            self._are_texts_known = True
        return [line for line in found if self._is_kept(line)]

    def _is_kept(self, line: SeriesLine) -> bool:
        if line.metric["__name__"] != self._metric("text"):
            return True
        name, text = _name(line), line.metric.get("text", "")
        known = self._texts.setdefault(name, set())
        if text not in known and len(known) >= self._section.most_texts:
            if name not in self._full:
                self._full.add(name)
                _log.warning(
                    "%s: %s has more than %d texts; further ones are left out (key most_texts)",
                    self._source,
                    name,
                    self._section.most_texts,
                )
            return False
        known.add(text)
        return True

    def _absent(self, wanted: list[SeriesLine]) -> list[SeriesLine]:
        """Those of these samples that the store does not have."""
        if not wanted:
            return []
        self._flush()  # a sample that came a moment ago is not seen before
        begin = min(line.timestamps[0] for line in wanted)
        end = max(line.timestamps[-1] for line in wanted)
        present: dict[Key, set[int]] = {}
        for line in self._export(self._selectors(set(map(_name, wanted))), begin, end):
            present.setdefault(series.key(line), set()).update(line.timestamps)
        return series.without(wanted, present)

    def _write(self, lines: Sequence[SeriesLine]) -> None:
        """Store samples. They are seen after a flush."""
        for begin in range(0, len(lines), _LINES):
            body = series.encode(lines[begin : begin + _LINES])
            self._done(self._http.post("/api/v1/import", {}, body))

    def _flush(self) -> None:
        self._done(self._http.get("/internal/force_flush", {}))

    def _export(self, selectors: Sequence[str], begin_ms: int, end_ms: int) -> list[SeriesLine]:
        if not selectors:
            return []
        form: Parameters = {"match[]": list(selectors), "start": _seconds(begin_ms), "end": _seconds(end_ms)}
        answer = self._done(self._http.ask("/api/v1/export", form))
        try:
            return series.parse(answer.content)
        except msgspec.DecodeError as error:
            raise self._http.refused(answer, _SUGGESTION) from error

    def _names(self, metrics: str) -> set[str]:
        return {f"{labels['device']}.{labels['point']}" for labels in self._series(metrics)}

    def _series(self, metrics: str) -> Iterator[dict[str, str]]:
        which = series.selector(self._metric(f"({metrics})"))
        end = _seconds(self._clock.now_ns() // MS + _BACK_MS[0])  # and not from 0, which means the last five minutes
        answer = self._done(self._http.ask("/api/v1/series", {"match[]": which, "start": "1", "end": end}))
        try:
            yield from msgspec.json.decode(answer.content, type=series.SeriesLabels).data
        except msgspec.DecodeError as error:
            raise self._http.refused(answer, _SUGGESTION) from error

    def _done(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        raise self._http.refused(answer, _SUGGESTION)

    def _metric(self, rest: str) -> str:
        return f"{self._section.prefix}_{rest}"

    def _part(self, part: str) -> dict[str, str]:
        return {"__name__": self._metric("position"), "store": self._name, "part": part}


_NOTHING = series.columns([], "")


def _name(line: SeriesLine) -> str:
    return f"{line.metric['device']}.{line.metric['point']}"


def _size(lines: Iterable[SeriesLine]) -> int:
    return sum(len(line.timestamps) for line in lines)


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"


def _login(section: VictoriaMetricsSection, source: str) -> dict[str, str]:
    if section.token:
        return {"Authorization": f"Bearer {section.token.read(source)}"}
    if section.password:
        word = base64.b64encode(f"{section.user}:{section.password.read(source)}".encode()).decode()
        return {"Authorization": f"Basic {word}"}
    return {}
