"""Ends a program together with all that it has started."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import psutil

from countingroom.core.clock import Clock, within

_LOOK_S = 0.02


async def end_group(pid: int, clock: Clock, grace_s: float) -> None:
    """End a process group and all children of its leader: SIGTERM, and SIGKILL to what runs after `grace_s` seconds."""
    # `killpg` does not reach a child in another process group. So all children are listed before the first signal and
    # killed one by one at the end.
    family = _family(pid)
    try:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGTERM)
        with suppress(TimeoutError):
            async with within(clock, grace_s):
                while any(is_alive(one) for one in family):
                    await clock.sleep(_LOOK_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()


def is_alive(process: psutil.Process) -> bool:
    """Whether the process runs: it exists and is not a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _family(pid: int) -> list[psutil.Process]:
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
