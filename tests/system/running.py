"""A whole experiment under test is a child process, asked through its API and ended like a person would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from tests.warm_python import Started, put_new_database, start

T = TypeVar("T")

DEADLINE_S = 60.0
ANSWER_S = 20.0
"""So long an answer may take, in addition to the time that the console itself waits for the end of a command."""
LOOK_S = (0.02, 0.5)
"""Looking costs processor time, here and in what is asked: 6 % of a core at 20 looks a second."""


class Running:
    """An experiment that is up."""

    def __init__(self, process: subprocess.Popen[str] | Started, url: str, data: Path) -> None:
        self.process = process
        self.url = url
        self.data = data
        self.http = httpx.Client(base_url=url, timeout=ANSWER_S)

    def get(self, path: str, **parameters: Any) -> Any:
        """A resource of the API."""
        response = self.http.get(f"/api/v1{path}", params=parameters)
        response.raise_for_status()
        return response.json()

    def post(self, path: str, **body: Any) -> httpx.Response:
        """Something that is asked for, with its answer whatever it is. The `wait_s` of a command may be long."""
        return self.http.post(f"/api/v1/{path}", json=body, timeout=body.get("wait_s", 0.0) + ANSWER_S)

    def command(self, device: str, name: str, **body: Any) -> httpx.Response:
        """A command, with its answer whatever it is."""
        return self.post(f"devices/{device}/commands/{name}", **body)

    def fault(self, device: str, name: str, **arguments: Any) -> None:
        """Make its simulator go wrong."""
        answer = self.http.post(f"/api/v1/simulators/{device}/faults/{name}", json={"arguments": arguments})
        assert answer.status_code == 200, answer.text

    def devices(self) -> dict[str, Any]:
        """Every device by its name."""
        return {one["device"]: one for one in self.get("/devices")["devices"]}

    def has_live_devices(self) -> bool:
        """Whether every device is live. Before the console has heard of them there are none."""
        found = self.devices().values()
        return bool(found) and all(one["alive"] and one["state"] for one in found)

    def state(self, device: str) -> str:
        """The word of its state."""
        state = self.devices()[device]["state"]
        return state["state"] if state else ""

    def reading(self, device: str, point: str) -> Any:
        """Value, quality and times of one point; None before the first."""
        return self.get(f"/devices/{device}/points/{point}")["reading"]

    def role(self, name: str) -> psutil.Process:
        """The process that plays a role. A program that it starts has the same words between fork and exec."""
        found = {one.pid: one for one in self.children() if {name, "serve"} <= set(_cmdline(one))}
        return next(one for one in found.values() if one.ppid() not in found)

    def server(self) -> psutil.Process:
        """The bus."""
        return next(one for one in self.children() if f"{self.data}/bus" in " ".join(one.cmdline()))

    def children(self) -> list[psutil.Process]:
        """All processes below it."""
        return [one for one in psutil.Process(self.process.pid).children(recursive=True) if _cmdline(one)]

    def stop(self) -> int:
        """Ctrl-C; its exit status."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(DEADLINE_S)


def until(
    condition: Callable[[], T | None],
    what: str,
    *,
    deadline_s: float = DEADLINE_S,
    look_s: tuple[float, float] = LOOK_S,
) -> T:
    """Wait until the condition is true; what it answered. A refusal or a lost connection counts as not yet.

    The longer it waits the seldomer it looks, with pauses from the first of `look_s` to the second: it ends at most a
    twentieth later than it could."""
    began = time.monotonic()
    end = began + deadline_s
    last: object = None
    while time.monotonic() < end:
        try:
            if answer := condition():
                return answer
            last = answer
        except (httpx.HTTPError, KeyError, StopIteration, psutil.Error) as error:
            last = error
        least, most = look_s
        time.sleep(min(most, max(least, (time.monotonic() - began) / 20)))
    raise AssertionError(f"{what}: not within {deadline_s:g} s (last: {last!r})")


@contextmanager
def up(
    description: Path,
    data: Path,
    *options: str,
    status: int = 0,
    environment: Mapping[str, str] | None = None,
    by_exec: bool = False,
) -> Generator[Running]:
    """`countingroom up` on a free port, from the line that names the console to its end with that status.
    `environment`: variables beside those of this process. `by_exec`: as a person starts it, which takes 3 s of
    processor time; else as a fork of a process that has imported it, with a copy of a new database."""
    data.mkdir(parents=True, exist_ok=True)
    words = ("up", str(description), "--port", "0", "--data", str(data), *options)
    process: subprocess.Popen[str] | Started
    with (data / "up.log").open("w") as errors:
        if by_exec:
            process = subprocess.Popen(
                (sys.executable, "-m", "countingroom", *words),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **(environment or {})},
            )
        else:
            put_new_database(data)
            process = start(words, stdout=subprocess.PIPE, stderr=errors.fileno(), environment=environment)
    running: Running | None = None
    try:
        running = Running(process, _console(process, data), data)
        yield running
        ended = running.stop()
        assert ended == status, f"it ended with status {ended}"
    finally:
        if running:  # a test that failed has not stopped it, and its open socket would fail a later test
            running.http.close()
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _console(process: subprocess.Popen[str] | Started, data: Path) -> str:
    said: list[str] = []
    for line in process.stdout or ():
        said.append(line)
        if found := re.match(r"Console: (http://\S+)", line):
            return found[1]
    logs = "".join(f"\n--- {log.name}\n{log.read_text()[-2000:]}" for log in (data / "logs").glob("*.log"))
    raise AssertionError(f"it never served:\n{''.join(said)}{(data / 'up.log').read_text()}{logs}")


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
