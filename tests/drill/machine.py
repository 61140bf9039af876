"""What the drill needs of the machine: a clock for each process, a disk that can be slowed, a small disk.

Each raises `NotHere`, with the reason, where the machine does not have it.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

SMALL_DISK_MIB = 96
SLOW_DISK_MIB = 2048
WRITES_PER_S = 4
"""Of a process on the slow disk. A commit of SQLite then takes about a second."""
_BLKIO = Path("/sys/fs/cgroup/blkio")
_WORD = struct.Struct("q")


class NotHere(Exception):
    """The machine cannot play this fault; the text says what is missing."""


class Clocks:
    """Wall clocks of the processes that were started with `environment`, each with an offset of its own."""

    def __init__(self, folder: Path) -> None:
        """Compile the shim into the folder, which must stay while the processes run."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise NotHere("no C compiler (cc) is installed")
        shim = folder / "clock_shim.so"
        source = Path(__file__).with_name("clock_shim.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(shim), str(source), "-ldl"], check=True)
        self._file = folder / "clocks"
        most = int(Path("/proc/sys/kernel/pid_max").read_text())
        with self._file.open("wb") as file:
            file.truncate((most + 1) * _WORD.size)  # sparse
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(shim), "DRILL_CLOCKS": str(self._file)}

    def set(self, pid: int, offset_s: int) -> None:
        """Let the wall clock of a process differ by that much; process 0: of all."""
        with self._file.open("r+b") as file:
            file.seek(pid * _WORD.size)
            file.write(_WORD.pack(offset_s))


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of SMALL_DISK_MIB in memory, mounted at `folder/small`. Needs root."""
    if os.geteuid():
        raise NotHere("it needs root: the data are on a small file system in memory")
    place = folder / "small"
    place.mkdir()
    with _mounted(place, "-t", "tmpfs", "-o", f"size={SMALL_DISK_MIB}m", "tmpfs"):
        yield place


@contextmanager
def disk_of_its_own(folder: Path) -> Iterator[Path]:
    """A file system in a file, mounted at `folder/disk`, so that slowing it slows nothing else. Needs root."""
    if os.geteuid() or not (_BLKIO / "blkio.throttle.write_iops_device").exists():
        raise NotHere("it needs root and the blkio controller of cgroups (version 1)")
    image, place = folder / "disk.img", folder / "disk"
    with image.open("wb") as file:
        file.truncate(SLOW_DISK_MIB << 20)
    place.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    with _mounted(place, "-o", "loop", str(image)):
        yield place


@contextmanager
def slowed(place: Path, pids: Iterable[int]) -> Iterator[None]:
    """Let these processes write to the file system at `place` only WRITES_PER_S times a second, also those that they
    start meanwhile. It is the kernel that makes them wait, so programs in any language do."""
    number = place.stat().st_dev
    limit = _BLKIO / "blkio.throttle.write_iops_device"
    if os.geteuid() or not limit.exists() or os.major(number) == 0:
        raise NotHere("it needs root, the blkio controller of cgroups (version 1), and data on a block device")
    group = _BLKIO / f"drill-{os.getpid()}"
    group.mkdir(exist_ok=True)
    (group / limit.name).write_text(f"{os.major(number)}:{os.minor(number)} {WRITES_PER_S}")
    _move(group, pids)
    try:
        yield
    finally:
        (group / limit.name).write_text(f"{os.major(number)}:{os.minor(number)} 0")
        _move(_BLKIO, [int(line) for line in (group / "cgroup.procs").read_text().split()])
        with suppress(OSError):  # one that is forked just now
            group.rmdir()


def _move(group: Path, pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            (group / "cgroup.procs").write_text(str(pid))


@contextmanager
def _mounted(place: Path, *words: str) -> Iterator[None]:
    subprocess.run(["mount", *words, str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
