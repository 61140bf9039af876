"""The data model of an agent: its state, the events that it processes and the effects that it requests.

All of them are immutable values. A detector has one context, named "". A global system has one context for each
partition, with the name of the partition; contexts are independent of each other.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause
from countingroom.core.systems import Action, Answer, Order, Placement, SystemKind, SystemState
from countingroom.core.values import Scalar
from countingroom.runs.agents.port import Recovery


class WorkTask(Struct, frozen=True, kw_only=True):
    """Work under way in a context."""

    ticket: int
    """Number of this work in its context. A late report of the end of earlier work has a lower one and is ignored."""
    order: Order
    step: str = ""
    """The step of configuring; empty for other actions."""


class Context(Struct, frozen=True, kw_only=True):
    """The state of a system in one context."""

    state: SystemState
    """The state as it is published."""
    task: WorkTask | None = None
    tickets: int = 0
    """Last used ticket."""
    answered: tuple[Answer, ...] = ()
    """The last answers, without states. A repeated order gets the same answer."""


class AgentModel(Struct, frozen=True, kw_only=True):
    """The complete state of an agent."""

    system: str
    kind: SystemKind
    chart: Chart
    boot: str
    version: str = ""
    contexts: Mapping[str, Context] = {}
    fences: Mapping[str, int] = {}
    """Partition -> the highest fencing token seen."""
    placement: Placement | None = None
    """None: not known; then orders of any partition are accepted."""


# Events.


class Ordered(Struct, frozen=True, kw_only=True):
    """A partition sent an order."""

    order: Order


class Ended(Struct, frozen=True, kw_only=True):
    """Work has ended; `cause` is None after a success."""

    at: str
    ticket: int
    cause: Cause | None = None


class Overdue(Struct, frozen=True, kw_only=True):
    """The deadline of this order has passed."""

    at: str
    order: str


class StateMoved(Struct, frozen=True, kw_only=True):
    """An event of the chart without an order: the system moved by itself, or a user reported it."""

    at: str
    event: str
    cause: Cause | None = None


class SystemReport(Struct, frozen=True, kw_only=True):
    """The system reports a comment or counters. A field that is None stays as it is."""

    at: str
    comment: str | None = None
    counters: Mapping[str, Scalar] | None = None


class Versioned(Struct, frozen=True, kw_only=True):
    """The system reports the version of its software."""

    version: str


class Placed(Struct, frozen=True, kw_only=True):
    """The placement is known or has changed. `found`: recovered states of the new contexts."""

    placement: Placement | None
    found: Mapping[str, Recovery] = {}


Event = Ordered | Ended | Overdue | StateMoved | SystemReport | Versioned | Placed


# Effects.


class AnswerOrder(Struct, frozen=True, kw_only=True):
    """Send the answer to an order."""

    answer: Answer


class Begin(Struct, frozen=True, kw_only=True):
    """Begin this work after the earlier work has ended, then report its end as `Ended`."""

    at: str
    task: WorkTask

    @property
    def action(self) -> Action:
        return self.task.order.action


class Kill(Struct, frozen=True, kw_only=True):
    """Cancel the work under way in this context."""

    at: str


class Publish(Struct, frozen=True, kw_only=True):
    """Publish the changed state of this context."""

    at: str


class Forget(Struct, frozen=True, kw_only=True):
    """Remove this context: its partition was deleted."""

    at: str


Effect = AnswerOrder | Begin | Kill | Publish | Forget
