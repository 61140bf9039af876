"""What a drill is: a fault by its name, the states in which it is played, and what it is played against."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from msgspec import Struct

from tests.drill.machine import Clocks
from tests.drill.own_agent import OwnAgent
from tests.drill.report import CONTROL_S
from tests.system.running import Running

ALL_STATES = ("Idle", "configuring", "Recording", "stopping")


class Playground:
    """A running experiment, and what the drill has beside it."""

    def __init__(self, running: Running, *, clocks: Clocks | None = None, agent: OwnAgent | None = None) -> None:
        self.running = running
        self.clocks = clocks
        """None: the clocks of its processes cannot be moved."""
        self._agent = agent

    @property
    def has_agent(self) -> bool:
        """Whether an agent runs by itself."""
        return self._agent is not None

    @property
    def agent(self) -> OwnAgent:
        """The agent that runs by itself."""
        if self._agent is None:
            raise LookupError("no agent runs by itself")
        return self._agent


Fault = Callable[[Playground], AbstractContextManager[None]]
"""The fault begins with the block and ends with it. NotHere where the machine cannot play it."""


class Drill(Struct, frozen=True, kw_only=True):
    """A fault by its name, and the states in which it is played."""

    name: str
    fault: Fault
    states: tuple[str, ...]
    number: int = 0
    """Of the list of faults that were found; 0: of no such fault."""
    control_s: float = CONTROL_S
    """A stop or an abort that is not done after this time counts as refused."""
    tells: bool = False
    """Whether /readyz must say that something is not right."""
    small_disk: bool = False
    """Whether the data must be on a small disk."""
