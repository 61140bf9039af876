"""The outbox of the feed: redacted records that wait to be sent, and those that were sent, as a journal for audits.

It is a file of its own (SQLite). A record gets its number, and the place in the stream of events moves on, in one
transaction that is synced to disk: a process that is killed at any point neither loses nor doubles a record. The file
holds nothing that may not leave. The numbers of a new file begin at the time in µs, so that they are above all that an
earlier file has given.

Where it grows beyond its bound, the oldest records that were sent are dropped first, then the oldest that wait. The
newest record of each kind and key is never dropped, so that what is shown as the present stays right.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
from msgspec import Struct

from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.mirror.feed import FeedRecord, WithheldCount
from countingroom.core.mirror.publication import PublicRecord, WithheldRecord
from countingroom.core.mirror.raw_records import Sort
from countingroom.mirror.feed.withheld_counts import WithheldCounts

_VERSION = 1
_ROW_BYTES = 120
"""Of a row beside its body, with its part of the indexes."""
_DROPPED_AT_ONCE = 500
_US_NS = 1000
_MOST_PRESENT: Mapping[str, int] = {"run": 500}
"""Of these kinds no state ever ends: so many of the newest count as present, the others only as history."""
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE feed (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, written_ns INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    at_ns INTEGER NOT NULL, sort TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX feed_written ON feed (written_ns);
CREATE TABLE present (
    kind TEXT NOT NULL, key TEXT NOT NULL, sequence INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX present_sequence ON present (sequence);
"""
_DROPPABLE = "NOT EXISTS (SELECT 1 FROM present WHERE present.sequence = feed.sequence)"
_DROP_HISTORY = f"DELETE FROM feed WHERE {_DROPPABLE}"  # noqa: S608 (constants)
_OLDEST_SENT, _OLDEST_WAITING = (
    f"SELECT sequence, length(body) FROM feed WHERE sequence {which} ? AND {_DROPPABLE} ORDER BY sequence LIMIT ?"  # noqa: S608 (constants)
    for which in ("<=", ">")
)


class OutboxStanding(Struct, frozen=True, kw_only=True):
    """How the outbox stands."""

    last: int
    """The newest sequence."""
    sent: int
    """The outside has all up to this one."""
    records: int
    """That wait to be sent."""
    bytes: int
    dropped: int
    """Records that were dropped before they were sent, ever."""
    oldest_ns: int
    """When the oldest one that waits was written; 0: none waits."""


def _locked(path: Path) -> int:
    """The lock on an outbox, as a descriptor; OSError where another process has it."""
    descriptor = os.open(path.with_name(f"{path.name}-lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class FeedOutbox:
    """The file. One process has it; call it from one thread at a time."""

    def __init__(self, path: Path, most_bytes: int, now_ns: int) -> None:
        """ConfigurationError where the file cannot be made, or is no outbox."""
        self.path = path
        self._most_bytes = most_bytes
        self._bytes = self._records = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
            path.chmod(0o600)
            self._lock = _locked(path)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = FULL")
            self._prepare(now_ns)
            self._counts = WithheldCounts(self._file)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"the outbox of the feed {path} cannot be used: {error}",
                source="mirror.feed",
                code="outbox",
                suggestion="see that the data folder is writable and has room; a damaged outbox can be deleted: all"
                " present states are then sent anew",
            ) from error
        self._count()

    def close(self) -> None:
        """Close the file; the second time it has no effect."""
        self._file.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def feed(self) -> str:
        """Random id of this outbox."""
        return str(self._meta("feed"))

    def position(self, name: str) -> int | None:
        """The sequence in a stream up to which all is taken; None: nothing yet."""
        found = self._meta(f"position {name}")
        return None if found is None else int(found)

    def present(self, kind: str) -> set[str]:
        """Keys of the states of this kind that the outside has, or will have."""
        rows = self._file.execute("SELECT key FROM present WHERE kind = ? AND digest <> x''", (kind,))
        return {key for (key,) in rows}

    def add(
        self,
        records: Iterable[PublicRecord],
        now_ns: int,
        positions: dict[str, int] | None = None,
        withheld: Iterable[WithheldRecord] = (),
    ) -> int:
        """Write records, those that tell nothing new left out, together with positions in streams and the count of what
        stayed inside; how many were written. LinkError where the disk refuses; then none is."""
        written = 0
        with self._transaction():
            for one in records:
                written += self._add(one, now_ns)
            self._counts.count(withheld)
            for name, sequence in (positions or {}).items():
                self._set(f"position {name}", sequence)
            if self._bytes > self._most_bytes:
                self._bound()
        return written

    def withheld(self) -> tuple[WithheldCount, ...]:
        """What stayed inside since the feed began, by kind."""
        return self._counts.all()

    def batch(self, most: int, most_bytes: int) -> list[FeedRecord]:
        """The oldest records that wait, at least one where one waits."""
        found: list[FeedRecord] = []
        size = 0
        for sequence, kind, key, at_ns, sort, body in self._file.execute(
            "SELECT sequence, kind, key, at_ns, sort, body FROM feed WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (self.sent, most),
        ):
            size += len(body) + _ROW_BYTES
            if found and size > most_bytes:
                break
            raw = msgspec.Raw(body or b"null")
            found.append(FeedRecord(sequence=sequence, kind=kind, key=key, at_ns=at_ns, sort=Sort(sort), body=raw))
        return found

    def acknowledged(self, last: int) -> None:
        """The outside has all up to this sequence. Where that is less than was known, it has lost some, and gets again
        what is still here."""
        if last > self.last:
            raise ValueError(f"{last} was never sent; the newest is {self.last}")
        if last == self.sent:
            return
        with self._transaction():
            self._records -= self._number_between(self.sent, last)
            self._set("sent", last)
            self._file.execute("DELETE FROM present WHERE digest = x'' AND sequence <= ?", (last,))
            if self._bytes > self._most_bytes:
                self._bound()

    def leave_out(self, sequence: int) -> None:
        """Forget a record that waits: the outside refuses it. A state then counts as one that was not told, so that it
        is sent where it is given again, after a change or a start."""
        with self._transaction():
            found = self._file.execute(
                "SELECT length(body) FROM feed WHERE sequence = ? AND sequence > ?", (sequence, self.sent)
            ).fetchone()
            if found is None:
                return
            self._file.execute("DELETE FROM feed WHERE sequence = ?", (sequence,))
            self._file.execute("DELETE FROM present WHERE sequence = ? AND digest = x''", (sequence,))
            self._file.execute("UPDATE present SET digest = x'00' WHERE sequence = ?", (sequence,))
            self._bytes -= found[0] + _ROW_BYTES
            self._records -= 1

    def begin_anew(self, now_ns: int) -> None:
        """Take a new id and send all present states again: the outside knows more of this feed than this file, which
        was taken from a backup."""
        with self._transaction():
            self._file.execute(_DROP_HISTORY)
            first = max(self.last, now_ns // _US_NS) + 1
            olds = [old for (old,) in self._file.execute("SELECT sequence FROM feed ORDER BY sequence")]
            for number, old in enumerate(olds):
                new = first + number
                self._file.execute("UPDATE feed SET sequence = ? WHERE sequence = ?", (new, old))
                self._file.execute("UPDATE present SET sequence = ? WHERE sequence = ?", (new, old))
            self._begin_numbers(first + len(olds))
            self._set("feed", uuid4().hex)
            self._set("sent", 0)
            self._counts.begin_anew()
        self._count()

    @property
    def sent(self) -> int:
        """The outside has all up to this sequence."""
        return int(self._meta("sent") or 0)

    def waiting(self) -> OutboxStanding:
        """How it stands."""
        oldest = self._file.execute(
            "SELECT written_ns FROM feed WHERE sequence > ? ORDER BY sequence LIMIT 1", (self.sent,)
        ).fetchone()
        return OutboxStanding(
            last=self.last,
            sent=self.sent,
            records=self._records,
            bytes=self._bytes,
            dropped=int(self._meta("dropped") or 0),
            oldest_ns=oldest[0] if oldest else 0,
        )

    def _add(self, one: PublicRecord, now_ns: int) -> bool:
        digest = one.digest if one.sort is Sort.STATE else b""
        known = None
        if one.sort is not Sort.ENTRY:
            known = self._file.execute(
                "SELECT digest FROM present WHERE kind = ? AND key = ?", (one.kind, one.key)
            ).fetchone()
            if known[0] == digest if known else one.sort is Sort.GONE:
                return False
        row = (now_ns, one.kind, one.key, one.at_ns, str(one.sort), one.body)
        sequence = self._file.execute(
            "INSERT INTO feed (written_ns, kind, key, at_ns, sort, body) VALUES (?, ?, ?, ?, ?, ?)", row
        ).lastrowid
        if one.sort is not Sort.ENTRY:
            self._file.execute(
                "INSERT OR REPLACE INTO present (kind, key, sequence, digest) VALUES (?, ?, ?, ?)",
                (one.kind, one.key, sequence, digest),
            )
        if one.lines:
            self._counts.add(one.kind, lines=one.lines, lines_withheld=one.lines_withheld)
        self._bytes += len(one.body) + _ROW_BYTES
        self._records += 1
        if not known and one.kind in _MOST_PRESENT:
            self._retire_oldest(one.kind, now_ns)
        return True

    def _retire_oldest(self, kind: str, now_ns: int) -> None:
        query = "SELECT key FROM present WHERE kind = ? AND digest <> x'' ORDER BY sequence DESC LIMIT 1 OFFSET ?"
        for (key,) in self._file.execute(query, (kind, _MOST_PRESENT[kind])).fetchall():
            self._add(PublicRecord(kind=kind, key=key, at_ns=now_ns, sort=Sort.GONE), now_ns)

    def _bound(self) -> None:
        """Drop what is oldest: first of what was sent, then of what waits; never the newest of a kind and key."""
        for oldest in (_OLDEST_SENT, _OLDEST_WAITING):
            while self._bytes > self._most_bytes:
                rows = self._file.execute(oldest, (self.sent, _DROPPED_AT_ONCE)).fetchall()
                if not rows:
                    break
                dropped: list[tuple[int]] = []
                for sequence, size in rows:
                    if self._bytes <= self._most_bytes:
                        break
                    dropped.append((sequence,))
                    self._bytes -= size + _ROW_BYTES
                self._file.executemany("DELETE FROM feed WHERE sequence = ?", dropped)
                if oldest is _OLDEST_WAITING:
                    self._records -= len(dropped)
                    self._set("dropped", int(self._meta("dropped") or 0) + len(dropped))

    @property
    def last(self) -> int:
        """The newest sequence."""
        found = self._file.execute("SELECT seq FROM sqlite_sequence WHERE name = 'feed'").fetchone()
        return found[0] if found else 0

    def _count(self) -> None:
        found = self._file.execute("SELECT coalesce(sum(length(body) + ?), 0) FROM feed", (_ROW_BYTES,)).fetchone()
        self._bytes = found[0]
        self._records = self._number_between(self.sent, self.last)

    def _number_between(self, after: int, through: int) -> int:
        """How many records there are; negative where `through` comes first."""
        if through < after:
            return -self._number_between(through, after)
        query = "SELECT count(*) FROM feed WHERE sequence > ? AND sequence <= ?"
        return self._file.execute(query, (after, through)).fetchone()[0]

    def _meta(self, name: str) -> str | int | None:
        found = self._file.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def _set(self, name: str, value: str | int) -> None:
        self._file.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))

    def _begin_numbers(self, last: int) -> None:
        self._file.execute("DELETE FROM sqlite_sequence WHERE name = 'feed'")
        self._file.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('feed', ?)", (last,))

    def _prepare(self, now_ns: int) -> None:
        (version,) = self._file.execute("PRAGMA user_version").fetchone()
        if version == _VERSION:
            return
        if version:
            raise sqlite3.DatabaseError(f"it is of another version ({version})")
        with self._transaction():
            for statement in _TABLES.split(";"):
                self._file.execute(statement)
            self._begin_numbers(now_ns // _US_NS)
            self._set("feed", uuid4().hex)
            self._file.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def _transaction(self) -> Generator[None]:
        before = self._bytes, self._records
        try:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._file.execute("COMMIT")
            except BaseException:
                self._bytes, self._records = before
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise LinkError(
                f"the outbox of the feed {self.path} cannot be written: {error}",
                source="mirror.feed",
                code="outbox",
                suggestion="make room on the disk of the data folder; it is tried again",
            ) from error
