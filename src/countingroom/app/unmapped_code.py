"""Unmaps the code of large libraries that a process does not use any more. Linux only; elsewhere it has no effect.

DuckDB has 50 MiB of code. Its start runs through 30 of them, which stay in the memory of the process though 8 are in
use later. Executed code that is mapped is what the kernel takes away last when memory is scarce. Once unmapped it is
only in the cache of files; what runs again is mapped from there, in a few microseconds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from pathlib import Path

LARGE_BYTES = 8 << 20
"""Of smaller libraries most is in use."""
_DONTNEED = 4
"""MADV_DONTNEED: the pages are read from the file again at the next access."""
_SMAPS = Path("/proc/self/smaps")


def unmap_unused_code() -> None:
    """Unmap the read-only pages of large libraries. Pages that were written to, as by the linker, are left alone."""
    madvise = getattr(ctypes.CDLL(None), "madvise", None)
    if madvise is None or not _SMAPS.exists():
        return
    with _SMAPS.open() as lines:  # line by line: as a whole it would take the megabyte that is saved
        unwritten = _unwritten(lines)
    for start, length in unwritten:
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _DONTNEED)


def _unwritten(smaps: Iterable[str]) -> list[tuple[int, int]]:
    """Start and length in bytes of the large mappings of files that cannot be written to, and never were."""
    found: list[tuple[int, int]] = []
    large: tuple[int, int] | None = None
    for line in smaps:
        key, _, rest = line.partition(" ")
        if not key.endswith(":"):  # a new mapping: `START-END r-xp OFFSET DEVICE INODE PATH`
            begin, end = (int(one, 16) for one in key.split("-"))
            permissions, _, _, inode = rest.split()[:4]
            fits = permissions in ("r-xp", "r--p") and inode != "0" and end - begin >= LARGE_BYTES
            large = (begin, end - begin) if fits else None
        elif key == "Anonymous:" and large and rest.split()[0] == "0":
            found.append(large)
    return found
