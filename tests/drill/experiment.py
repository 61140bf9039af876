"""The experiment under the drill: brings it into a state, watches it during a fault, and looks for what was lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import httpx

from tests.drill.drill import ALL_STATES, Playground
from tests.drill.report import RIGHT_S
from tests.system.running import until

PARTITION = "mCBM"
POINT = "coldbox.ESP01.temperature"
"""A board sends it each second."""
STATES = ALL_STATES
GOOD = 0
RECORDING_S = 90.0
"""Time for a run to begin: a device that lost its simulator is back after 30 s."""
WRITTEN_S = 10.0
"""Time for the end of a run, and for commands in the audit, to be in the database."""
_LOOK_S = 0.2


class Drilled:
    """A running experiment, and what was asked of it."""

    def __init__(self, there: Playground) -> None:
        self.there = there
        self.running = there.running
        self.refusal = ""
        """Of the last command that was not accepted."""
        self._before = 0
        """Number of the last entry of the audit before the drill."""
        self._accepted = 0
        """Commands that were accepted since the last look into the audit."""

    def partition(self) -> Any:
        """The state of the partition, as the API gives it."""
        return self.running.get(f"/partitions/{PARTITION}")["partition"]

    def send(self, command: str, *, wait_s: float = 0.0, timeout_s: float = 5.0, **arguments: Any) -> bool:
        """Send a command; whether it was accepted, and done where `wait_s` is given."""
        url = f"/api/v1/partitions/{PARTITION}/commands/{command}"
        return self._post(url, {"arguments": arguments, "wait_s": wait_s}, timeout_s)

    def _post(self, url: str, body: Mapping[str, Any], timeout_s: float) -> bool:
        try:
            answer = self.running.http.post(url, json=body, timeout=timeout_s)
        except httpx.HTTPError as error:
            self.refusal = repr(error)
            return False
        if not answer.is_success:
            self.refusal = answer.text[:1000]
            return False
        self._accepted += 1
        return True

    def bring_to(self, state: str) -> None:
        """Bring the partition to a state; a moving one is left while it moves. AssertionError with the last refusal."""
        try:
            self._bring_to(state)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.partition()['state']}; last refusal: {self.refusal}") from error

    def _bring_to(self, state: str) -> None:
        if state in ("Idle", "configuring"):
            until(lambda: self.send("abort", wait_s=5.0, timeout_s=10.0), "an abort is done")
            until(lambda: self.partition()["state"] == "Idle", "the partition is idle")
            if state == "configuring":
                until(lambda: self.send("configure_all"), "a configure is accepted")
            return
        until(self._records, "a run is on", deadline_s=RECORDING_S)
        if state == "stopping":
            until(lambda: self.send("stop"), "a stop is accepted")

    def _records(self) -> bool:
        """Whether a run is on; where no goal is under way, it is asked for. It fails while a system is not back yet."""
        partition = self.partition()
        if partition["goal"] is None and partition["state"] != "Recording":
            self._reset_interlocks()
            self.send("goal", wait_s=15.0, timeout_s=20.0, state="Recording", tag="beam")
        return bool(partition["goal"] is None and partition["state"] == "Recording")

    def _reset_interlocks(self) -> None:
        """As the shifter does after a fault that made a device disappear for a minute: no run starts before."""
        for one in self.running.get("/interlocks")["interlocks"]:
            if one["is_tripped"]:
                self._post(f"/api/v1/interlocks/{one['name']}/commands/reset", {"wait_s": 5.0}, 10.0)

    def control_s(self, command: str, most_s: float) -> float | None:
        """Seconds until the command was done, sent again after each refusal; None: not within `most_s`."""
        begin = time.monotonic()
        while (left := begin + most_s - time.monotonic()) > 0:
            if self.send(command, wait_s=min(left, 5.0), timeout_s=min(left, 6.0)):
                return time.monotonic() - begin
            time.sleep(_LOOK_S)
        return None

    def is_right(self) -> bool:
        """Whether each role is ready, each device is alive, the point has a good value, and the history answers."""
        if self.running.http.get("/readyz").status_code != 200:
            return False
        device, point = POINT.split(".", 1)
        self.recorded(time.time_ns())
        alive = all(one["alive"] for one in self.running.devices().values())
        return alive and self.running.reading(device, point)["quality"] == GOOD

    def right_again_s(self) -> float | None:
        """Seconds until it is right; None: not within RIGHT_S."""
        begin = time.monotonic()
        try:
            until(self.is_right, "right again", deadline_s=RIGHT_S)
        except AssertionError:
            return None
        return time.monotonic() - begin

    def gap_s(self, begin_ns: int) -> float:
        """Longest time between two recorded readings since `begin_ns`."""
        times = [begin_ns, *self.recorded(begin_ns)]
        return max((after - before for before, after in pairwise(times)), default=0) / 1e9

    def recorded(self, begin_ns: int) -> list[int]:
        """Times of the recorded readings of the point since `begin_ns`. HTTPStatusError when the history does not
        answer."""
        times: list[int] = self.running.get("/history", point=POINT, **{"from": begin_ns, "to": "now"})["time_ns"]
        return times

    def begin(self) -> None:
        """What follows belongs to the next drill."""
        self._before = max((one["sequence"] for one in self._audit()), default=0)
        self._accepted = 0

    def lost(self) -> tuple[str, ...]:
        """What is missing since `begin`: runs that are over and have no end, accepted commands that the audit does
        not hold. By numbers, not by times: a drill may set the clocks."""
        found: list[str] = []
        try:
            until(lambda: not self._endless(), "every run that is over has its end", deadline_s=WRITTEN_S)
        except AssertionError:
            found += [f"run {number} has no end" for number in self._endless()]

        def written() -> bool:
            return len([one for one in self._audit() if one["sequence"] > self._before]) >= self._accepted

        try:
            until(written, "the audit holds every command", deadline_s=WRITTEN_S)
        except AssertionError:
            there = len([one for one in self._audit() if one["sequence"] > self._before])
            found.append(f"{self._accepted - there} of {self._accepted} accepted commands are not in the audit")
        return tuple(found)

    def _endless(self) -> list[int]:
        """Runs that are over and have no end."""
        current = self.partition()["run"]
        runs = self.running.get("/runs", open="true")["runs"]
        return [run["number"] for run in runs if run["number"] != current]

    def _audit(self) -> list[Any]:
        entries: list[Any] = self.running.get("/audit", limit=1000, outcome="accepted")["entries"]
        return entries


@contextmanager
def watched_readiness(url: str) -> Generator[list[str]]:
    """Asks /readyz all the time in a thread; the list gets the text of each answer that is not "ready", once."""
    said: list[str] = []
    ended = threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=url, timeout=2.0) as http:
            while not ended.wait(_LOOK_S):
                text = _readiness(http)
                if text and text not in said:
                    said.append(text)

    thread = threading.Thread(target=watch, name="readiness")
    thread.start()
    try:
        yield said
    finally:
        ended.set()
        thread.join()


def _readiness(http: httpx.Client) -> str:
    try:
        answer = http.get("/readyz")
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    return "" if answer.status_code == 200 else str(answer.json()["cause"]["message"])
