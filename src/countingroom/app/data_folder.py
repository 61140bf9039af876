"""The data folder of an experiment, and the lock on it. One instance at a time runs on a data folder.

The lock is a `flock` on the file owner.json, which also describes its holder for the error message of the next one.
Other accounts of the machine may read nothing in the folder: it has passwords, accounts and the audit.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from countingroom.backup.contents import UNFINISHED
from countingroom.core.errors import ConfigurationError, Conflict

LOCK = "owner.json"
RUN_BOOK = "run-book"
"""Folder for entries of the run book that wait for the database, or that it refused."""
AUDIT = "audit"
"""Folder for entries of the audit that wait for the database."""
CONSOLE = "console"
"""Folder where the console keeps which sessions are valid."""
INTERLOCKS = "interlocks"
"""Folder where device hosts keep which interlocks have tripped."""
RESULT_FILES = "result-files"
"""Folder with the documents, arrays and logs of results."""
FLEET = "fleet"
"""Folder with the programs of the fleet that run on this computer."""
DESCRIPTION = "description"
"""Folder of the description that was reloaded last."""
BACKUPS = "backups"
"""Folder of the backups where the description gives none."""
KEPT_FOLDERS = (
    *(
        "agents",
        AUDIT,
        BACKUPS,
        "bus",
        CONSOLE,
        DESCRIPTION,
        FLEET,
        "history",
        INTERLOCKS,
        "logs",
        "results",
        RESULT_FILES,
    ),
    RUN_BOOK,
)
_FILES = (LOCK, "backup-id", "countingroom.sqlite*")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class InstanceOwner(msgspec.Struct, frozen=True, kw_only=True):
    """The instance that runs an experiment on a data folder: the content of the lock file."""

    pid: int
    description: str
    console: str
    since: str


def default_data(description: Path) -> Path:
    """The data folder without `--data`: `$XDG_STATE_HOME/countingroom/<name of its folder or file>`."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    path = description.resolve()
    name = path.parent.name if path.stem == "experiment" else path.stem
    return Path(state) / "countingroom" / (name or "experiment")


def owner_of(data: Path) -> InstanceOwner | None:
    """The instance that runs on the data folder; None if there is none."""
    # The content alone does not show it: after `kill -9` the file still names its last owner, but the lock is free.
    try:
        with (data / LOCK).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return msgspec.json.decode(file.read(65536), type=InstanceOwner)
    except (OSError, msgspec.DecodeError):
        pass
    return None


@contextmanager
def owned(data: Path, owner: InstanceOwner) -> Generator[None]:
    """Hold the lock on the data folder. Raises Conflict, which names the holder, when another process holds it, and
    ConfigurationError where the folder is shared with another account that made a part of the data in it."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _is_shared(data):
            _refuse_foreign(data)
        file = (data / LOCK).open("a+b")
    except OSError as error:
        raise ConfigurationError(
            f"{data} cannot hold the data: {error.strerror}",
            source="--data",
            suggestion="give a directory you may write to with --data DIR",
        ) from error
    with file:
        try:
            # The kernel releases the lock when its holder dies, so a crash leaves no stale lock behind.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(data, file.fileno()) from None
        if (data / UNFINISHED).exists():
            raise Conflict(
                f"the restore into {data} has not finished: the data in it are not complete",
                source="--data",
                suggestion="remove the folder, and restore the backup again",
                code="not_restored",
            )
        file.truncate(0)
        file.write(msgspec.json.encode(owner))
        file.flush()
        yield
        file.truncate(0)


def close_to_others(data: Path) -> list[str]:
    """Take the permissions of other accounts from a data folder, such as one of an earlier version. Returns warnings,
    one sentence each."""
    said: list[str] = []
    found = data.stat()
    shared = _is_shared(data)
    if found.st_mode & _OTHERS and not shared:
        data.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
        said.append(f"{data} could be read by others, and is for its owner alone now")
    elif shared:
        said.append(f"{data} is also for others; what the experiment keeps there is for its owner alone")
    if not said:
        return []  # no other account gets at what is inside
    changed = sum(_close(path) for path in _kept(data))
    return [*said, f"{changed} files and folders in it were closed to others"] if changed else said


def _is_shared(data: Path) -> bool:
    found = data.stat()
    return found.st_uid != os.geteuid() or bool(found.st_mode & stat.S_ISVTX) or data == Path.home()


def _refuse_foreign(data: Path) -> None:
    """Another account that writes into the folder may have made what the experiment would take for its own: a link
    would lead its writing elsewhere, a file would be changed by its owner. ConfigurationError."""
    trusted = (0, os.geteuid())
    ours = (one for one in data.iterdir() if any(one.match(name) for name in (*_FILES, *KEPT_FOLDERS)))
    for path in (*ours, *_kept(data)):  # a link that leads nowhere is among the first alone
        with suppress(FileNotFoundError):
            owner = path.lstat().st_uid
            if owner not in trusted:
                raise ConfigurationError(
                    f"{path} belongs to another account, with the number {owner}",
                    source="--data",
                    suggestion="give another folder with --data DIR, or make the files your own (chown -R)",
                )


def _kept(data: Path) -> Generator[Path]:
    """The files and folders of the experiment in its data folder, which may have others too."""
    for pattern in _FILES:
        yield from data.glob(pattern)
    for name in KEPT_FOLDERS:
        if (data / name).is_dir() and not (data / name).is_symlink():
            yield data / name
            yield from (data / name).rglob("*")


def _close(path: Path) -> bool:
    """Take the permissions of other accounts from a file. Returns whether it had any."""
    with suppress(OSError):  # a file that a running program deletes meanwhile, or of another account
        found = path.lstat()
        if not stat.S_ISLNK(found.st_mode) and found.st_mode & _OTHERS:
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
            return True
    return False


def _taken(data: Path, descriptor: int) -> Conflict:
    try:
        owner = msgspec.json.decode(os.pread(descriptor, 65536, 0), type=InstanceOwner)
        who = f"process {owner.pid} runs {owner.description} there since {owner.since}, console {owner.console}"
    except (OSError, msgspec.DecodeError):
        who = "another process runs there"
    return Conflict(
        f"{data} is in use: {who}",
        source="--data",
        suggestion="stop that one first, or keep this one's data elsewhere with --data DIR",
        code="data_in_use",
    )
