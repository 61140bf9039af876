"""Names in the folder of a simulated serial line, by which a driver knows that its simulator lives. Pure.

The folder holds the link to a pseudo terminal and a file that the simulator keeps locked (`flock`) while it lives. The
file tells which terminal is meant. The number of a pseudo terminal is used again by any program once it is free, so a
link alone can lead to a stranger.
"""

from __future__ import annotations

import re

KIND = "line"
FOLDER_PREFIX = f"countingroom-{KIND}-"
LINK = "line"
LOCK = "lock"

_RECORD = re.compile(r"(\d{1,20}) (\d{1,20})\n")


def record(device: int, inode: int) -> str:
    """The content of the lock file for the terminal with these numbers (`st_rdev`, `st_ino`)."""
    return f"{device} {inode}\n"


def recorded(text: str) -> tuple[int, int] | None:
    """The numbers in it; None while the line is closed."""
    match = _RECORD.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None
