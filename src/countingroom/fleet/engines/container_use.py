"""What containers use, by the statistics of their engine."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.core.clock import Clock
from countingroom.core.fleet.usage import InstanceUse

_NS = 1e9


class _Usage(Struct):
    total_usage: int | None = None


class _Cpu(Struct):
    cpu_usage: _Usage | None = None


class _Memory(Struct):
    usage: int | None = None
    stats: dict[str, int] | None = None


class _Stats(Struct):
    cpu_stats: _Cpu | None = None
    memory_stats: _Memory | None = None


async def container_use(docker: Any, container: str, ends: int) -> InstanceUse:
    """One container. Its disk is not asked for: an engine reads the whole layer to tell it."""
    stats = await docker._query_json(f"containers/{container}/stats", params={"stream": "false", "one-shot": "true"})
    return of_stats(stats, ends)


def of_stats(stats: object, ends: int) -> InstanceUse:
    """What the statistics say. Memory is without the pages of files that can be dropped, as `docker stats` shows it."""
    try:
        told = msgspec.convert(stats, _Stats)
    except msgspec.ValidationError:
        return InstanceUse(ends=ends)
    cpu = told.cpu_stats.cpu_usage if told.cpu_stats else None
    memory = told.memory_stats or _Memory()
    parts = memory.stats or {}
    dropped = parts.get("inactive_file", parts.get("total_inactive_file", 0))
    return InstanceUse(
        cpu_s=cpu.total_usage / _NS if cpu and cpu.total_usage else None,
        memory_bytes=max(memory.usage - dropped, 0) if memory.usage else None,
        ends=ends,
    )


async def clock_offset_s(docker: Any, clock: Clock) -> float | None:
    """The clock of an engine minus ours, with an error of half the time that the answer took; None: it tells none."""
    before_ns = clock.now_ns()
    info = await docker.system.info()
    middle_ns = (before_ns + clock.now_ns()) // 2
    try:
        there = datetime.fromisoformat(str(info.get("SystemTime")))
    except ValueError:
        return None
    return there.timestamp() - middle_ns / _NS if there.tzinfo else None
