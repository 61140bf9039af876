"""Makes a folder from a backup, with which the experiment can be started.

The whole file is verified before the first write. An incomplete folder has a mark, and `up` refuses it. The restored
experiment does not repeat old actions: a backup has no commands, and goals of partitions, orders and the state of
agents are left out. Run numbers continue after all known ones.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

from countingroom.backup import contents, disk_space
from countingroom.backup.blocking_work import BlockingWork
from countingroom.backup.container import BackupReader
from countingroom.backup.contents import BackupManifest
from countingroom.backup.encryption import BackupKey
from countingroom.backup.opening import opened, verified
from countingroom.backup.run_numbers import next_run
from countingroom.backup.stream_copy import write_stream
from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.port import Bus
from countingroom.bus.server.process import REMEMBERED_FILE, Remembered
from countingroom.bus.server.server import EmbeddedServer
from countingroom.bus.streams import ON_DISK, limits
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Conflict, RequestError
from countingroom.storage.migrating import HEAD
from countingroom.storage.snapshot import SnapshotFacts, facts_of, loading

Say = Callable[[str], None]
Check = Callable[[BackupManifest, Path], None]
"""Raises RequestError if the restored data folder does not match the manifest."""

_REVISIONS = 10_000_000_000
"""Added to the first sequence of the original's buckets. It is more than the writes between a backup and the loss of
the original, so all new revisions are above those that clients may remember from the original."""


class Restored(Struct, frozen=True, kw_only=True):
    """The result of a restore."""

    manifest: BackupManifest
    description: Path
    data: Path
    next_run: int
    notes: tuple[str, ...]


async def restore(
    path: Path,
    key: BackupKey | None,
    folder: Path,
    clock: Clock,
    say: Say,
    *,
    database: str = "",
    with_database: bool = True,
    check: Check = lambda manifest, data: None,
) -> Restored:
    """Make the folder, which must be empty. On an error, and when it is cancelled, it is removed again.

    DamagedBackup, NewerBackup, WrongKey before anything is written; Conflict where the folder or the database is in
    use; RequestError where the result is not that of the backup. `database`: of PostgreSQL, in place of that in the
    backup; without `with_database` its tables are only verified. `check`: of the restored history, while the folder
    still has the mark of an incomplete restore."""
    work = BlockingWork()
    manifest, members = await work.run(lambda: verified(path, key, work.parts))
    say(f"verified    {len(members)} members, {disk_space.megabytes(sum(one.size for one in members))}")
    _refuse_newer(manifest, path)
    if database and manifest.dialect == "sqlite":
        raise RequestError(
            "the backup is of an experiment with a SQLite database, which is restored as a file",
            source="--database",
            suggestion="leave out --database",
        )
    spooled = sum(one.size for one in members if one.name in (contents.READINGS, contents.EVENTS))
    disk_space.check(_there(folder), spooled + sum(one.size for one in members), "the restore", is_restore=True)
    database = (database or manifest.database) if with_database else ""
    restoring = _Restoring(folder, manifest, clock, say, work, database)
    try:
        await work.run(restoring.begin)
        try:
            return await restoring.run(path, key, check)
        except BaseException:
            await BlockingWork().run(restoring.remove)
            raise
    except OSError as error:
        raise disk_space.no_space(error, folder, is_restore=True) from error


class _Restoring:
    """One restore."""

    def __init__(
        self, folder: Path, manifest: BackupManifest, clock: Clock, say: Say, work: BlockingWork, database: str
    ) -> None:
        self._folder = folder
        self._data = folder / contents.DATA
        self._mark = self._data / contents.UNFINISHED
        self._manifest = manifest
        self._clock = clock
        self._say = say
        self._work = work
        self._database = database
        self._is_new = False
        """Whether the folder was not there before."""

    def begin(self) -> None:
        """Write the mark of an incomplete restore, before all else. Conflict where the folder is in use by now."""
        refuse_used(self._folder)
        self._is_new = not self._folder.exists()
        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            os.close(os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            raise Conflict(
                f"another restore into {self._folder} is going on",
                source="--into",
                code="not_empty",
                suggestion="give another folder",
            ) from None
        for folder in (self._data, self._folder):
            _sync(folder)

    async def run(self, path: Path, key: BackupKey | None, check: Check) -> Restored:
        """All after the mark, and at the end remove it."""
        spool = self._folder / ".bus"
        await self._work.run(lambda: self._extract(path, key, spool))
        await self._bus(spool)
        await self._work.run(lambda: shutil.rmtree(spool))
        found = await self._work.run(
            lambda: next_run(self._manifest, self._clock.now_ns(), self._data / "run-book", Path(self._manifest.data))
        )
        await self._work.run(lambda: check(self._manifest, self._data))
        await self._work.run(lambda: self._database_rows(path, key))
        await self._work.run(self._finish)
        return Restored(
            manifest=self._manifest,
            description=self._folder / self._manifest.description,
            data=self._data,
            next_run=found.number,
            notes=(found.why, *self._notes()),
        )

    def remove(self) -> None:
        """Remove all that was written. The mark is removed last, so that a partly removed folder cannot be started."""
        for path in (self._folder / contents.DESCRIPTION, self._folder / ".bus", *self._data.iterdir()):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path != self._mark:
                path.unlink(missing_ok=True)
        shutil.rmtree(self._data, ignore_errors=True)
        if self._is_new:
            with suppress(OSError):
                self._folder.rmdir()

    def _extract(self, path: Path, key: BackupKey | None, spool: Path) -> None:
        spool.mkdir(mode=0o700)
        with opened(path, key) as reader:
            self._members(reader, spool)

    def _members(self, reader: BackupReader, spool: Path) -> None:
        for name, parts in reader.members():
            top, _, rest = name.partition("/")
            data = self._work.parts(parts)
            if top == contents.TABLES:  # at the end, see _database_rows
                deque(data, maxlen=0)
            elif name in (contents.READINGS, contents.EVENTS):
                _write(spool / rest, data)
            elif name == contents.MANIFEST:
                _write(spool / name, data)
            else:
                _write(self._folder / _inside(name), data)

    async def _bus(self, spool: Path) -> None:
        """Fill the streams by a server that runs only during the restore."""
        folder = self._data / "bus"
        await self._work.run(lambda: _new_server(folder, self._manifest.first_sequence + _REVISIONS))
        state = await self._work.run(lambda: _taken(self._folder / contents.STATE))
        server = EmbeddedServer(folder, description=BusSection(), clock=self._clock)
        url = await server.start()
        try:
            bus = await nats.connect(url, name="restore", login=server.login, clock=self._clock)
            try:
                await self._streams(bus, spool, limits(server.store_bytes))
            finally:
                await bus.close()
        finally:
            await server.stop()
        if state:
            await self._work.run(lambda: _write_again(self._folder / contents.STATE, state))

    async def _streams(self, bus: Bus, spool: Path, most: Mapping[str, int]) -> None:
        for stream, part in (
            (subjects.READINGS_STREAM, self._manifest.readings),
            (subjects.EVENTS_STREAM, self._manifest.events),
        ):
            await write_stream(bus, stream, ON_DISK[stream], part, _pieces(spool / stream), max_bytes=most[stream])
            self._say(f"{stream:<11} {part.count} messages")
        await bus.ensure_bucket(subjects.POSITIONS_BUCKET, max_bytes=1 << 20)
        for name, position in self._manifest.positions.items():
            await bus.put(subjects.POSITIONS_BUCKET, name, str(position).encode())

    def _database_rows(self, path: Path, key: BackupKey | None) -> None:
        """Check SQLite; load the tables of PostgreSQL, in a transaction that ends when all else has been done: after an
        error that database is as empty as before. RequestError where it has not the rows of the backup."""
        if self._manifest.dialect == "sqlite":
            self._check(facts_of(self._folder / contents.DATABASE))
        elif self._database:
            with opened(path, key) as reader, loading(self._database, self._manifest.schema, self._check) as load:
                for name, parts in reader.members():
                    top, _, rest = name.partition("/")
                    data = self._work.parts(parts)
                    if top == contents.TABLES:
                        load(rest, data)
                    else:
                        deque(data, maxlen=0)

    def _check(self, found: SnapshotFacts) -> None:
        if (found.rows, found.schema) != (self._manifest.rows, self._manifest.schema):
            wrong = sorted(name for name, rows in self._manifest.rows.items() if found.rows.get(name) != rows)
            raise RequestError(
                f"the restored database differs from the backup in {', '.join(wrong) or 'its schema'}",
                source="restore",
                code="not_equal",
                suggestion="restore again; if it fails again, use another backup",
            )
        self._say(f"database    {sum(found.rows.values())} rows")

    def _finish(self) -> None:
        for folder in (self._data, self._folder):
            _sync(folder)
        self._mark.unlink()

    def _notes(self) -> Iterator[str]:
        manifest = self._manifest
        if manifest.database and manifest.dialect == "sqlite":
            yield (
                f"the description names the database {manifest.database}; the restored one is "
                f"{self._folder / contents.DATABASE}: change storage.url before the start"
            )
        elif manifest.dialect != "sqlite" and self._database != manifest.database:
            yield f"change storage.url of the description to {self._database} before the start"
        for name, original in sorted(manifest.outside.items()):
            yield f"{original} is {self._folder / name}: put it back, or change the description"
        if not manifest.secrets:
            yield "passwords and private keys are not in the backup: put back the files that the description names"


def _refuse_newer(manifest: BackupManifest, path: Path) -> None:
    if manifest.schema > HEAD:
        raise RequestError(
            f"the backup has the database schema {manifest.schema}, this program has {HEAD}",
            source=str(path),
            code="newer_format",
            suggestion=f"restore it with version {manifest.program} of the program, or a later one",
        )


def refuse_used(folder: Path) -> None:
    """Conflict if the folder is not empty."""
    try:
        used = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise Conflict(f"{folder} cannot be used: {error.strerror}", source="--into", code="not_empty") from error
    if used:
        raise Conflict(
            f"{folder} is not empty: it has {', '.join(used[:5])}{' …' if len(used) > 5 else ''}",
            source="--into",
            code="not_empty",
            suggestion="give a new folder",
        )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _there(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())


def _inside(name: str) -> Path:
    """The place of a member in the folder; RequestError for one that is outside."""
    path = PurePosixPath(name)
    tops = (contents.DATA, contents.DESCRIPTION)
    if path.is_absolute() or ".." in path.parts or len(path.parts) < 2 or path.parts[0] not in tops:
        raise RequestError(f"the backup has a member with a wrong name: {name}", source="restore", code="damaged")
    return Path(*path.parts)


def _write(path: Path, data: Iterable[bytes]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for part in data:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_space.no_space(error, path.parent, is_restore=True) from error


def _write_again(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    _write(path, [data])


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            yield part


def _new_server(folder: Path, first_sequence: int) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / REMEMBERED_FILE
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(msgspec.json.encode(Remembered(first_sequence=first_sequence)))


def _taken(path: Path) -> bytes:
    """Remove a file and return its content, to write it again later. The server of the restore would read the file,
    and overwrite it at its end."""
    if not path.exists():
        return b""
    data = path.read_bytes()
    path.unlink()
    return data
