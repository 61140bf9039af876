"""Makes a backup of a running experiment, of one moment in time.

1. The file of the history is copied, which takes longest.
2. The moment of the backup: while no transaction can write to the database, the last sequences of the streams are read.
   This takes milliseconds.
3. The database as of that moment, and the messages up to these sequences, are copied.

The readings between the copied history and the moment are among these messages, and the history stores them when it
starts. So history, database and events are of the same moment.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TypeVar, cast
from uuid import uuid4

import msgspec
from msgspec import Struct

from countingroom.backup import contents, disk_space
from countingroom.backup.blocking_work import BlockingWork
from countingroom.backup.container import CHUNK, BackupWriter
from countingroom.backup.contents import BackupHeader, BackupManifest, StreamPart
from countingroom.backup.encryption import BackupKey, encrypting
from countingroom.backup.kept_state import first_sequence, kept_state
from countingroom.backup.stream_copy import read_stream
from countingroom.bus.port import Bus, Entry
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import LinkError
from countingroom.core.history_copy import CopyAnswer, CopyQuery
from countingroom.core.messages import Malformed, decode, encode
from countingroom.storage.snapshot import DatabaseSnapshot, SnapshotFacts, shown

T = TypeVar("T")
Say = Callable[[str], None]

_ASK_S = 20.0
_AGAIN_S = 10.0
"""Pause between two requests that keep the history file unchanged."""
_MOMENT_S = 5.0
"""The longest time that writers of the database are blocked; usually it is some milliseconds."""
_TRIES = 10


class CopiedExperiment(Struct, frozen=True, kw_only=True):
    """The parts of the experiment that are copied."""

    experiment: str
    program: str
    data: Path
    database: str
    """Its URL."""
    database_given: bool
    """Whether the description gives it."""
    files: dict[str, Path]
    """Path in the backup -> file of the description."""
    description: str
    """The path of the main file in the backup."""
    outside: dict[str, str]
    secrets: bool


class TakenBackup(Struct, frozen=True, kw_only=True):
    """A backup that was written."""

    manifest: BackupManifest
    bytes: int
    seconds: float
    held_ms: float
    """How long no transaction could write to the database, in ms."""


class _Moment(Struct, frozen=True, kw_only=True):
    """The data that were read while the database could not change."""

    at_ns: int
    readings: int
    events: int
    positions: dict[str, int]
    files: dict[str, bytes]
    growing: dict[str, int]
    held_ms: float


def needed_bytes(source: CopiedExperiment) -> int:
    """The largest size of a backup in bytes, without data that are added while it is made."""
    copied = (*source.files.values(), source.data / "history", source.data / "bus" / "store")
    size = sum(map(contents.size_of, (*copied, *source.data.glob("countingroom.sqlite*"))))
    return size + sum(contents.growing_files(source.data).values())


async def take(
    bus: Bus, clock: Clock, source: CopiedExperiment, part: Path, keys: list[BackupKey], say: Say
) -> TakenBackup:
    """Write a backup to the new file `part`. On an error the file is incomplete and the caller removes it.

    LinkError if bus, database or history do not answer, DiskFull, RequestError if it cannot be written."""
    began = clock.monotonic()
    with ExitStack() as stack:
        work = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{part.name}.", suffix=".part", dir=part.parent))
        )
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        file = stack.enter_context(os.fdopen(descriptor, "wb"))
        checked = disk_space.CheckedFile(file, part.parent)
        # Its methods are those that the library calls.
        sink = cast("IO[bytes]", checked)
        clear = stack.enter_context(encrypting(sink, keys)) if keys else sink
        header = BackupHeader(experiment=source.experiment, program=source.program, began_ns=clock.now_ns())
        writer = BackupWriter(clear, msgspec.json.encode(header))
        taking = _Taking(bus, clock, source, writer, work, say)
        manifest, held_ms = await taking.run()
        stack.pop_all().close()  # so that an error of the encryption is raised here
    with part.open("rb") as written:
        os.fsync(written.fileno())
    return TakenBackup(manifest=manifest, bytes=checked.written, seconds=clock.monotonic() - began, held_ms=held_ms)


class _Taking:
    """One backup."""

    def __init__(
        self, bus: Bus, clock: Clock, source: CopiedExperiment, writer: BackupWriter, work: Path, say: Say
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._source = source
        self._writer = writer
        self._work = work
        self._say = say
        self._blocking = BlockingWork()

    async def run(self) -> tuple[BackupManifest, float]:
        history = await self._history()
        snapshot = DatabaseSnapshot(self._source.database)
        try:
            moment = await self._moment(snapshot)
            facts = await self._database(snapshot)
        finally:
            await asyncio.to_thread(snapshot.close)
        # A copied history beyond the end of the stream belongs to an earlier stream, whose sequences tell nothing here.
        first = history.sequence + 1 if history.sequence <= moment.readings else 1
        readings = await self._stream(contents.READINGS, subjects.READINGS_STREAM, first, moment.readings)
        if readings.count and readings.first > first:
            raise LinkError(
                f"{readings.first - first} messages left the stream of readings before the backup had them",
                source="backup",
                code="too_slow",
                suggestion="give the bus more space (bus.max_bytes), or write the backup to a faster disk",
            )
        events = await self._stream(contents.EVENTS, subjects.EVENTS_STREAM, 1, moment.events)
        await self._files(moment)
        manifest = self._manifest(history, moment, facts, readings, events)
        await self._blocking.run(lambda: self._writer.member(contents.MANIFEST, [msgspec.json.encode(manifest)]))
        await self._blocking.run(self._writer.finish)
        return manifest, moment.held_ms

    async def _history(self) -> CopyAnswer:
        """Copy the file of the history; its service does not change the file during the copy."""
        id = uuid4().hex
        answer = await self._ask(CopyQuery(id=id))
        keeping = asyncio.create_task(self._keep(id))
        try:
            file = Path(answer.path)
            if not await asyncio.to_thread(file.is_file):
                raise LinkError(
                    f"the history is in {file}, which is not on this computer",
                    source="backup",
                    code="elsewhere",
                    suggestion="make the backup on the computer where the history runs",
                )
            size = disk_space.megabytes(answer.file_bytes + answer.journal_bytes)
            self._say(f"history     {size}")
            await self._blocking.run(lambda: self._member(contents.HISTORY, _parts(file, answer.file_bytes)))
            journal = file.with_name(f"{file.name}.wal")
            if answer.journal_bytes:
                name = f"{contents.HISTORY}.wal"
                await self._blocking.run(lambda: self._member(name, _parts(journal, answer.journal_bytes)))
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            ended = asyncio.create_task(self._ask(CopyQuery(id=id, ended=True)))
            await asyncio.wait([ended])
            if ended.exception():
                self._say("            the history was not told that its file is copied; it finds out in a minute")
        await ended
        return answer

    async def _keep(self, id: str) -> None:
        while True:
            await self._clock.sleep(_AGAIN_S)
            with suppress(LinkError):  # the end of the copy tells whether the file was kept
                await self._ask(CopyQuery(id=id))

    async def _ask(self, query: CopyQuery) -> CopyAnswer:
        message = await self._bus.request(subjects.query("history", "copy"), encode(query), timeout_s=_ASK_S)
        try:
            answer = decode(message.data, CopyAnswer)
        except Malformed as error:
            raise LinkError(f"the answer of the history cannot be read: {error}", source="backup") from error
        if answer.refused:
            raise LinkError(
                f"the history cannot be copied: {answer.refused}",
                source="backup",
                code="not_copied",
                suggestion="try again; if that fails too, see logs/history.log in the data folder",
            )
        return answer

    async def _moment(self, snapshot: DatabaseSnapshot) -> _Moment:
        """Choose the moment of the backup."""
        # The small files cannot be locked. If they are the same before and after the moment, they are of the moment;
        # otherwise another one is tried.
        for _ in range(_TRIES):
            files = await asyncio.to_thread(contents.small_files, self._source.data)
            positions = await self._positions()
            await self._blocking.run(snapshot.hold)
            began = self._clock.monotonic()
            try:
                async with within(self._clock, _MOMENT_S):
                    at_ns = self._clock.now_ns()
                    readings, events = await asyncio.gather(
                        self._bus.last_sequence(subjects.READINGS_STREAM),
                        self._bus.last_sequence(subjects.EVENTS_STREAM),
                    )
            except TimeoutError:
                raise LinkError(
                    f"the bus did not tell its last messages within {_MOMENT_S:g} s", source="backup"
                ) from None
            finally:
                await asyncio.to_thread(snapshot.release)
            held_ms = 1000 * (self._clock.monotonic() - began)
            if files == await asyncio.to_thread(contents.small_files, self._source.data):
                return _Moment(
                    at_ns=at_ns,
                    readings=readings,
                    events=events,
                    positions={key: min(value, readings) for key, value in positions.items()},
                    files=files,
                    growing=await asyncio.to_thread(contents.growing_files, self._source.data),
                    held_ms=held_ms,
                )
        raise LinkError(
            f"entries that wait for the database changed around each of {_TRIES} moments",
            source="backup",
            code="busy",
            suggestion="see why the database does not take them, then try again",
        )

    async def _positions(self) -> dict[str, int]:
        found: dict[str, int] = {}
        async with self._bus.watch(subjects.POSITIONS_BUCKET) as entries:
            async for entry in entries:
                if not isinstance(entry, Entry):
                    break
                if entry.data is not None and entry.data.isdigit():
                    found[entry.key] = int(entry.data)
        return found

    async def _database(self, snapshot: DatabaseSnapshot) -> SnapshotFacts:
        facts = await self._blocking.run(snapshot.facts)
        self._say(f"database    {sum(facts.rows.values())} rows in {len(facts.rows)} tables")
        if facts.dialect == "sqlite":
            copy = self._work / "database"
            await self._blocking.run(lambda: snapshot.copy(copy))
            size = copy.stat().st_size
            await self._blocking.run(lambda: self._member(contents.DATABASE, _parts(copy, size)))
            copy.unlink()
        else:

            def tables() -> None:
                for name, rows in snapshot.tables():
                    self._member(f"{contents.TABLES}/{name}", rows)

            await self._blocking.run(tables)
        return facts

    def _member(self, name: str, data: Iterable[bytes]) -> None:
        """Write a long member, in a thread."""
        self._writer.member(name, self._blocking.parts(data))

    async def _stream(self, name: str, stream: str, first: int, last: int) -> StreamPart:
        self._writer.begin(name)
        part = await read_stream(
            self._bus, stream, first, last, lambda data: self._blocking.run(lambda: self._writer.data(data))
        )
        self._writer.end()
        self._say(f"{stream:<11} {part.count} messages")
        return part

    async def _files(self, moment: _Moment) -> None:
        gone: list[str] = []

        def write() -> None:
            for name, data in moment.files.items():
                self._writer.member(name, [data])
            for name, size in moment.growing.items():
                try:
                    file = (self._source.data / name).open("rb")
                except FileNotFoundError:  # a program's output that became a part of its result after the moment
                    gone.append(name)
                    continue
                with file:
                    self._member(f"{contents.DATA}/{name}", _as_far_as(file, size))
            if state := kept_state(self._source.data):
                self._writer.member(contents.STATE, [state])
            for name, path in self._source.files.items():
                self._writer.member(name, [_read(path)])

        await self._blocking.run(write)
        self._say(f"files       {len(moment.files) + len(moment.growing) - len(gone) + len(self._source.files)}")
        if gone:
            self._say(f"left out    {', '.join(gone)}: removed since the moment of the backup")
        if left := contents.not_copied(self._source.data):
            self._say(f"not copied  {', '.join(left)}: not known in {self._source.data}")

    def _manifest(
        self, history: CopyAnswer, moment: _Moment, facts: SnapshotFacts, readings: StreamPart, events: StreamPart
    ) -> BackupManifest:
        source = self._source
        return BackupManifest(
            experiment=source.experiment,
            program=source.program,
            moment_ns=moment.at_ns,
            data=str(source.data),
            description=source.description,
            dialect=facts.dialect,
            database=shown(source.database) if source.database_given else "",
            schema=facts.schema,
            rows=facts.rows,
            highest_run=max(facts.highest_run, _noted_run(moment.files)),
            first_sequence=first_sequence(source.data),
            history_sequence=history.sequence,
            history_rows=history.rows,
            readings=readings,
            events=events,
            positions=moment.positions,
            secrets=source.secrets,
            outside=source.outside,
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LinkError(
            f"{path}, which the description names, cannot be read: {error.strerror}",
            source="backup",
            code="not_copied",
            suggestion="see that the account of the experiment may read it; then make the backup again",
        ) from error


def _noted_run(files: dict[str, bytes]) -> int:
    noted = files.get(f"{contents.DATA}/run-book/highest-run", b"").strip()
    return int(noted) if noted.isdigit() else 0


def _parts(path: Path, size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file. LinkError if it is shorter."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        copied = 0
        for part in _as_far_as(file, size):
            copied += len(part)
            yield part
        if copied < size:
            raise LinkError(
                f"{path} became shorter while it was copied",
                source="backup",
                code="not_copied",
                suggestion="make the backup again",
            )


def _as_far_as(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file, fewer if it is shorter."""
    left = size
    while left and (part := file.read(min(CHUNK, left))):
        left -= len(part)
        yield part
