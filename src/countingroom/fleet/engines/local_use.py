"""What this computer and its programs use, from /proc. A disk that does not answer keeps nothing else waiting."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from countingroom.core.clock import timeout
from countingroom.core.fleet.host_facts import ProcessFacts, host_use, process_facts, tree_use
from countingroom.core.fleet.specs import InstanceId
from countingroom.core.fleet.usage import HostUse, InstanceUse
from countingroom.fleet.engines.port import EngineInstance

DISK_S = 3.0
_FILES = ("/proc/stat", "/proc/meminfo", "/proc/uptime", "/proc/sys/kernel/random/boot_id")


class DiskProbe:
    """Asks a file system for its space in a process of its own: on a server that is gone it would hang for ever, and
    could not even be killed. While one hangs no second one is begun."""

    def __init__(self, folder: Path, command: Sequence[str] = ("stat", "-f", "-c", "disk %S %b %f %a")) -> None:
        self._command = (*command, str(folder))
        self.hanging: asyncio.subprocess.Process | None = None

    async def ask(self) -> str | None:
        """The line `disk SIZE BLOCKS FREE USABLE`; None where the file system does not answer."""
        if self.hanging is not None and self.hanging.returncode is None:
            return None
        self.hanging = None
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=None
            )
        except OSError:
            return None
        try:
            async with timeout(DISK_S):
                output, _ = await process.communicate()
        except TimeoutError:
            self.hanging = process
            with suppress(ProcessLookupError):
                process.kill()
            return None
        return output.decode(errors="replace") if process.returncode == 0 else None


class LocalUse:
    """This computer, for the nodes that are on it."""

    def __init__(self, folder: Path) -> None:
        """`folder`: on the disk that is told."""
        self._disk = DiskProbe(folder)

    async def host(self) -> HostUse:
        """The computer."""
        text = await asyncio.to_thread(_read_all)
        return host_use(f"{text}\n{await self._disk.ask() or ''}")

    async def programs(self, there: Sequence[EngineInstance], folder: Path) -> Mapping[InstanceId, InstanceUse]:
        """Programs with all that they have begun. `folder`: with a folder for each instance."""
        return await asyncio.to_thread(_programs, there, folder)


def _read_all() -> str:
    found: list[str] = []
    for file in _FILES:
        with suppress(OSError):
            found.append(Path(file).read_text())
    return "\n".join(found)


def _programs(there: Sequence[EngineInstance], folder: Path) -> dict[InstanceId, InstanceUse]:
    processes = _processes() if any(one.is_running for one in there) else {}
    children: dict[int, list[int]] = {}
    for pid, one in processes.items():
        children.setdefault(one.parent, []).append(pid)
    found: dict[InstanceId, InstanceUse] = {}
    for one in there:
        pid = int(one.engine_id) if one.engine_id.isdigit() else 0
        used = tree_use(pid, processes, children) if pid in processes else None
        found[one.id] = InstanceUse(
            cpu_s=used.cpu_s if used else None,
            memory_bytes=used.memory_bytes if used else None,
            disk_bytes=_size(folder / str(one.id)),
            ends=one.crashes,
        )
    return found


def _processes() -> dict[int, ProcessFacts]:
    page = os.sysconf("SC_PAGE_SIZE")
    found: dict[int, ProcessFacts] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if one := process_facts((folder / "stat").read_text(errors="replace"), page):
                    found[int(folder.name)] = one
    return found


def _size(folder: Path) -> int | None:
    try:
        return sum(one.stat(follow_symlinks=False).st_size for one in os.scandir(folder))
    except OSError:
        return None
