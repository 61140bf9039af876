"""Files of JSON lines that are only appended to: what is added is on the disk before it counts."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from countingroom.core.errors import ConfigurationError, LinkError

_log = logging.getLogger(__name__)
_FOR_OWNER = 0o600


def read_lines(path: Path) -> list[bytes]:
    """Its lines; none where there is no file. A last line that was cut off by a crash was never answered, and is left
    out. ConfigurationError where it cannot be read."""
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise ConfigurationError(f"it cannot be read: {error.strerror}", source=str(path)) from error
    whole, _, cut = data.rpartition(b"\n")
    if cut:
        _log.warning("%s: its last line was cut off, and is left out", path)
    return whole.splitlines() if whole else []


def append_lines(path: Path, lines: Iterable[bytes], what: str) -> None:
    """Add lines, on the disk when it returns. `what`: for the message of the LinkError where that fails; then none
    counts."""
    added = b"".join(one + b"\n" for one in lines)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, _FOR_OWNER)
        with open(descriptor, "r+b", buffering=0) as file:  # noqa: PTH123 (a descriptor)
            size = os.fstat(descriptor).st_size
            file.seek(0)
            kept = size if not size else _end_of_whole_lines(descriptor, size)
            if kept != size:
                file.truncate(kept)  # what a crash cut off must not become a part of the next line
            file.write(added)
            os.fsync(descriptor)
    except OSError as error:
        raise LinkError(
            f"{what} cannot be kept: {error.strerror}",
            source=str(path),
            code="not_kept",
            suggestion="see whether the disk is full and the file is writable, then do it again",
        ) from error


def _end_of_whole_lines(descriptor: int, size: int) -> int:
    step = 1 << 16
    end = size
    while end > 0:
        begin = max(0, end - step)
        place = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if place >= 0:
            return begin + place + 1
        end = begin
    return 0
