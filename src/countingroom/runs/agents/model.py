"""The values of an agent: its model, its events and its effects.

A detector has one context, named "". A global system has one context for each partition, named after it. Contexts share
no state.
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
    """What a context is doing."""

    ticket: int
    """Of this piece of work: the end of an earlier one is not taken for its end."""
    order: Order
    step: str = ""
    """The step of configuring."""


class Context(Struct, frozen=True, kw_only=True):
    """One state of a system."""

    state: SystemState
    """As it is published."""
    task: WorkTask | None = None
    tickets: int = 0
    """Given out so far."""
    answered: tuple[Answer, ...] = ()
    """The last answers, without states: an order that comes again is answered the same."""


class AgentModel(Struct, frozen=True, kw_only=True):
    """All an agent knows."""

    system: str
    kind: SystemKind
    chart: Chart
    boot: str
    version: str = ""
    contexts: Mapping[str, Context] = {}
    fences: Mapping[str, int] = {}
    """Partition -> the highest lease token seen."""
    placement: Placement | None = None
    """None: not known; then orders of any partition are taken."""


# What it hears.


class Ordered(Struct, frozen=True, kw_only=True):
    """A partition tells it to do something."""

    order: Order


class Ended(Struct, frozen=True, kw_only=True):
    """A piece of work is over, well or with a cause."""

    at: str
    ticket: int
    cause: Cause | None = None


class Overdue(Struct, frozen=True, kw_only=True):
    """The deadline of this order has come."""

    at: str
    order: str


class StateMoved(Struct, frozen=True, kw_only=True):
    """The system moved by itself, or a person said so: an event of its chart."""

    at: str
    event: str
    cause: Cause | None = None


class SystemReport(Struct, frozen=True, kw_only=True):
    """The system says something beside its state; None: nothing new of that."""

    at: str
    comment: str | None = None
    counters: Mapping[str, Scalar] | None = None


class Versioned(Struct, frozen=True, kw_only=True):
    """What software the system runs."""

    version: str


class Placed(Struct, frozen=True, kw_only=True):
    """Who is where is known, or otherwise now. `found`: what contexts that are new with it were found doing."""

    placement: Placement | None
    found: Mapping[str, Recovery] = {}


Event = Ordered | Ended | Overdue | StateMoved | SystemReport | Versioned | Placed


# What it does.


class AnswerOrder(Struct, frozen=True, kw_only=True):
    """Answer the order."""

    answer: Answer


class Begin(Struct, frozen=True, kw_only=True):
    """Let the system do this, once what it did before is really over; tell its end."""

    at: str
    task: WorkTask

    @property
    def action(self) -> Action:
        return self.task.order.action


class Kill(Struct, frozen=True, kw_only=True):
    """Cancel what the system is doing here."""

    at: str


class Publish(Struct, frozen=True, kw_only=True):
    """The state is another."""

    at: str


class Forget(Struct, frozen=True, kw_only=True):
    """The partition is no more, and with it this context."""

    at: str


Effect = AnswerOrder | Begin | Kill | Publish | Forget
