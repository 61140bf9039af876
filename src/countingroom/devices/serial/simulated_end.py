"""Whether the pseudo terminal behind the link of a simulated line still belongs to the simulator."""

from __future__ import annotations

import fcntl
from pathlib import Path

from countingroom.core.simulated_line import FOLDER_PREFIX, LOCK, recorded


def why_not_simulator(address: str) -> str:
    """Why the line at this address must not be opened; empty where it may, and for every address of another kind."""
    link = Path(address)
    if not link.parent.name.startswith(FOLDER_PREFIX):
        return ""
    try:
        with link.parent.joinpath(LOCK).open() as lock:
            if not _is_locked(lock.fileno()):
                return "its simulator has ended"
            terminal, expected = link.stat(), recorded(lock.read(64))
    except OSError as error:
        return f"its simulator has closed it: {error.strerror}"
    if expected != (terminal.st_rdev, terminal.st_ino):
        return "the link leads to a terminal that is not the simulator's"
    return ""


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
