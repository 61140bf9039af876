"""The entries that a partition writes into the run book, as values: they can wait in a file and be stored later.

To store an entry again has no effect, so that one with an unknown outcome is repeated without harm.
"""

from __future__ import annotations

import json

import msgspec
from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.run_book import RunCondition, RunEnd, RunFlag, RunNote
from countingroom.core.values import Scalar
from countingroom.storage.database import Database


class BeganEntry(Struct, frozen=True, kw_only=True, tag="began"):
    """All recorders of a run record."""

    run: int
    started_ns: int
    conditions: dict[str, RunCondition] = {}

    def __str__(self) -> str:
        return f"the beginning of run {self.run}"


class EndEntry(Struct, frozen=True, kw_only=True, tag="end"):
    """A run is over."""

    run: int
    end: RunEnd
    ended_ns: int
    ended_by: str = ""
    cause: Cause | None = None
    counters: dict[str, Scalar] = {}
    versions: dict[str, str] = {}
    duration_s: float | None = None
    flags: tuple[RunFlag, ...] | None = None
    """None: those that are recorded already."""
    conditions: dict[str, RunCondition] = {}

    def __str__(self) -> str:
        return f"the end of run {self.run} ({self.end.value})"


class FlagsEntry(Struct, frozen=True, kw_only=True, tag="flags"):
    """The flags of an open run."""

    run: int
    flags: tuple[RunFlag, ...]

    def __str__(self) -> str:
        return f"the flags of run {self.run}"


class NoteEntry(Struct, frozen=True, kw_only=True, tag="note"):
    """A note on a run."""

    run: int
    note: RunNote

    def __str__(self) -> str:
        return f"a note ({self.note.kind}) on run {self.run}"


class ExclusionEntry(Struct, frozen=True, kw_only=True, tag="exclusion"):
    """The recovery policy has excluded a system."""

    partition: str
    system: str
    by: str

    def __str__(self) -> str:
        return f"the exclusion of {self.system} from {self.partition}"


RunEntry = BeganEntry | EndEntry | FlagsEntry | NoteEntry | ExclusionEntry


def encode_entry(entry: RunEntry) -> bytes:
    """The entry as one line of JSON. A text that no database can keep, such as a half of a surrogate pair, is escaped:
    it is kept for the reader of the file."""
    return json.dumps(msgspec.to_builtins(entry), ensure_ascii=True).encode()


def decode_entry(line: bytes) -> RunEntry:
    """The entry of a line; ValueError where it is none."""
    try:
        return msgspec.convert(json.loads(line), RunEntry)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError(str(error)) from error


async def store(database: Database, entry: RunEntry) -> None:
    """Write the entry. LinkError while the database does not take it; Conflict, NotFound or OutOfRange where it never
    will."""
    match entry:
        case BeganEntry():
            await database.runs.began(entry.run, entry.started_ns, conditions=entry.conditions)
        case FlagsEntry():
            await database.runs.mark(entry.run, entry.flags)
        case EndEntry():
            await database.runs.close(
                entry.run,
                entry.end,
                entry.ended_ns,
                ended_by=entry.ended_by,
                cause=entry.cause,
                counters=entry.counters,
                versions=entry.versions,
                duration_s=entry.duration_s,
                flags=entry.flags,
                conditions=entry.conditions,
            )
        case NoteEntry():
            await database.runs.note(entry.run, entry.note)
        case ExclusionEntry():
            await database.partitions.include(entry.partition, entry.system, False, entry.by)
