"""After the gaps between objects are filled, new objects have memory pages of their own."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
from countingroom.app.memory_gaps import fill_gaps

size = int(sys.argv[1])
older = [bytes(size) for _ in range(5000)]
gaps = {id(one) for one in older[::2]}
del older[::2]
if len(sys.argv) > 2:
    fill_gaps()
print(json.dumps(sum(id(one) in gaps for one in [bytes(size) for _ in range(1000)])))
"""


def _new_objects_in_gaps(size: int, *fill: str) -> int:
    words = [sys.executable, "-c", PROGRAM, str(size), *fill]
    return int(json.loads(subprocess.run(words, capture_output=True, check=True, timeout=60).stdout))


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="knows the allocator of CPython")
@pytest.mark.parametrize("size", [10, 200, 450])
def test_no_new_object_is_between_older_ones(size: int) -> None:
    assert _new_objects_in_gaps(size) > 800
    assert _new_objects_in_gaps(size, "fill") < 50  # what the program itself has freed in the meantime


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="knows the allocator of glibc")
@pytest.mark.parametrize("size", [700, 3000])
def test_no_new_large_object_is_between_older_ones(size: int) -> None:
    assert _new_objects_in_gaps(size) > 800
    assert _new_objects_in_gaps(size, "fill") < 50


def test_what_else_is_written_to_standard_error_is_not_lost() -> None:
    program = "import sys; from countingroom.app.memory_gaps import fill_gaps\nfill_gaps(); sys.stderr.write('then')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert done.stderr == b"then"


def test_a_process_without_standard_error_starts() -> None:
    program = "from countingroom.app.memory_gaps import fill_gaps; fill_gaps(); print('done')"
    words = ["/bin/sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-c", program]
    assert subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=60).stdout == b"done\n"
