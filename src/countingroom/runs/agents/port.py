"""The interface between an agent and its system: subclass `System` and override the actions that the system needs.

The agent handles sequence, legality, deadlines and the bus. A method that returns has succeeded; one that raises has
failed with this cause. After an abort or a missed deadline it is cancelled: do not catch `CancelledError`, clean up in
`finally`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause, DeviceError
from countingroom.core.systems import ACTIVE, Order
from countingroom.core.values import Scalar


class Recovery(Struct, frozen=True, kw_only=True):
    """The state in which a system was found at the start of its agent."""

    state: str = ACTIVE
    """A stable state of its chart."""
    tag: str = ""
    key: str = ""
    base: str = ""
    """See `SystemState.base`."""
    run: int = 0
    last_run: int = 0
    """The highest run that it has recorded; 0: not known."""
    since_ns: int = 0
    """Wall time at which it entered the state; 0: not known."""


class Handle(Protocol):
    """The access of a system to its agent. A global system has one for each partition."""

    @property
    def system(self) -> str: ...

    @property
    def partition(self) -> str:
        """The partition of the system; empty for an unmapped detector."""
        ...

    @property
    def chart(self) -> Chart: ...

    @property
    def state(self) -> str:
        """Its present own state."""
        ...

    @property
    def common(self) -> str:
        """The common state of its own state."""
        ...

    @property
    def order(self) -> Order | None:
        """The last order that was begun: its tag, key, parameters, run and deadline."""
        ...

    @property
    def remembered(self) -> Recovery | None:
        """The last saved state since the boot of the machine, for `recover`; None: not known."""
        ...

    def error(self, cause: Cause | str) -> None:
        """Report a failure outside an order: the system goes to Error, and work under way is cancelled. NotAllowed
        when the chart has no event `error` in this state."""
        ...

    def resolved(self) -> None:
        """Report the end of the fault. NotAllowed when the chart has no event `resolved` in this state."""
        ...

    def follow(self, event: str) -> None:
        """Report a transition that the system made by itself, as an event of its chart. Work under way is cancelled."""
        ...

    def comment(self, text: str) -> None:
        """Show a comment for operators beside the state."""
        ...

    def count(self, counters: Mapping[str, Scalar]) -> None:
        """Report counters of this run. Keys that are given replace their earlier values; other keys stay."""
        ...

    def version(self, text: str) -> None:
        """Report the version of the software of the system, for the run book."""
        ...


class System:
    """Base class of systems. Each action succeeds at once; override those that the system needs."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle

    async def configure(self, step: str, parameters: Mapping[str, Scalar]) -> None:
        """Do one step of configuring; `step` is a state of the chart such as `Configuring_Step2`."""

    async def reconfigure(self, parameters: Mapping[str, Scalar]) -> None:
        """Change the parameters in place, while the system is Active or Recording. One that raises keeps the earlier
        parameters; where that is not sure, report `self.handle.error` as well. Without this method a system can only be
        configured."""
        raise DeviceError(
            f"{self.handle.system} cannot be reconfigured in place: its agent has no method for it",
            code="cannot_reconfigure",
            source=f"systems.{self.handle.system}",
            suggestion="configure it",
        )

    async def start(self, run: int) -> None:
        """Start recording."""

    async def stop(self) -> None:
        """Stop recording. Report the final counters before the return."""

    async def abort(self) -> None:
        """Give up configuration and run. Work under way has already been cancelled."""

    async def reset(self) -> None:
        """Repair the cause of Error."""

    async def recover(self) -> Recovery | None:
        """The present state of the system, called once at the start of its agent. None: it is unconfigured.

        Only read here, never change anything: an agent can be restarted while the system records. A system that
        continues without its agent returns `self.handle.remembered` after a check that this is still true.
        """
        return None

    async def live(self) -> None:
        """Run in the background as long as the agent runs, for monitoring and counters. May return. An exception is an
        error of the system; the next reset or configure calls it again."""


Factory = Callable[[Handle], System]
"""Makes a system; called once for each partition of a global system."""
