"""The port of a system: a few methods that its author writes. Order, legality, deadlines and bus are elsewhere.

A method that returns has succeeded, one that raises has failed with that cause, and one that is aborted or late is
cancelled: let `CancelledError` through and clean up in `finally`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause
from countingroom.core.systems import ACTIVE, Order
from countingroom.core.values import Scalar


class Recovery(Struct, frozen=True, kw_only=True):
    """In what state a system was found when its agent began."""

    state: str = ACTIVE
    """A state of its chart to rest in."""
    tag: str = ""
    key: str = ""
    run: int = 0
    since_ns: int = 0
    """Since when; 0: not known."""


class Handle(Protocol):
    """What a system may know and say. One for each partition where the system is global."""

    @property
    def system(self) -> str: ...

    @property
    def partition(self) -> str:
        """The partition it works for; empty for a detector in none."""
        ...

    @property
    def chart(self) -> Chart: ...

    @property
    def state(self) -> str:
        """Its own state now."""
        ...

    @property
    def common(self) -> str:
        """The common state it maps to."""
        ...

    @property
    def order(self) -> Order | None:
        """The last order that was begun: its tag, key, parameters, run and deadline."""
        ...

    @property
    def remembered(self) -> Recovery | None:
        """Where it rested last, on this boot of the machine, as far as its agent knows; for `recover`."""
        ...

    def error(self, cause: Cause | str) -> None:
        """It failed by itself: it goes to Error, and what it was doing is cancelled. NotAllowed where its chart does
        not know `error` in this state."""
        ...

    def resolved(self) -> None:
        """What was wrong is no longer. NotAllowed where its chart does not know it in this state."""
        ...

    def follow(self, event: str) -> None:
        """It moved by itself: this event of its chart. What it was doing is cancelled where the event ends it."""
        ...

    def comment(self, text: str) -> None:
        """For people, beside its state."""
        ...

    def count(self, counters: Mapping[str, Scalar]) -> None:
        """What it counted in this run so far; given again it is added to or replaced key by key."""
        ...

    def version(self, text: str) -> None:
        """Of the software that it runs, for the run book."""
        ...


class System:
    """Does nothing, successfully. Write your own by overriding what it has to do."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle

    async def configure(self, step: str, parameters: Mapping[str, Scalar]) -> None:
        """One step of configuring: `step` is the chart's state, `Configuring_Step2`."""

    async def start(self, run: int) -> None:
        """Begin to record."""

    async def stop(self) -> None:
        """Stop recording; what was counted is told before it returns."""

    async def abort(self) -> None:
        """Leave everything: what was going on has been cancelled before."""

    async def reset(self) -> None:
        """Make good what led to Error."""

    async def recover(self) -> Recovery | None:
        """Asked once at the start of its agent: what is it doing already? None: it is unconfigured. It must look and
        not touch: an agent may be started again while the system takes data. A system that goes on without its agent
        answers with `self.handle.remembered`, once it has seen that this is still so."""
        return None

    async def live(self) -> None:
        """Beside all that, as long as the agent runs: watch, count, tell. May return."""


Factory = Callable[[Handle], System]
"""Makes a system; for a global one it is called for each partition."""
