"""Fills the gaps between the objects of this process, before it is forked.

An allocator puts a new object into a gap that older ones have left. In a forked process each of them makes the kernel
copy a page of 4 KiB, for some 50 bytes. Where there are no gaps, new objects stand side by side in pages of their own.

It knows Python's own allocator (up to 512 bytes) and that of glibc. With another one it has no effect.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys

_BLOCKS = re.compile(r"^ *\d+ +(\d+) +\d+ +\d+ +(\d+)$", re.MULTILINE)
"""A row of the statistics: class, size, pools, blocks in use, blocks that are free."""
_OVERHEAD_BYTES = sys.getsizeof(b"")
_MOST_BLOCKS = 1_000_000
_MOST_CHUNKS = 200_000
"""The demo has 5,000 free blocks and 500 free chunks."""
_SIZES = (*range(65_536, 8_192, -4_096), *range(8_192, 1_024, -256), *range(1_024, 16, -16))
"""Bytes of the chunks to take from glibc, the largest first: what is left of a larger chunk is a smaller one."""
_TOP_BYTES = 64
"""Tolerance at the begin of the end of the heap, which was never used."""


def fill_gaps() -> None:
    """Take all free blocks and chunks. They stay in use to the end of the process and in all forks of it."""
    made: list[object] = []
    for _ in range(2):  # the first time the list itself and the reading leave new ones
        for size, free in _free_blocks():
            if len(made) + free < _MOST_BLOCKS:
                made += [_of_size(size, number) for number in range(free)]
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))  # so that it is never freed
    _take_chunks()


def _free_blocks() -> list[tuple[int, int]]:
    """Size in bytes and number of the free blocks in pools where others are in use."""
    write = getattr(sys, "_debugmallocstats", None)
    new_file = getattr(os, "memfd_create", None)  # in memory: it works with a full disk
    if write is None or new_file is None or sys.stderr is None:
        return []
    with os.fdopen(new_file("gaps"), "rb") as file:
        sys.stderr.flush()
        terminal = os.dup(2)
        os.dup2(file.fileno(), 2)  # it writes there, not to sys.stderr
        try:
            write()
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
        file.seek(0)
        text = file.read().decode("ascii", "replace")
    return [(int(size), int(free)) for size, free in _BLOCKS.findall(text)]


def _of_size(size: int, number: int) -> object:
    """A new object that takes a block of `size` bytes, a multiple of 16."""
    if size < 32:
        return object()
    if size < 48:
        return number + 0.5  # 24 bytes
    return bytes(size - _OVERHEAD_BYTES)


class _HeapStatistics(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")),
    ]


def _take_chunks() -> None:
    """Take the free chunks of the main heap, the largest first, until each size comes from its unused end."""
    library = ctypes.CDLL(None)
    statistics = getattr(library, "mallinfo2", None)
    if statistics is None:
        return
    statistics.restype = _HeapStatistics
    allocate, release, end = library.malloc, library.free, library.sbrk
    allocate.restype = end.restype = ctypes.c_void_p
    allocate.argtypes = [ctypes.c_size_t]
    release.argtypes = [ctypes.c_void_p]
    end.argtypes = [ctypes.c_ssize_t]
    unused = (end(0) or 0) - statistics().keepcost - _TOP_BYTES
    taken = 0
    for size in _SIZES:
        while taken < _MOST_CHUNKS and (address := allocate(size)):
            if address >= unused:
                release(address)
                break
            taken += 1
