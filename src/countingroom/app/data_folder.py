"""The data folder of an experiment, and the lock on it. One instance at a time runs on a data folder.

The lock is a `flock` on the file owner.json, which also describes its holder for the error message of the next one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from countingroom.core.errors import ConfigurationError, Conflict

LOCK = "owner.json"


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


@contextmanager
def owned(data: Path, owner: InstanceOwner) -> Generator[None]:
    """Hold the lock on the data folder. Raises Conflict, which names the holder, when another process holds it."""
    try:
        data.mkdir(parents=True, exist_ok=True)
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
        file.truncate(0)
        file.write(msgspec.json.encode(owner))
        file.flush()
        yield
        file.truncate(0)


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
