# ruff: noqa: S608 (what is put into statements are names of tables and integers of our own)
"""The history store in one DuckDB file.

A batch and the stream position it brings the store to are one transaction: after a crash no reading is lost and none is
stored twice. Writing has one connection, under a lock. Each query has a connection and a transaction of its own and
sees the data as they were at its start, so neither waits for the other.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import duckdb
import numpy as np

from countingroom.core.errors import LinkError
from countingroom.core.history_copy import CopyAnswer, CopyQuery
from countingroom.history import duckdb_file, duckdb_format
from countingroom.history import duckdb_numpy as arrays
from countingroom.history import duckdb_sql as sql
from countingroom.history.buckets import Buckets
from countingroom.history.columns import Columns, Integers, empty, together
from countingroom.history.description import HistorySection
from countingroom.history.file_hold import FileHold
from countingroom.history.last_rows import LastRows
from countingroom.history.port import Maintained, Position
from countingroom.history.query_plan import QueryPlan
from countingroom.history.retention import MINUTE_NS, Horizon, Resolution, early_removal, kept_from
from countingroom.history.tracks import PointTrack

_BACK_NS = (130_000_000_000, 3_600_000_000_000, 86_400_000_000_000, 2**62)
"""How far back the last sample is searched, step by step: two full messages, an hour, a day, everything."""
_TABLES = {Resolution.MINUTE: "minute", Resolution.FIVE_MINUTES: "five"}


class DuckStore:
    """A HistoryStore in a file. LinkError if it cannot be opened, ConfigurationError if it is damaged. `chunk`: rows
    that are sorted together."""

    def __init__(
        self,
        path: Path,
        section: HistorySection | None = None,
        *,
        chunk: int = 2_000_000,
        read_only: bool = False,
    ) -> None:
        """`read_only`: the file exists and is not changed."""
        self._path = path
        self._read_only = read_only
        self._chunk = chunk
        self._section = section or HistorySection()
        self._lock = threading.Lock()
        self._last = LastRows()
        self._hold = FileHold()
        self._sources: dict[str, str] = {}
        """Table -> SQL that is read in its place, for a read-only file of an earlier format."""
        self._open()

    def _open(self) -> None:
        path = self._path
        duckdb_file.check(path)
        # After a failure the connections are closed at once: on Python 3.13 a connection outlives its exception, and
        # its open transaction would block the next try in this process.
        with _failures(path), ExitStack() as opened:
            if not self._read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._root = duckdb.connect(
                path,
                read_only=self._read_only,
                config={
                    "threads": 2,
                    "memory_limit": f"{self._section.memory_mb}MB",
                    "temp_directory": str(path.with_suffix(".spill")),
                },
            )
            opened.callback(self._root.close)
            self._writer = self._root.cursor()
            opened.callback(self._writer.close)
            self._hold.forget()
            self._last = LastRows()  # also after a reopen: rows of a failed transaction are not in the file
            self._prepare()
            self._ids = {name: int(key) for key, name in self._writer.execute("FROM point").fetchall()}
            self._with_text = {
                int(key) for (key,) in self._writer.execute("SELECT DISTINCT point FROM text").fetchall()
            }
            self._due = {int(minute) for (minute,) in self._writer.execute("FROM due").fetchall()}
            self._recent = {name: self._count(f"{name}_recent") for name in sql.TABLES}
            sequence, stored, raw, minute = self._writer.execute("FROM progress").fetchall()[0]
            self._position = Position(sequence=sequence, stored_ns=stored)
            self._horizon = Horizon(raw_ns=raw, minute_ns=minute)
            if not self._sources:
                found = arrays.columns(self._writer.sql(sql.latest()).fetchnumpy(), self._names())
                self._last.take(found, self._keys(found))
            opened.pop_all()

    def _prepare(self) -> None:
        """Make the tables of a new file, and convert one of an earlier format."""
        found = duckdb_format.version(self._writer)
        duckdb_format.refuse_newer(self._path, found)
        if self._read_only:
            if duckdb_format.is_halfway(self._writer):
                raise duckdb_format.halfway(self._path)
            self._sources = duckdb_format.sources(self._writer) if found < duckdb_format.VERSION else {}
        elif found == 0:
            self._writer.begin()  # one transaction: a file with only some tables would look like an earlier format
            self._writer.execute(f"{sql.SCHEMA} INSERT INTO format VALUES ({duckdb_format.VERSION})")
            self._writer.commit()
        elif found < duckdb_format.VERSION:
            duckdb_format.convert(self._writer, self._path)

    def position(self) -> Position:
        return self._position

    def points(self) -> dict[str, bool]:
        return {name: key in self._with_text for name, key in sorted(self._ids.items())}

    def horizon(self) -> Horizon:
        return self._horizon

    def close(self) -> None:
        with self._lock:
            self._writer.close()
            self._root.close()

    def copy(self, query: CopyQuery) -> CopyAnswer:
        """For a backup of the file, see file_hold.py."""
        with self._lock, _failures(self._path):
            return self._hold.answer(self._writer, self._path, query)

    def append(self, columns: Columns, position: Position) -> None:
        if position == self._position:  # the batch is stored already; the writer repeats it after a lost answer
            return
        self._settle()
        new = {
            name: len(self._ids) + place for place, name in enumerate(dict.fromkeys(columns.names) - self._ids.keys())
        }
        ids = self._ids | new if new else self._ids
        point = np.fromiter(map(ids.__getitem__, columns.names), np.int32, len(columns))
        minutes = set((np.unique(columns.time_ns // MINUTE_NS) * MINUTE_NS).tolist()) - self._due
        texts = np.array(list(columns.texts), np.int64)
        numbers = np.delete(np.arange(len(columns)), texts) if len(texts) else slice(None)
        with self._transaction() as writer:
            if new:
                arrays.insert(writer, "point", {"id": list(new.values()), "name": list(new)})
            if len(texts) < len(columns):
                arrays.insert(writer, "raw_recent", arrays.samples(columns, point, numbers))
            if len(texts):
                arrays.insert(
                    writer,
                    "text_recent",
                    arrays.samples(columns, point, texts) | {"text": list(columns.texts.values())},
                )
            if minutes:
                arrays.insert(writer, "due", {"minute_ns": list(minutes)})
            writer.execute("UPDATE progress SET sequence = ?, stored_ns = ?", [position.sequence, position.stored_ns])
        # Only now, after the commit: a failed transaction must leave these unchanged, because it is repeated.
        self._ids = ids
        self._with_text = self._with_text | set(point[texts].tolist()) if len(texts) else self._with_text
        self._due |= minutes
        self._recent["raw"] += len(columns) - len(texts)
        self._recent["text"] += len(texts)
        self._last.take(columns, point.astype(np.int64))
        self._position = position

    def samples(self, names: tuple[str, ...], start_ns: int, end_ns: int, *, limit: int) -> Columns:
        with self._query() as ask:
            return self._columns(ask, f"{sql.samples(self._asked(names, start_ns, end_ns))} LIMIT {limit}")

    def track(self, name: str, start_ns: int, end_ns: int, *, limit: int) -> PointTrack:
        has_texts = self._ids.get(name, -1) in self._with_text
        query = sql.track(self._asked((name,), start_ns, end_ns), has_texts)
        with self._query() as ask:
            return arrays.track(ask.sql(f"SELECT * FROM ({query}) LIMIT {limit}").fetchnumpy())

    def fits(self, name: str, start_ns: int, end_ns: int, most: int) -> bool:
        with self._query() as ask:
            found = ask.execute(sql.count(self._asked((name,), start_ns, end_ns), most + 1)).fetchall()
        return int(found[0][0]) <= most

    def buckets(self, name: str, start_ns: int, end_ns: int, plan: QueryPlan) -> Buckets:
        return self.buckets_each((name,), start_ns, end_ns, plan)[name]

    def buckets_each(self, names: tuple[str, ...], start_ns: int, end_ns: int, plan: QueryPlan) -> dict[str, Buckets]:
        with self._query() as ask:
            if plan.base is Resolution.RAW:
                query = sql.reduce_samples(plan.bucket_ns, self._asked(names, start_ns, end_ns))
            else:
                base = int(plan.base)
                low = start_ns // base * base
                asked = self._asked(names, low, -(-end_ns // base) * base)
                first, last = ask.execute("SELECT min(minute_ns), max(minute_ns) FROM due").fetchall()[0]
                fresh = (
                    f"time_ns >= {(first or 0) // base * base} AND time_ns < {base + (-base if last is None else last)}"
                )
                query = sql.kept(_TABLES[plan.base], base, plan.bucket_ns, asked, fresh)
            found = ask.sql(f"{query} ORDER BY point, time_ns").fetchnumpy()
        return arrays.buckets_each(found, {name: self._ids.get(name, -1) for name in names})

    def last_before(self, names: tuple[str, ...], at_ns: int, *, since_ns: int = 0) -> Columns:
        missing = {self._ids[name]: name for name in names if name in self._ids}
        found: list[Columns] = []
        if not self._sources:
            now, earlier = self._last.before(missing, at_ns, since_ns)
            found.append(now)
            missing = {key: missing[key] for key in earlier}
        if not missing:
            return together(found)
        with self._query() as ask:
            for back in _BACK_NS:
                start = max(since_ns, at_ns - back)
                asked = self._asked(missing.values(), start, at_ns + 1)
                found.append(self._columns(ask, sql.last(asked)))
                for name in found[-1].names:
                    del missing[self._ids[name]]
                if not missing or start == since_ns:
                    break
        return together(found)

    def maintain(self, now_ns: int) -> Maintained:
        rolled = self._roll(now_ns // MINUTE_NS * MINUTE_NS)
        self._settle()
        raw = max(self._horizon.raw_ns, kept_from(now_ns, self._section.keep.raw))
        early = self._early(now_ns)
        minute = min(raw, max(self._horizon.minute_ns, kept_from(now_ns, self._section.keep.minute)))
        self._retain(
            Horizon(raw_ns=max(raw, early or 0), minute_ns=minute), kept_from(now_ns, self._section.keep.five_minutes)
        )
        return Maintained(rolled=rolled, early_ns=early)

    def _roll(self, before_ns: int) -> int:
        due = sorted(minute for minute in self._due if minute < before_ns)
        if not due:
            return 0
        horizon = self._horizon
        with self._transaction() as writer:
            arrays.register(writer, {"minute_ns": due})
            for statement in sql.roll(due[0], due[-1] + MINUTE_NS, horizon.raw_ns, horizon.minute_ns):
                writer.execute(statement)
            past, rows = self._replaced(horizon)
        self._replace(past, rows)
        self._due.difference_update(due)
        for name in ("minute", "five"):
            self._recent[name] = self._count(f"{name}_recent")
        return len(due)

    def _settle(self) -> None:
        """Sort a chunk of recent rows by point and time: a query of one point then reads few row groups."""
        for name, rows in self._recent.items():
            if rows >= self._chunk:
                with self._transaction() as writer:
                    for statement in sql.settle(name):
                        writer.execute(statement)
                    self._write_latest(self._last.all())
                self._recent[name] = 0

    def _retain(self, horizon: Horizon, five_ns: int) -> None:
        # Late samples that are not in a rollup yet must not be removed; the next rollup takes them in first.
        if horizon == self._horizon or (self._due and min(self._due) < horizon.raw_ns):
            return
        with self._transaction() as writer:
            for table, before in (
                ("raw", horizon.raw_ns),
                ("minute", horizon.minute_ns),
                ("text", horizon.minute_ns),
                ("five", five_ns),
            ):
                for statement in sql.drop(table, before):
                    writer.execute(statement)
            writer.execute("UPDATE progress SET raw_ns = ?, minute_ns = ?", [horizon.raw_ns, horizon.minute_ns])
            past, rows = self._replaced(horizon)
        self._replace(past, rows)
        self._horizon = horizon
        self._recent = {name: self._count(f"{name}_recent") for name in sql.TABLES}
        if not self._hold.holds:
            with suppress(duckdb.TransactionException):  # an open query prevents it; the next removal tries again
                self._writer.execute("CHECKPOINT")

    def _replaced(self, horizon: Horizon) -> tuple[list[int], Columns]:
        """Call it in a transaction that removed rows. Returns the points whose last row was removed, and their last
        rows now. Numbers are removed before texts, so only a point with texts can have an earlier row."""
        past = self._last.past(horizon)
        asked = sql.Asked(keys=tuple(key for key in past if key in self._with_text), start_ns=-(2**62), end_ns=2**62)
        rows = self._columns(self._writer, sql.last(asked)) if asked.keys else empty()
        if past:
            arrays.register(self._writer, {"point": past})
            self._writer.execute("DELETE FROM latest WHERE point IN (SELECT point FROM batch)")
            self._put_latest(rows)
        return past, rows

    def _replace(self, past: list[int], rows: Columns) -> None:
        if past:
            self._last.drop(past)
            self._last.take(rows, self._keys(rows))

    def _write_latest(self, rows: Columns) -> None:
        """Store all last rows together with a sorted chunk. Later ones are then found in the recent rows."""
        self._writer.execute("DELETE FROM latest")
        self._put_latest(rows)

    def _put_latest(self, rows: Columns) -> None:
        if len(rows):
            texts = np.array([rows.texts.get(row) for row in range(len(rows))], object)
            columns = arrays.samples(rows, self._keys(rows), slice(None)) | {"text": texts}
            arrays.insert(self._writer, "latest", columns)

    def _early(self, now_ns: int) -> int | None:
        """The time before which raw samples must be removed to free disk space; None while there is enough."""
        with self._query() as ask:
            size, used = ask.execute("SELECT block_size, used_blocks FROM pragma_database_size()").fetchall()[0]
            if size * used <= self._section.max_disk_gb * 1e9:
                return None
            oldest = ask.execute("SELECT min(time_ns) FROM raw").fetchall()[0][0]
        if oldest is None:
            return None
        return early_removal(oldest, now_ns)

    def _keys(self, columns: Columns) -> Integers:
        return np.fromiter(map(self._ids.__getitem__, columns.names), np.int64, len(columns))

    def _names(self) -> dict[int, str]:
        return {key: name for name, key in self._ids.items()}

    def _count(self, table: str) -> int:
        return int(self._writer.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])

    def _asked(self, names: Iterable[str], start_ns: int, end_ns: int) -> sql.Asked:
        keys = tuple(self._ids[name] for name in dict.fromkeys(names) if name in self._ids)
        has_texts = not self._with_text.isdisjoint(keys)
        return sql.Asked(keys=keys, start_ns=start_ns, end_ns=end_ns, has_texts=has_texts, sources=self._sources)

    def _columns(self, ask: duckdb.DuckDBPyConnection, query: str) -> Columns:
        return arrays.columns(ask.sql(query).fetchnumpy(), self._names())

    @contextmanager
    def _transaction(self) -> Generator[duckdb.DuckDBPyConnection]:
        """The writing connection, in a transaction."""
        with self._lock, _failures(self._path):
            self._writer.begin()
            try:
                yield self._writer
                self._writer.commit()
            except (duckdb.FatalException, duckdb.InternalException):
                # After a full disk at the wrong moment DuckDB refuses everything until the file is opened again. The
                # position is then read from the file: whether the transaction was committed is not known here.
                self._root.close()
                self._open()
                raise
            except BaseException:
                # A commit that failed has rolled back already. A second rollback raises "no transaction is active",
                # which once took the place of the real reason (folder gone, disk full) in log and event.
                with suppress(duckdb.TransactionException):
                    self._writer.rollback()
                raise

    @contextmanager
    def _query(self) -> Generator[duckdb.DuckDBPyConnection]:
        """A connection for one query, in a transaction: it sees one state of the data."""
        with _failures(self._path), self._root.cursor() as ask:
            ask.begin()
            yield ask


@contextmanager
def _failures(path: Path) -> Generator[None]:
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise LinkError(
            f"the history file {path} cannot be used: {error}",
            source="history",
            code="store_failed",
            suggestion="see that its folder is there, the disk has room and no other process has the file open",
        ) from error
