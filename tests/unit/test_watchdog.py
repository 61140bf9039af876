"""The watchdog counts the time in which a process does not tick, and no time in which this process did not run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from countingroom.app.watchdog import HUNG_S, LATE_S, LOOK_S, PROVEN_HUNG_S, PROVEN_LATE_S, Watchdog
from countingroom.core.process_activity import ProcessActivity, activity_of, is_stopped
from countingroom.testing.clock import FakeClock
from tests.system.running import until


async def looks(watchdog: Watchdog, clock: FakeClock, count: int) -> None:
    for _ in range(count):
        await clock.advance(LOOK_S)
        watchdog.look()


async def test_a_process_that_ticks_is_not_silent() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    for _ in range(60):
        watchdog.tick()
        await looks(watchdog, clock, 2)
        assert watchdog.silent_s <= 2 * LOOK_S
        assert not watchdog.is_late


async def test_a_process_that_ceases_to_tick_is_hung_after_its_time() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    watchdog.tick()
    await looks(watchdog, clock, round(LATE_S / LOOK_S) - 1)
    assert not watchdog.is_late
    await looks(watchdog, clock, 1)
    assert watchdog.is_late
    await looks(watchdog, clock, round((HUNG_S - LATE_S) / LOOK_S) - 1)
    assert not watchdog.is_hung
    await looks(watchdog, clock, 1)
    assert watchdog.is_hung


async def test_a_program_that_never_ticked_is_not_watched() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    for _ in range(100):
        await clock.advance(LOOK_S)
        watchdog.look(ProcessActivity(state="T", thread_s=0.0, process_s=0.0))
    assert (watchdog.silent_s, watchdog.proven_s, watchdog.is_late) == (0.0, 0.0, False)


async def test_time_in_which_the_supervisor_did_not_run_does_not_count() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    watchdog.tick()
    stopped = ProcessActivity(state="T", thread_s=0.0, process_s=0.0)
    watchdog.look(stopped)
    await clock.advance(3600)
    watchdog.look(stopped)
    assert watchdog.silent_s < 2 * LOOK_S
    assert watchdog.proven_s < 2 * LOOK_S


async def seconds_until_killed(state: str, *, thread: float, process: float) -> float:
    """So many seconds a process in this state lives without a tick. `thread`, `process`: its use of a processor."""
    clock = FakeClock()
    watchdog = Watchdog(clock)
    watchdog.tick()
    for second in range(1, 60):
        await clock.advance(LOOK_S)
        watchdog.look(ProcessActivity(state=state, thread_s=thread * second, process_s=process * second))
        if watchdog.is_hung:
            return second
    raise AssertionError("it was never killed")


@pytest.mark.parametrize(
    ("what", "state", "thread", "process", "most_s"),
    [
        ("stopped by a signal", "T", 0.0, 0.0, 9),
        ("its event loop computes without end", "R", 1.0, 1.0, 12),
        ("its event loop waits in a call that blocks", "S", 0.0, 0.0, 17),
    ],
)
async def test_a_process_that_could_have_ticked_is_killed_soon(
    what: str, state: str, thread: float, process: float, most_s: float
) -> None:
    assert PROVEN_HUNG_S <= await seconds_until_killed(state, thread=thread, process=process) <= most_s, what


@pytest.mark.parametrize(
    ("what", "state", "thread", "process"),
    [
        ("it waits for a processor at load 25", "R", 0.08, 0.08),
        ("it waits for the disk", "D", 0.0, 0.0),
        ("another of its threads computes and holds the lock of the interpreter", "S", 0.0, 1.0),
    ],
)
async def test_a_process_that_only_waits_keeps_its_full_time(
    what: str, state: str, thread: float, process: float
) -> None:
    assert await seconds_until_killed(state, thread=thread, process=process) == HUNG_S, what


async def test_a_process_that_was_stopped_for_a_moment_is_reported_and_goes_on() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    watchdog.tick()
    for _ in range(6):
        await clock.advance(LOOK_S)
        watchdog.look(ProcessActivity(state="T", thread_s=0.0, process_s=0.0))
    assert PROVEN_LATE_S <= watchdog.proven_s < PROVEN_HUNG_S
    assert watchdog.is_late
    assert not watchdog.is_hung
    watchdog.tick()
    assert not watchdog.is_late


def test_the_kernel_tells_of_a_process_what_it_does() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"], **PIPES)
    try:
        assert child.stdout
        child.stdout.readline()
        until(lambda: (now := activity_of(child.pid)) and now.state == "S", "it sleeps")
        assert not is_stopped(child.pid)
        os.kill(child.pid, signal.SIGSTOP)
        until(lambda: is_stopped(child.pid), "it is stopped")
        now = activity_of(child.pid)
        assert now
        assert 0 <= now.thread_s <= now.process_s < 60
    finally:
        child.kill()
        child.communicate()
    assert activity_of(child.pid) is None
    assert not is_stopped(child.pid)


PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


def test_nothing_is_known_where_the_kernel_tells_nothing(tmp_path: Path) -> None:
    assert activity_of(1, tmp_path) is None
    place = tmp_path / "1" / "task" / "1"
    place.mkdir(parents=True)
    good = "1 (a) b (c) S" + " 0" * 10 + " 50 7 0 0"
    for text in ("", "1 (x", "1 (x) S 0 0"):
        (tmp_path / "1" / "stat").write_text(text)
        (place / "stat").write_text(good)
        assert activity_of(1, tmp_path) is None
    (tmp_path / "1" / "stat").write_text(good)
    found = activity_of(1, tmp_path)
    assert found
    assert (found.state, found.thread_s) == ("S", 57 / os.sysconf("SC_CLK_TCK"))
