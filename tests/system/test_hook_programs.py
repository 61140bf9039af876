"""The programs of hooks end with the process of run control, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from countingroom.core.process_groups import is_alive
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
OWNER = """
import asyncio, signal, sys
from types import SimpleNamespace
from countingroom.core.clock import SystemClock
from countingroom.runs.agents.kinds.guardian import Guardian
from countingroom.runs.partition.hook_runner import Hooks
from countingroom.runs.planner.events import RunHook
from countingroom.runs.planner.template import Hook

async def main():
    context = SimpleNamespace(bus=None, clock=SystemClock(), guardian=Guardian())
    hooks = Hooks(context, "A", lambda fact: None)
    hook = Hook(name="slow", command=(sys.executable, "-c", sys.argv[1], sys.argv[2]), trigger="before start",
                awaited="before start", deadline_s=600)
    task = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        async with asyncio.TaskGroup() as group:
            hooks.begin(group, RunHook(hook=hook, run=1, goal="Recording", tag="t", deadline_ns=0))
    finally:
        await context.guardian.close()
asyncio.run(main())
"""
PROGRAM = """
import os, subprocess, sys, time
near = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
far = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(os.getpid(), near.pid, far.pid, file=open(sys.argv[1] + ".new", "w"))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""


async def until_gone(family: list[psutil.Process]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while any(is_alive(one) for one in family):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_hook_leaves_no_process_when_its_owner_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    told = tmp_path / "pids.txt"
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", OWNER, PROGRAM, str(told), cwd=ROOT)
    async with asyncio.timeout(PATIENCE_S):
        while not told.exists():
            await asyncio.sleep(0.02)
    family = [psutil.Process(int(pid)) for pid in told.read_text().split()]
    assert [is_alive(one) for one in family] == [True] * 3
    os.kill(owner.pid, number)
    await owner.wait()
    try:
        await until_gone(family)
    finally:
        for one in family:
            if one.is_running():
                one.kill()
