"""A simulator's process ends on SIGTERM, at the end of its input, and when its parent is killed with -9."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from tests.patience import PATIENCE_S

RUN = (sys.executable, "-m", "countingroom.simulators.run")
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "countingroom.simulators.run", "julabo"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdin.write(b"{}\\n"); child.stdin.flush()
print(child.pid, child.stdout.readline().decode(), flush=True)
sys.stdin.read()
"""


async def _start(*command: str, parameters: bytes = b"{}\n") -> tuple[asyncio.subprocess.Process, Any]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(parameters)
    async with asyncio.timeout(PATIENCE_S):
        return process, msgspec.json.decode(await process.stdout.readline())


def _terminate(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGTERM)


def _close_input(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.parametrize("end", [_terminate, _close_input])
async def test_it_ends_cleanly_and_leaves_nothing(end: Callable[[asyncio.subprocess.Process], None]) -> None:
    process, first = await _start(*RUN, "julabo")
    line = Path(first["ready"]["port"])
    assert line.is_symlink()
    process.send_signal(signal.SIGINT)  # Ctrl-C reaches the whole group; the parent decides
    end(process)
    async with asyncio.timeout(PATIENCE_S):
        assert await process.wait() == 0
    assert not line.parent.exists()


async def test_it_does_not_outlive_a_killed_parent() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        pid, _, ready = (await parent.stdout.readline()).decode().partition(" ")
        assert "ready" in ready
        child = psutil.Process(int(pid))
        parent.kill()
        await parent.wait()
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


async def test_what_it_cannot_be_is_refused_with_a_cause() -> None:
    process, first = await _start(*RUN, "modbus")
    assert "register table" in first["refused"]["message"] and first["refused"]["suggestion"]
    async with asyncio.timeout(PATIENCE_S):
        assert await process.wait() == 1
