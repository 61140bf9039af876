"""An agent as a user runs it: a process of its own, outside `up`, started again by a supervisor of the site.

As a program: `python -m tests.drill.own_agent SYSTEM DATA TABLE MAP`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from countingroom.core.clock import SystemClock
from countingroom.runs.agents import standalone
from countingroom.runs.agents.kinds.simulated import Simulated
from countingroom.runs.sections.agent import SimulatedAgent

SYSTEM = "TRD"
_LOOK_S = 0.5


class OwnAgent:
    """The agent's process, started again where it ends."""

    def __init__(self, data: Path, tables: Path) -> None:
        words = (SYSTEM, str(data), str(tables / "three_steps.csv"), str(tables / "map.csv"))
        self._words = (sys.executable, "-m", "tests.drill.own_agent", *words)
        self._log = data / "own_agent.log"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="supervisor of the agent")
        self.process = self._start()

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Run it, and end it with the block."""
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()
            self.process.kill()
            self.process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._words, stdout=log, stderr=log, cwd=Path(__file__).parents[2])

    def _supervise(self) -> None:
        while not self._ended.wait(_LOOK_S):
            if self.process.poll() is not None:
                self.process = self._start()


def main(system: str, data: str, table: str, state_map: str) -> None:
    """Serve the system until SIGTERM."""
    section = SimulatedAgent(configure=0.4, start=0.1, stop=0.1)
    standalone.run(
        lambda handle: Simulated(handle, section, SystemClock()), system, data=data, table=table, map=state_map
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
