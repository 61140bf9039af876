"""The rules for orders to an agent: each order is begun, joined to the same work, already fulfilled, or refused.

Every refusal has a cause with a code and a suggestion.
"""

from __future__ import annotations

from enum import Enum, auto

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause, NotAllowed
from countingroom.core.subjects import EXPERIMENT, is_token
from countingroom.core.systems import ACTIVE, RECORDING, Action, Order, SystemKind, SystemState
from countingroom.runs.agents.model import AgentModel, Context

SAFE = (Action.STOP, Action.ABORT)
"""Orders towards a safe state, which are never too late."""


class OrderVerdict(Enum):
    """The treatment of an accepted order."""

    BEGIN = auto()
    JOIN = auto()
    """The same work is under way already."""
    NOTHING = auto()
    """The goal of the order is reached already. The state is still published with the id of the order, so that the
    sender sees its end."""


def refusal(agent: AgentModel, order: Order) -> Cause | None:
    """Why the sender may not give this order to this agent; None when it may.

    An unmapped detector accepts orders only from the experiment as a whole, and only abort and reset.
    """
    source, where = f"systems.{agent.system}", agent.placement
    if not is_token(order.partition) or (
        agent.kind is SystemKind.GLOBAL
        and (order.partition == EXPERIMENT or (where is not None and order.partition not in where.partitions))
    ):
        known = ", ".join(where.partitions) if where else ""
        return Cause(
            code="unknown_partition",
            message=f"{agent.system} knows no partition {order.partition!r}",
            source=source,
            evidence={"partition": order.partition, "known": known},
            suggestion="create the partition first" if is_token(order.partition) else "name the partition",
        )
    if agent.kind is SystemKind.DETECTOR and where is not None:
        place = where.detectors.get(agent.system, "")
        if place != ("" if order.partition == EXPERIMENT else order.partition):
            return Cause(
                code="not_mine",
                message=f"{agent.system} is {f'in {place}' if place else 'in no partition'}, not in {order.partition}",
                source=source,
                evidence={"partition": order.partition, "place": place},
                suggestion=f"move {agent.system} to {order.partition} first",
            )
    if order.partition == EXPERIMENT and order.action not in (Action.ABORT, Action.RESET):
        return Cause(
            code="no_partition",
            message=f"{agent.system} is in no partition: it can only be aborted or reset",
            source=source,
            suggestion=f"move {agent.system} to a partition first",
        )
    # The fencing token grows with each owner of the partition. A lower one is of a process that has lost the lease, and
    # its order must not act beside those of the present owner. A user's stop or abort is never refused for that.
    by_user = bool(order.requested_by) and order.action in SAFE
    if not by_user and order.fence < (highest := agent.fences.get(order.partition, 0)):
        return Cause(
            code="outdated",
            message=f"another process owns {order.partition} now; the order of the earlier owner is refused",
            source=source,
            evidence={"fence": order.fence, "highest": highest},
            suggestion="ask the present owner of the partition",
        )
    return None


def judge(chart: Chart, context: Context, order: Order, now_ns: int) -> OrderVerdict | Cause:
    """The treatment of an order in this context, or the cause of its refusal."""
    if order.deadline_ns <= now_ns and order.action not in SAFE:
        return Cause(
            code="too_late",
            message=f"{order.action.value} came {(now_ns - order.deadline_ns) / 1e9:.1f} s after its deadline",
            source=_source(context.state),
            evidence={"deadline_ns": order.deadline_ns, "now_ns": now_ns},
            suggestion="order it again; if this repeats, compare the clocks of the two computers",
        )
    if context.task and (done := _meanwhile(context, order)):
        return done
    return _at_rest(chart, context.state, order)


def _meanwhile(context: Context, order: Order) -> OrderVerdict | Cause | None:
    """Judge an order while work is under way. None: judge it as at rest."""
    under_way = context.task.order if context.task else order
    if order.action is under_way.action and (order.key, order.run) == (under_way.key, under_way.run):
        return OrderVerdict.JOIN
    if order.action is Action.ABORT:
        return None
    if order.action is Action.STOP and under_way.action is Action.RECONFIGURE:
        return None  # a stop waits for no change of parameters
    if order.action is Action.RESET and under_way.action is not Action.ABORT:
        return None
    return Cause(
        code="busy",
        message=f"{context.state.system} is busy with {under_way.action.value}",
        source=_source(context.state),
        since_ns=context.state.since_ns,
        evidence={"state": context.state.state, "under_way": under_way.action.value},
        suggestion="wait until it is over, or abort it",
    )


def _at_rest(chart: Chart, state: SystemState, order: Order) -> OrderVerdict | Cause:
    match order.action:
        case Action.CONFIGURE if state.common == ACTIVE and state.key and state.key == order.key:
            return OrderVerdict.NOTHING
        case Action.RECONFIGURE:
            return _in_place(state, order)
        case Action.START if state.common == RECORDING and state.run == order.run:
            return OrderVerdict.NOTHING
        case Action.STOP if state.common == ACTIVE:
            return OrderVerdict.NOTHING
        case Action.ABORT if state.state == chart.initial:
            return OrderVerdict.NOTHING
        case Action.RESET if "reset" not in chart.allowed(state.state):
            return OrderVerdict.NOTHING
        case _:
            try:
                chart.step(state.state, order.action.value)
            except NotAllowed as error:
                return _impossible(state, error.cause)
            return OrderVerdict.BEGIN


def _in_place(state: SystemState, order: Order) -> OrderVerdict | Cause:
    """The chart has no row for it, because the state stays."""
    if state.common not in (ACTIVE, RECORDING):
        return Cause(
            code="not_allowed",
            message=f"{state.system} is {state.state}: only an Active or recording system is reconfigured in place",
            source=_source(state),
            since_ns=state.since_ns,
            suggestion="configure it",
        )
    if state.key and state.key == order.key:
        return OrderVerdict.NOTHING
    if not order.base or state.base != order.base:
        return Cause(
            code="not_in_place",
            message=f"{state.system} cannot be reconfigured in place: what it depends on has changed",
            source=_source(state),
            since_ns=state.since_ns,
            suggestion="configure it",
        )
    return OrderVerdict.BEGIN


def _impossible(state: SystemState, cause: Cause) -> Cause:
    return Cause(
        code=cause.code,
        message=f"{state.system}: {cause.message}",
        source=_source(state),
        since_ns=state.since_ns,
        evidence=cause.evidence,
        suggestion=f"reset {state.system} first" if "reset" in str(cause.evidence["allowed"]) else "wait for its state",
    )


def _source(state: SystemState) -> str:
    return f"systems.{state.system}"
