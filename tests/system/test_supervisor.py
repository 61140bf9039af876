"""A child is kept running while its parent lives, and not a moment longer. Real processes, real signals."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec import structs

from countingroom.app.child_process import Launch, fork_server, launch, launch_by
from countingroom.app.supervisor import Child, ChildChange, ChildRefused
from countingroom.app.watchdog import HUNG_S, PROVEN_HUNG_S
from countingroom.core.clock import SystemClock
from countingroom.core.errors import LinkError
from countingroom.core.reload.messages import ReloadOrder, ReloadStep
from tests.hosts import is_running
from tests.patience import PATIENCE_S

ECHO = """
import json, sys
given = json.loads(sys.stdin.readline())
print(json.dumps({"ready": given}), flush=True)
sys.stdin.read()
"""
SCRIPT = (sys.executable, "-m", "tests.system.run_script")
REFUSES = """
import json
print(json.dumps({"refused": {"code": "sad", "message": "not today"}}), flush=True)
"""
ANSWERS = """
import json, sys
given = json.loads(sys.stdin.readline())
print(json.dumps({"ready": given}), flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if order["step"] == "prepare":
        print(json.dumps({"reply": {"id": order["id"], "overrides": {"d": {"port": 1}}}}), flush=True)
    if order["step"] == "commit":
        sys.exit(3)
"""
DEAF = """
import json, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps({"ready": {}}), flush=True)
time.sleep(600)
"""
PARENT = """
import asyncio, sys
from countingroom.app.child_process import Launch, fork_server, launch, launch_by
from countingroom.app.supervisor import Child
from countingroom.core.clock import SystemClock
async def main():
    child = Child("c", (sys.executable, "-c", sys.argv[1]), parameters=dict, clock=SystemClock())
    async with asyncio.TaskGroup() as group:
        group.create_task(child.run())
        await child.ready()
        print(child.pid, flush=True)
asyncio.run(main())
"""


Make = Callable[..., Child]


@pytest.fixture(params=["exec", "fork server"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Makes a child that runs a script, started in both ways."""
    if request.param == "exec":
        yield partial(make_child, launch, (sys.executable, "-c"))
        return
    async with fork_server() as path:
        yield partial(make_child, launch_by(path), SCRIPT)


def make_child(
    start: Launch,
    program: tuple[str, ...],
    script: str,
    changes: list[ChildChange] | None = None,
    log: Path | None = None,
    stop_s: float = 5.0,
) -> Child:
    return Child(
        "echo",
        (*program, script),
        parameters=lambda: {"port": 7},
        clock=SystemClock(),
        launch=start,
        log=log,
        stop_s=stop_s,
        on_change=(changes if changes is not None else []).append,
    )


@asynccontextmanager
async def running(child: Child) -> AsyncGenerator[Child]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(child.run())
        try:
            yield child
        finally:
            task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_child_is_given_its_parameters_and_says_when_it_is_ready(make: Make) -> None:
    async with running(make(ECHO)) as child:
        assert await child.ready() == {"port": 7}


async def test_a_child_that_is_left_is_gone(make: Make) -> None:
    async with running(make(ECHO)) as child:
        await child.ready()
        pid = child.pid
        assert pid and psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


async def test_a_killed_child_is_started_again_with_the_same_parameters(make: Make) -> None:
    changes: list[ChildChange] = []
    async with running(make(ECHO, changes)) as child:
        await child.ready()
        first = child.pid
        assert first
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.pid not in {None, first})
    assert [change.running for change in changes] == [True, False, True]
    assert "SIGKILL" in changes[1].message


async def test_an_order_is_answered_unless_the_child_ends_or_is_silent(make: Make) -> None:
    async with running(make(ANSWERS)) as child:
        await child.ready()
        order = ReloadOrder(id=1, step=ReloadStep.PREPARE)
        assert (await child.ask(order, PATIENCE_S)).overrides == {"d": {"port": 1}}
        with pytest.raises(LinkError):
            await child.ask(structs.replace(order, id=2, step=ReloadStep.CANCEL), 0.05)
        with pytest.raises(LinkError):
            await child.ask(structs.replace(order, id=3, step=ReloadStep.COMMIT), PATIENCE_S)


async def test_a_child_is_started_again_at_once_when_that_is_asked_for(make: Make) -> None:
    changes: list[ChildChange] = []
    async with running(make(ECHO, changes)) as child:
        await child.ready()
        first = child.pid
        await child.restart()
        assert child.pid not in {None, first}
    assert [(change.running, change.planned) for change in changes] == [(True, False), (False, True), (True, False)]


SLOW = """
import json, pathlib, sys, time
given = json.loads(sys.stdin.readline())
place = pathlib.Path(given["place"])
(place / str(given["number"])).touch()
while not (place / "go").exists():
    time.sleep(0.01)
print(json.dumps({"ready": {}}), flush=True)
sys.stdin.read()
"""


async def test_a_restart_during_a_start_gives_the_child_what_holds_then(tmp_path: Path) -> None:
    numbers = ["1"]
    child = Child(
        "slow",
        (sys.executable, "-c", SLOW),
        parameters=lambda: {"place": str(tmp_path), "number": numbers[-1]},
        clock=SystemClock(),
    )
    async with running(child):
        await until((tmp_path / "1").exists)  # it has its parameters, and is not ready
        numbers.append("2")
        restart = asyncio.create_task(child.restart())
        await asyncio.sleep(0)
        (tmp_path / "go").touch()
        await restart
        assert (tmp_path / "2").exists()


async def test_two_who_ask_for_a_restart_are_both_answered(make: Make) -> None:
    async with running(make(ECHO)) as child:
        await child.ready()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(child.restart(), child.restart())


async def test_a_child_that_cannot_begin_says_why(make: Make) -> None:
    async with running(make(REFUSES)) as child:
        with pytest.raises(ChildRefused) as refused:
            await child.ready()
    assert [cause.code for cause in refused.value.cause.causes] == ["sad"]


async def test_a_child_that_crashes_at_once_points_to_its_log(make: Make, tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    async with running(make("raise SystemExit('broken')", log=log)) as child:
        with pytest.raises(ChildRefused, match="ended with status 1") as refused:
            await child.ready()
    assert str(log) in refused.value.cause.suggestion
    assert "broken" in log.read_text()


async def test_a_chatty_child_keeps_its_log_small_and_is_not_held_up(make: Make, tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    script = ECHO.replace("import json, sys", "import json, sys\nsys.stderr.write(('x' * 99 + chr(10)) * 200_000)")
    async with running(make(script, log=log)) as child:
        await child.ready()
    assert log.stat().st_size < 1_000_000
    assert b"lines were dropped here" in log.read_bytes()


async def test_a_child_that_cannot_begin_while_nobody_waits_for_it_is_no_complaint_of_the_loop(make: Make) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    for script in (REFUSES, "raise SystemExit(1)"):
        child = make(script)
        await child.run()
        del child
        gc.collect()
    assert complaints == []


async def test_a_deaf_child_is_killed(make: Make) -> None:
    async with running(make(DEAF, stop_s=0.2)) as child:
        await child.ready()
        pid = child.pid
        assert pid
    assert not psutil.pid_exists(pid)


async def test_a_child_ends_when_its_parent_is_killed() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, ECHO, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    assert parent.stdout
    pid = int(await parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.kill()
    await parent.wait()
    await until(lambda: not is_running(pid))


async def test_a_killed_fork_server_disturbs_no_child_and_is_replaced_by_exec(tmp_path: Path) -> None:
    changes: list[ChildChange] = []
    async with fork_server() as path, running(make_child(launch_by(path), SCRIPT, ECHO, changes)) as child:
        await child.ready()
        first = child.pid
        assert first
        server = psutil.Process(first).parent()
        assert server and "countingroom.app.fork_server" in server.cmdline()
        server.kill()
        await until(lambda: not psutil.pid_exists(server.pid) or server.status() == psutil.STATUS_ZOMBIE)
        assert child.pid == first
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.pid not in {None, first})
        assert psutil.Process(child.pid).ppid() == os.getpid()
    assert [change.running for change in changes] == [True, False, True]


async def test_a_forked_child_has_a_command_line_and_a_process_group_of_its_own() -> None:
    async with fork_server(["json"]) as path, running(make_child(launch_by(path), SCRIPT, ECHO)) as child:
        await child.ready()
        assert child.pid
        assert psutil.Process(child.pid).cmdline()[1:3] == ["-m", "tests.system.run_script"]
        assert os.getpgid(child.pid) == child.pid


class FastClock(SystemClock):
    """Five seconds in each second."""

    def monotonic(self) -> float:
        return 5 * super().monotonic()

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 5)


TICKS = """
import json, sys, time
from countingroom.app.watchdog import TICK
given = json.loads(sys.stdin.readline())
sys.stdout.write(json.dumps({"ready": {}}) + "\\n")
while True:
    sys.stdout.write(TICK.decode())
    sys.stdout.flush()
    time.sleep(0.05)
"""


async def test_a_child_that_no_longer_runs_is_told_of_killed_and_started_again() -> None:
    changes: list[ChildChange] = []
    child = Child(
        "deaf",
        (sys.executable, "-c", TICKS),
        parameters=dict,
        clock=FastClock(),
        on_change=changes.append,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(child.run())
        await child.ready()
        first = child.pid
        assert first
        await asyncio.sleep(1)  # five seconds of its clock
        assert len(changes) == 1
        os.kill(first, signal.SIGSTOP)
        async with asyncio.timeout(PATIENCE_S):
            while len(changes) < 4:
                await asyncio.sleep(0.01)
        running.cancel()
    hangs, ended, again = changes[1:4]
    assert (hangs.hangs, hangs.running, hangs.pid) == (True, True, first)
    assert re.fullmatch(r"deaf has not run for \d+ s; if that goes on it is started again", hangs.message)
    found = re.fullmatch(r"deaf did not run for (\d+) s and was killed", ended.message)
    assert not ended.running
    assert found
    assert PROVEN_HUNG_S <= int(found[1]) < HUNG_S
    assert again.running and again.pid != first
