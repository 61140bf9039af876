"""Backup and restore of an experiment: finds what runs, makes the file, checks it by restoring it, removes old ones."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
from msgspec import Struct

from countingroom import __version__
from countingroom.app import bus_users
from countingroom.app.data_folder import BACKUPS, owner_of
from countingroom.app.description_files import description_files
from countingroom.backup import disk_space, folder
from countingroom.backup.contents import BackupManifest
from countingroom.backup.description import BackupSection
from countingroom.backup.encryption import BackupKey
from countingroom.backup.identity import identity_of
from countingroom.backup.restore import Restored, refuse_used, restore
from countingroom.backup.take import CopiedExperiment, TakenBackup, needed_bytes, take
from countingroom.bus import nats
from countingroom.bus.server.credentials import SUPERVISOR
from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import Conflict, LinkError, RequestError
from countingroom.core.umask import keep_files_private
from countingroom.experiment import Loaded, load_located
from countingroom.history import file_check

T = TypeVar("T")
Say = Callable[[str], None]

_PART = ".part"
"""End of the names of what is removed again."""


class BackupMade(Struct, frozen=True, kw_only=True):
    """A backup that is complete."""

    path: Path
    taken: TakenBackup
    checked: bool
    removed: tuple[Path, ...]


class Backups:
    """The backups of one experiment."""

    def __init__(self, description: Path, data: Path, *, clock: Clock | None = None) -> None:
        """ConfigurationError for an invalid description."""
        self._description = description.resolve()
        self._data = data.resolve()
        self._loaded: Loaded = load_located(self._description)
        self._clock = clock or SystemClock()
        self.section = self._loaded.experiment.section(BackupSection)
        self.experiment = self._loaded.experiment.experiment.name

    @property
    def folder(self) -> Path:
        """Where backups are written without a request."""
        return self.section.folder or self._data / BACKUPS

    def found(self) -> list[folder.FoundBackup]:
        """Those in the folder of experiments with this name, the newest first."""
        return folder.backups(self.folder, self.experiment)

    @property
    def identity(self) -> str:
        """That of the data folder. RequestError where it cannot be written."""
        try:
            return identity_of(self._data)
        except OSError as error:
            raise disk_space.no_space(error, self._data) from error

    def key(self) -> BackupKey | None:
        """The key of the description."""
        return BackupKey(self.section.key.read("backup.key"), "backup.key") if self.section.key else None

    def make(
        self, to: Path | None, say: Say, *, check: bool | None = None, secrets: bool = False, wait: bool = False
    ) -> BackupMade:
        """Make a backup of the running experiment, into a file or folder. What is not complete is removed.
        `check`: as the description says where it is not given. `wait`: for the end of another backup, else Conflict."""
        check = self.section.check if check is None else check
        keep_files_private()
        _stand_back()
        key = self.key()
        if secrets and key is None:
            raise RequestError(
                "secrets are only written into an encrypted backup",
                source="--secrets",
                code="no_key",
                suggestion="give backup.key in the description: countingroom backup key makes one",
            )
        owner = owner_of(self._data)
        if owner is None:
            raise LinkError(
                f"nothing runs on {self._data}",
                source="backup",
                code="not_running",
                suggestion="start the experiment first; one that is stopped is copied whole with its data folder",
            )
        source = self._source(secrets=secrets or self.section.secrets)
        own = self.identity
        with _alone(self._data, wait=wait):
            target = self._target(to, own, encrypted=key is not None)
            needed = needed_bytes(source)
            _clean(target.parent, self.experiment, own)  # first, because it makes room
            what = "the backup with its check" if check else "it"
            disk_space.check(target.parent, needed * 3 if check else needed, what)
            part = target.with_name(f".{self.experiment}.{own}.{target.name}{_PART}")
            try:
                taken = _run(self._take(source, part, key, say, check=check))
                part.replace(target)
                _sync(target.parent)
            except OSError as error:
                raise disk_space.no_space(error, target.parent) from error
            finally:
                part.unlink(missing_ok=True)
        removed = tuple(self._removed(target, say)) if to is None else ()
        return BackupMade(path=target, taken=taken, checked=check, removed=removed)

    async def _take(
        self, source: CopiedExperiment, part: Path, key: BackupKey | None, say: Say, *, check: bool
    ) -> TakenBackup:
        experiment = self._loaded.experiment
        once = BackupKey.new() if key else None
        bus = await nats.connect(
            bus_users.url(experiment.bus, self._data),
            name="backup",
            login=bus_users.login(experiment.bus, {}, self._data, SUPERVISOR),
            clock=self._clock,
        )
        try:
            keys = [key, once] if key and once else []
            taken = await take(bus, self._clock, source, part, keys, say)
        finally:
            await bus.close()
        if check:
            await self._check(part, once, taken.manifest, say)
        return taken

    async def _check(self, part: Path, key: BackupKey | None, manifest: BackupManifest, say: Say) -> None:
        """Restore into an empty folder that is removed again. RequestError where it is not what was copied."""
        if manifest.dialect != "sqlite":
            say("check       the tables of PostgreSQL are not restored; every byte of the file is verified")
        with tempfile.TemporaryDirectory(prefix=f"{part.name}.", suffix=_PART, dir=part.parent) as place:
            into = Path(place) / "restored"
            await restore(part, key, into, self._clock, lambda line: None, with_database=False, check=check_history)
        say("checked     it was restored into an empty folder, and has what was copied")

    def _source(self, *, secrets: bool) -> CopiedExperiment:
        storage = self._loaded.experiment.storage
        files = description_files(self._description, self._loaded, secrets=secrets)
        return CopiedExperiment(
            experiment=self.experiment,
            program=__version__,
            data=self._data,
            database=storage.address(self._data),
            database_given=bool(storage.url),
            files=files.files,
            description=files.main,
            outside=files.outside,
            secrets=secrets,
        )

    def _target(self, to: Path | None, of: str, *, encrypted: bool) -> Path:
        given = to or self.folder
        name = folder.name(self.experiment, of, self._clock.now_ns(), encrypted=encrypted)
        is_folder = to is None or given.is_dir()
        target = (given / name if is_folder else given).absolute()
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise disk_space.no_space(error, target.parent) from error
        if target.exists():
            raise RequestError(
                f"{target} is there already", source="--to", code="exists", suggestion="give another name"
            )
        return target

    def _removed(self, made: Path, say: Say) -> list[Path]:
        """The one that was made stays, also where others have a later time: the clock was wrong then."""
        found = [one for one in self.found() if one.of == self.identity]
        keep = folder.kept(found, self.section.keep) | {made}
        removed: list[Path] = []
        for one in found:
            if one.path not in keep:
                with suppress(OSError):
                    one.path.unlink()
                    removed.append(one.path)
                    say(f"removed     {one.path.name}")
        return removed


def check_history(manifest: BackupManifest, data: Path) -> None:
    """RequestError where the restored history has not the rows of the original."""
    rows, sequence = file_check.rows(data / "history" / "history.duckdb")
    if (rows, sequence) != (manifest.history_rows, manifest.history_sequence):
        raise RequestError(
            f"the history of the backup has {sum(rows.values())} rows, and the original had "
            f"{sum(manifest.history_rows.values())}",
            source="backup",
            code="not_equal",
            suggestion="make another backup; if that fails too, report it",
        )


def restore_into(path: Path, into: Path, say: Say, *, key: BackupKey | None = None, database: str = "") -> Restored:
    """Restore a backup into a folder that is empty or does not exist."""
    keep_files_private()
    clock = SystemClock()
    into = into.absolute()
    refuse_used(into)
    restored = _run(restore(path, key, into, clock, say, database=database, check=check_history))
    say(f"history     {sum(restored.manifest.history_rows.values())} rows")
    return restored


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run it to its end. SIGTERM cancels it as Ctrl-C does, so that it removes what it has written."""

    async def main() -> T:
        if task := asyncio.current_task():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise SystemExit(128 + signal.SIGTERM) from None


@contextmanager
def _alone(data: Path, *, wait: bool = False) -> Generator[None]:
    """One backup of a data folder at a time. The lock ends with the process."""
    descriptor = os.open(data, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"another backup of {data} is being made",
                source="backup",
                code="busy",
                suggestion="wait until it has ended: countingroom backup --wait",
            ) from None
        yield
    finally:
        os.close(descriptor)


def _clean(target: Path, experiment: str, of: str) -> None:
    """Remove what a backup of this data folder that was killed has left. No name of an experiment has a dot, so others'
    are not found."""
    for path in target.glob(f".{experiment}.{of}.*{_PART}"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _stand_back() -> None:
    """Let all others go first, at the processor and at the disk."""
    os.nice(19)
    with suppress(psutil.Error, AttributeError, OSError):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
