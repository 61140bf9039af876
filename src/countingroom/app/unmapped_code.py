"""Unmaps the code of large libraries that a process does not use any more. Linux only; elsewhere it has no effect.

DuckDB has 50 MiB of code. Its start runs through 30 of them, which stay in the memory of the process though 7 are in
use later. Executed code that is mapped is what the kernel takes away last when memory is scarce. Once unmapped it is
only in the cache of files; what runs again is mapped from there, in a few microseconds.

At such an access the kernel maps 64 KiB around it, which makes 23 MiB of the 7. It maps single pages where a
`userfaultfd` is registered for write protection. No page is protected here, so it never tells of anything: it is
registered for this effect alone.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

LARGE_BYTES = 8 << 20
"""Of smaller libraries most is in use."""
_DONTNEED = 4
"""MADV_DONTNEED: the pages are read from the file again at the next access."""
_SMAPS = Path("/proc/self/smaps")
_USERFAULTFD = {"x86_64": 323, "aarch64": 282}
"""Machine -> number of the system call."""
_USER_MODE_ONLY = 1
"""Of faults inside system calls it does not tell. An ordinary user may have no other one."""
_API, _API_VERSION = 0xC018AA3F, 0xAA
_REGISTER, _WRITE_PROTECTION = 0xC020AA00, 2
_ANY_MAPPING = 1 << 15
"""UFFD_FEATURE_WP_ASYNC, Linux 6.7: also mappings of files, and a write to a protected page waits for no answer."""


def unmap_unused_code() -> None:
    """Unmap the read-only pages of large libraries, and map those that are used again one by one. Pages that were
    written to, as by the linker, are left alone."""
    madvise = getattr(ctypes.CDLL(None), "madvise", None)
    if madvise is None or not _SMAPS.exists():
        return
    with _SMAPS.open() as lines:  # line by line: as a whole it would take the megabyte that is saved
        unwritten = _unwritten(lines)
    map_single_pages(unwritten)
    for start, length in unwritten:
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _DONTNEED)


def map_single_pages(mappings: Sequence[tuple[int, int]]) -> bool:
    """Map pages one by one at their next access; start and length in bytes of each mapping. False where the kernel does
    not know it or does not permit it, and where it is done already for all of them.

    The descriptor stays open to the end of the process: the kernel forgets the registration with it."""
    number = _USERFAULTFD.get(platform.machine())
    if not number or not mappings:
        return False
    descriptor = ctypes.CDLL(None).syscall(number, os.O_CLOEXEC | _USER_MODE_ONLY)
    if descriptor < 0:
        return False
    registered = 0
    with suppress(OSError):
        fcntl.ioctl(descriptor, _API, struct.pack("QQQ", _API_VERSION, _ANY_MAPPING, 0))
        for start, length in mappings:
            with suppress(OSError):  # it is registered already, as in a process that did this before
                fcntl.ioctl(descriptor, _REGISTER, struct.pack("QQQQ", start, length, _WRITE_PROTECTION, 0))
                registered += 1
    if not registered:
        os.close(descriptor)
    return bool(registered)


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
