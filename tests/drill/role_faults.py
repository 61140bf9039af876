"""Faults of one process: what can happen to each role, to the bus, and to an agent that runs by itself."""

from __future__ import annotations

import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import psutil

from countingroom.app.watchdog import PROVEN_HUNG_S
from tests.drill.drill import ALL_STATES, Drill, Fault, Playground
from tests.drill.machine import NotHere, slowed
from tests.drill.own_agent import SYSTEM
from tests.drill.report import CONTROL_S
from tests.drill.request_faults import half_sent
from tests.system.running import until

ROLES = ("devices", "runs", "agents", "alarms", "history", "console", "simulators", "bus")
AGENT = f"agent {SYSTEM}"
"""An agent that runs by itself."""
EVERY = "every process"
PROCESSES = (*ROLES, AGENT)
FROZEN_S = 5.0
HOLD_S = 8.0
"""For so long a limit or a wrong clock lasts."""
HOUR_S = 3600


def process(there: Playground, name: str) -> psutil.Process:
    """The process of a role, of the bus, or of the agent that runs by itself."""

    def look() -> psutil.Process:
        if name == AGENT:
            return psutil.Process(there.agent.process.pid)
        return there.running.server() if name == "bus" else there.running.role(name)

    if name == AGENT and not there.has_agent:
        raise NotHere("no agent runs by itself in this experiment")
    return until(look, f"{name} runs")


def killed(name: str) -> Fault:
    """kill -9; its supervisor starts it again."""

    @contextmanager
    def fault(there: Playground) -> Iterator[None]:
        process(there, name).kill()
        yield

    return fault


def killed_twice(name: str) -> Fault:
    """kill -9 of a role, and again of the one that follows."""

    @contextmanager
    def fault(there: Playground) -> Iterator[None]:
        first = process(there, name)
        first.kill()
        second = until(lambda: (one := process(there, name)).pid != first.pid and one, f"{name} runs again")
        second.kill()
        yield
        until(lambda: process(there, name).pid not in (first.pid, second.pid), f"{name} runs a third time")

    return fault


def frozen(name: str) -> Fault:
    """SIGSTOP for FROZEN_S, as on a machine that swaps."""

    @contextmanager
    def fault(there: Playground) -> Iterator[None]:
        one = process(there, name)
        one.send_signal(signal.SIGSTOP)
        end = threading.Timer(FROZEN_S, one.send_signal, [signal.SIGCONT])
        end.start()
        yield
        end.join()

    return fault


def hung(name: str) -> Fault:
    """SIGSTOP for ever. `up` kills a role and the bus; an agent by itself is killed by the drill, after the same time,
    as a service manager does it."""

    @contextmanager
    def fault(there: Playground) -> Iterator[None]:
        one = process(there, name)
        one.send_signal(signal.SIGSTOP)
        if name == AGENT:
            timer = threading.Timer(PROVEN_HUNG_S, one.kill)
            timer.start()
        yield
        until(lambda: not one.is_running() or one.status() == psutil.STATUS_ZOMBIE, f"{name} is killed")

    return fault


def without_descriptors(name: str) -> Fault:
    """It may open no more files than it has open; the console meanwhile gets 1,100 half-sent requests."""

    @contextmanager
    def fault(there: Playground) -> Iterator[None]:
        one = process(there, name)
        with _limited(one, resource.RLIMIT_NOFILE, one.num_fds() + 4), ExitStack() as stack:
            if name == "console":
                stack.enter_context(half_sent(there))
            with held():
                yield

    return fault


def without_memory(name: str) -> Fault:
    """It may take no more address space than it has (prlimit)."""

    @contextmanager
    def fault(there: Playground) -> Iterator[None]:
        one = process(there, name)
        with _limited(one, resource.RLIMIT_AS, one.memory_info().vms + (1 << 20)), held():
            yield

    return fault


def slow_disk(name: str) -> Fault:
    """A few writes a second for it and its children."""

    @contextmanager
    def fault(there: Playground) -> Iterator[None]:
        with slowed(there.running.data, _tree(there, name)), held():
            yield

    return fault


def wrong_clock(name: str, offset_s: int) -> Fault:
    """Its wall clock steps, and steps back at the end."""

    @contextmanager
    def fault(there: Playground) -> Iterator[None]:
        if there.clocks is None:
            raise NotHere("no C compiler (cc) is installed")
        if name == "bus":
            raise NotHere("nats-server asks the kernel for the time, not the C library")
        pid = 0 if name == EVERY else process(there, name).pid
        there.clocks.set(pid, offset_s)
        try:
            with held():
                yield
        finally:
            there.clocks.set(pid, 0)

    return fault


@contextmanager
def held() -> Iterator[None]:
    """Let the fault last HOLD_S at least."""
    begin = time.monotonic()
    yield
    time.sleep(max(0.0, begin + HOLD_S - time.monotonic()))


@contextmanager
def _limited(one: psutil.Process, what: int, most: int) -> Iterator[None]:
    before = one.rlimit(what)
    if before is None:
        raise NotHere("this system has no prlimit")
    one.rlimit(what, (most, before[1]))
    try:
        yield
    finally:
        if one.is_running():
            one.rlimit(what, before)


def _tree(there: Playground, name: str) -> list[int]:
    if name == EVERY:
        return [there.running.process.pid, *(child.pid for child in there.running.children())]
    one = process(there, name)
    return [one.pid, *(child.pid for child in one.children(recursive=True))]


KINDS: Mapping[str, Callable[[str], Fault]] = {
    "killed": killed,
    "frozen": frozen,
    "hung": hung,
    "slow disk": slow_disk,
    "no descriptors": without_descriptors,
    "no memory": without_memory,
    "clock +1 h": lambda name: wrong_clock(name, HOUR_S),
    "clock -1 h": lambda name: wrong_clock(name, -HOUR_S),
}
_OF_ALL = ("slow disk", "clock +1 h", "clock -1 h")


def _drill(name: str, kind: str) -> Drill:
    return Drill(
        name=f"{name} {kind}",
        fault=KINDS[kind](name),
        states=ALL_STATES,
        control_s=PROVEN_HUNG_S + CONTROL_S if kind == "hung" else CONTROL_S,
        tells=kind == "hung" and name in ROLES,
    )


ROLE_DRILLS = (
    *(_drill(name, kind) for kind in KINDS for name in PROCESSES),
    *(_drill(EVERY, kind) for kind in _OF_ALL),
)
