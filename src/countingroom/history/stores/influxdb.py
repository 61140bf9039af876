"""A further store in an InfluxDB: version 1 by database, version 2 by bucket.

It has no transactions. A sample is a point of its own series, so writing it again overwrites it with itself; the
position is a point that is written after the samples. A call that was cut off is repeated from the old position, and
nothing is doubled. InfluxDB answers when its log is on disk.

Version 2 is asked in InfluxQL too, through its address for clients of version 1.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import httpx
import msgspec
import numpy as np

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import LinkError
from countingroom.history.columns import Columns, together
from countingroom.history.port import Position
from countingroom.history.stores import influxql
from countingroom.history.stores.influxdb_section import InfluxSection
from countingroom.history.stores.influxql import ResultSeries
from countingroom.history.stores.line_protocol import key, lines, readings_key
from countingroom.history.stores.port import StoreLimits, moved
from countingroom.history.stores.refused_lines import Taken, send_all
from countingroom.history.stores.store_http import StoreHttp, words
from countingroom.history.stores.tracker_layout import TrackerField, tracker_lines

_LINES = 10_000
"""Lines of one request."""
_EVERY = 2**31
"""From this limit on no limit is sent."""
_WRITTEN, _NO_DATABASE, _TOO_LARGE, _BAD = 204, 404, 413, (400, 422)
_PARTIAL = ("partial write", "beyond retention policy", "field type conflict", "dropped")
"""In answers of which the other lines are stored."""


class InfluxStore:
    """A FurtherStore in an InfluxDB."""

    limits = StoreLimits(equal_times=False, messages=False)

    def __init__(
        self,
        name: str,
        section: InfluxSection,
        timeout_s: float,
        *,
        tracker: Mapping[str, TrackerField] | None = None,
        clock: Clock | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout_s`: deadline of a request. `tracker`: the fields for the layout of that name.
        ConfigurationError where a secret cannot be read."""
        self._name = name
        self._source = f"history.stores.{name}"
        self._section = section
        self._clock = clock or SystemClock()
        self._tracker = (tracker or {}) if section.layout == "tracker" else {}
        self._keys: dict[str, str] = {}
        self._doubtful: set[str] = set()
        self._sender = ThreadPoolExecutor(1, "influxdb")
        """Sends a part while the next one is made."""
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
        self._sender.shutdown()
        self._http.close()

    def abort(self) -> None:
        self._http.abort()

    def position(self) -> Position:
        with self._http.call():
            return self._position()[0]

    def append(self, columns: Columns, position: Position, *, after: Position) -> None:
        with self._http.call():
            at, at_ns = self._position()
            if at != after:
                raise moved(self._name, at, after)
            self._write(columns)
            now = max(self._clock.now_ns(), at_ns + 1)
            fields = f"sequence={position.sequence}i,stored_ns={position.stored_ns}i"
            line = f"{key(influxql.POSITION, (('store', self._name),))} {fields} {now}"
            answer, said = self._send([line])
            if answer is not Taken.STORED:
                raise LinkError(
                    f"the store at {self._http.url} does not take the position: {said}",
                    source=self._source,
                    code="store_refused",
                    suggestion="see the words of the store: nothing can be written there now",
                )

    def fill(self, columns: Columns) -> None:
        with self._http.call():
            self._write(columns)

    def points(self) -> dict[str, bool]:
        with self._http.call():
            numbers, texts, qualities = (
                set(influxql.names_of(self._ask(influxql.known(field)))) for field in influxql.VALUES
            )
        return {name: name in texts for name in sorted(numbers | texts | qualities)}

    def samples(self, names: tuple[str, ...], start_ns: int, end_ns: int, *, limit: int) -> Columns:
        each = limit if limit < _EVERY else 0
        found = self._read(names, partial(influxql.samples, start_ns=start_ns, end_ns=end_ns, limit=each))
        return found.chosen(np.argsort(found.time_ns, kind="stable")[:limit])

    def last_before(self, names: tuple[str, ...], at_ns: int, *, since_ns: int = 0) -> Columns:
        query = partial(influxql.samples, start_ns=since_ns, end_ns=at_ns + 1, limit=1, newest_first=True)
        return self._read(names, query)

    def _read(self, names: Sequence[str], query: Callable[[Sequence[str]], str]) -> Columns:
        asked = list(dict.fromkeys(names))
        parts = [asked[begin : begin + influxql.MOST_NAMES] for begin in range(0, len(asked), influxql.MOST_NAMES)]
        with self._http.call():
            return together([influxql.columns(self._ask(query(part))) for part in parts or [[]] if part] or [_NOTHING])

    def _position(self) -> tuple[Position, int]:
        """The position, and the time of its point (ns since the epoch)."""
        found = self._ask(influxql.newest_position(self._name))
        if not found or not found[0].values:
            return Position(), 0
        time_ns, sequence, stored_ns = found[0].values[0]
        return Position(sequence=sequence, stored_ns=stored_ns), time_ns

    def _write(self, columns: Columns) -> None:
        keys = self._keys
        for name in set(columns.names) - keys.keys():
            keys[name] = readings_key(name)
        under_way: Future[None] | None = None
        for begin in range(0, len(columns), _LINES):
            rows = np.arange(begin, min(begin + _LINES, len(columns)))
            chosen = columns.chosen(rows)
            part = lines(chosen, keys.__getitem__, self._doubtful)
            if self._tracker:
                part += tracker_lines(chosen, self._tracker)
            if under_way:
                under_way.result()
            under_way = self._sender.submit(send_all, part, self._send, self._source)
        if under_way:
            under_way.result()

    def _send(self, part: Sequence[str]) -> tuple[Taken, str]:
        section = self._section
        body = "\n".join(part).encode()
        if section.bucket:
            answer = self._http.post(
                "/api/v2/write", {"org": section.org, "bucket": section.bucket, "precision": "ns"}, body
            )
        else:
            answer = self._http.post("/write", {"db": section.database, "precision": "ns"}, body)
            if answer.status_code == _NO_DATABASE:
                self._create()
                answer = self._http.post("/write", {"db": section.database, "precision": "ns"}, body)
        return self._judged(answer)

    def _judged(self, answer: httpx.Response) -> tuple[Taken, str]:
        status = answer.status_code
        if status in (_WRITTEN, 200):
            return Taken.STORED, ""
        if status in _BAD:
            said = words(answer)
            if any(word in answer.text for word in _PARTIAL):
                return Taken.PARTLY, said
            return Taken.REFUSED, said
        if status == _TOO_LARGE:
            return Taken.REFUSED, words(answer)
        if status == _NO_DATABASE:
            raise self._http.refused(
                answer, f"make the bucket: influx bucket create --org {self._section.org} --name {self._section.bucket}"
            )
        raise self._http.refused(answer, "see that the address is that of an InfluxDB, without a proxy that redirects")

    def _create(self) -> None:
        kept = self._section.retention
        duration = f" WITH DURATION {round(kept)}s" if kept else ""
        self._ask(f"CREATE DATABASE {influxql.identifier(self._section.database)}{duration}")

    def _ask(self, query: str) -> list[ResultSeries]:
        database = self._section.database or self._section.bucket
        answer = self._http.ask("/query", {"db": database, "q": query, "epoch": "ns", "chunked": "true"})
        if answer.status_code != 200:
            raise self._http.refused(answer, "see that the store is an InfluxDB and has this database or bucket")
        try:
            found, error = influxql.parse(answer.content)
        except msgspec.DecodeError as wrong:
            raise self._http.refused(answer, "see that the address is that of an InfluxDB") from wrong
        if error.startswith("database not found"):
            return []
        if error:
            raise LinkError(
                f"the store at {self._http.url} cannot answer: {error}",
                source=self._source,
                code="store_refused",
                suggestion="see the log of the store, and the rights of the user",
            )
        return found


_NOTHING = influxql.columns([])


def _login(section: InfluxSection, source: str) -> dict[str, str]:
    if section.token:
        return {"Authorization": f"Token {section.token.read(source)}"}
    if section.password:
        word = base64.b64encode(f"{section.user}:{section.password.read(source)}".encode()).decode()
        return {"Authorization": f"Basic {word}"}
    return {}
