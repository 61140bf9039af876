"""The demo at rest: time from start to console, memory and CPU of each process.

The raw limit of the memory is as many bare Python interpreters. Memory is what a process has for itself and
its part of what several share (PSS), so that the sum is what the machine spends; of the CPU, 100 % is one core.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.row import Row

DEMO = Path(__file__).parents[1] / "examples" / "demo" / "experiment.yaml"
SETTLE_S, WATCH_S = 15.0, 20.0
MIB = 1 << 20


def run() -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as data:
        words = (sys.executable, "-m", "countingroom", "up", str(DEMO), "--simulate", "--port", "0", "--data", data)
        begin = time.perf_counter()
        up = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            served_s = started_s = 0.0
            for line in up.stdout or ():
                if line.startswith("  console "):
                    served_s = time.perf_counter() - begin
                if line.startswith("Console: "):
                    started_s = time.perf_counter() - begin
                    break
            if not served_s or not started_s:
                raise RuntimeError("the demo did not start")
            time.sleep(SETTLE_S)
            rows = _cost(psutil.Process(up.pid))
        finally:
            up.terminate()
            up.wait(30)
    return [
        Row(name="demo, start until the console serves", value=served_s, unit="s", goal="<= 3 s"),
        Row(name="demo, start until every role is ready", value=started_s, unit="s"),
        *rows,
    ]


def _cost(up: psutil.Process) -> list[Row]:
    living = [one for one in (up, *up.children(recursive=True)) if one.status() != psutil.STATUS_ZOMBIE]
    processes = {_name(one): one for one in living}
    before = {name: sum(one.cpu_times()[:2]) for name, one in processes.items()}
    time.sleep(WATCH_S)
    memory = {name: one.memory_full_info().pss / MIB for name, one in processes.items()}
    load = {name: (sum(one.cpu_times()[:2]) - before[name]) / WATCH_S * 100 for name, one in processes.items()}
    bare = _bare() * sum("nats" not in one.name() for one in living)
    total = sum(memory.values())
    rows = [
        Row(
            name=f"demo at rest, memory of {len(processes)} processes",
            value=total,
            unit="MiB",
            raw_limit=bare,
            ratio=total / bare,
            goal="<= 350 MiB",
        ),
        Row(name="demo at rest, CPU", value=sum(load.values()), unit="%", goal="<= 8 %"),
    ]
    for name in sorted(memory, key=lambda name: -memory[name]):
        rows.append(Row(name=f"  {name}, memory", value=memory[name], unit="MiB"))
        rows.append(Row(name=f"  {name}, CPU", value=load[name], unit="%"))
    return rows


def _name(process: psutil.Process) -> str:
    words = " ".join(process.cmdline()).split()  # the title of a forked process is one word with many empty ones
    if "serve" in words:
        return words[words.index("serve") + 2]
    if "up" in words:
        return "up"
    if "countingroom.simulators.run" in words:
        return f"simulator {words[-1]} {process.pid}"
    if "nats" in process.name():
        return "bus"
    program = words[words.index("-m") + 1] if "-m" in words[:-1] else words[-1]
    return f"{program.rpartition('.')[2]} {process.pid}"  # fork_server, renewer, ioc_server


def _bare() -> float:
    """MiB of an interpreter that does nothing."""
    idle = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        time.sleep(0.5)
        return psutil.Process(idle.pid).memory_full_info().pss / MIB
    finally:
        idle.kill()
        idle.wait()
