"""Code that a process does not use any more leaves its memory, and comes back when it is used."""

from __future__ import annotations

import ctypes
import mmap
import sys
from pathlib import Path

import pytest

from countingroom.app.unmapped_code import LARGE_BYTES, map_single_pages, unmap_unused_code

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows and releases the pages of a process")

PAGE = mmap.PAGESIZE
TEXT = b"countingroom" + bytes(PAGE - 12)


def _mapped(path: Path, pages: int) -> mmap.mmap:
    with path.open("wb", buffering=0) as file:
        for _ in range(pages):  # one by one: what is written at once may be one large page in the cache of files
            file.write(TEXT)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    assert all(mapped[number * PAGE] == TEXT[0] for number in range(pages))  # each page is in memory now
    return mapped


def _resident_kib(path: Path) -> int:
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    found = 0
    for line in lines:
        if line.endswith(str(path)):
            found += next(int(one.split()[1]) for one in lines if one.startswith("Rss:"))
    return found


def test_the_pages_of_a_large_file_leave_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "library.so"
    with _mapped(path, LARGE_BYTES // PAGE) as mapped:
        assert _resident_kib(path) == LARGE_BYTES >> 10
        unmap_unused_code()
        assert _resident_kib(path) == 0
        assert mapped[-PAGE:] == TEXT


def test_only_the_pages_that_are_used_come_back(tmp_path: Path) -> None:
    path, probe = tmp_path / "library.so", tmp_path / "probe"
    with _mapped(probe, 1), _mapped(path, LARGE_BYTES // PAGE) as mapped:
        if not map_single_pages([_place(probe)]):
            pytest.skip("the kernel has no userfaultfd for files, or does not permit it")
        for _ in range(2):  # the second time it is registered already
            unmap_unused_code()
            assert mapped[100 * PAGE] == TEXT[0]
            assert _resident_kib(path) == PAGE >> 10


def test_a_mapping_that_is_registered_already_keeps_no_other_one_out(tmp_path: Path) -> None:
    path, probe = tmp_path / "library.so", tmp_path / "probe"
    with _mapped(probe, 1), _mapped(path, LARGE_BYTES // PAGE):
        if not map_single_pages([_place(probe)]):
            pytest.skip("the kernel has no userfaultfd for files, or does not permit it")
        assert not map_single_pages([_place(probe)])
        assert map_single_pages([_place(probe), _place(path)])


def _place(path: Path) -> tuple[int, int]:
    line = next(one for one in Path("/proc/self/maps").read_text().splitlines() if one.endswith(str(path)))
    begin, end = (int(one, 16) for one in line.split()[0].split("-"))
    return begin, end - begin


def test_a_small_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "library.so"
    with _mapped(path, 4):
        unmap_unused_code()
        assert _resident_kib(path) == 4 * PAGE >> 10


def test_what_was_written_stays_as_it_is(tmp_path: Path) -> None:
    """As by the linker, which then makes its pages read-only."""
    path = tmp_path / "library.so"
    path.write_bytes(TEXT * (LARGE_BYTES // PAGE))
    library = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=3) as mapped:
        mapped[:5] = b"fixed"
        start = ctypes.c_char.from_buffer(mapped)
        address = ctypes.c_void_p(ctypes.addressof(start))
        del start
        assert library.mprotect(address, ctypes.c_size_t(LARGE_BYTES), mmap.PROT_READ) == 0
        unmap_unused_code()
        assert mapped[:12] == b"fixed" + TEXT[5:12]
