"""The reducer of an agent: computes the next model and the effects of an event. `step` is pure.

A context follows its chart, has one work at a time, and every order gets an answer. A state is entered when the system
has completed the work that leads to it, not when the work is ordered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from msgspec.structs import replace

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause, NotAllowed
from countingroom.core.subjects import EXPERIMENT
from countingroom.core.systems import (
    ACTIVE,
    CONFIGURING,
    Action,
    Answer,
    Order,
    Placement,
    SystemKind,
)
from countingroom.runs.agents import model
from countingroom.runs.agents.model import AgentModel, Context, Effect, Event, WorkTask
from countingroom.runs.agents.order_rules import OrderVerdict, judge, refusal
from countingroom.runs.agents.reports import LONGEST_TEXT, counted, found, fresh, moved, said

MOVED_S = 30.0
"""Time of the abort of a detector that was moved."""
_REMEMBERED = 32
"""Number of remembered answers per context."""

V = TypeVar("V")


def born(system: str, kind: SystemKind, chart: Chart, *, boot: str, version: str = "") -> AgentModel:
    """A new agent without contexts."""
    return AgentModel(system=system, kind=kind, chart=chart, boot=boot, version=version)


def step(agent: AgentModel, event: Event, *, now_ns: int) -> tuple[AgentModel, tuple[Effect, ...]]:
    """The agent after this event, and the effects. NotAllowed when the chart does not have the reported transition."""
    match event:
        case model.Ordered(order=order):
            return _ordered(agent, order, now_ns)
        case model.Placed():
            return _placed(agent, event, now_ns)
        case model.Versioned(version=version):
            changed = {at: said(one, version=version) for at, one in agent.contexts.items()}
            return replace(agent, version=version, contexts=changed), tuple(model.Publish(at=at) for at in changed)
        case _:
            before = agent.contexts.get(event.at)
            if before is None:
                return agent, ()
            after, effects = _happened(agent.chart, before, event, now_ns)
            return replace(agent, contexts=_with(agent.contexts, event.at, after)), effects


def at_of(agent: AgentModel, partition: str) -> str:
    """The name of the context of a partition."""
    return partition if agent.kind is SystemKind.GLOBAL else ""


def contexts_for(agent: AgentModel, placement: Placement | None) -> tuple[str, ...]:
    """The names of the contexts for this placement. Without a placement the present contexts stay."""
    if agent.kind is SystemKind.DETECTOR:
        return ("",)
    return placement.partitions if placement else tuple(agent.contexts)


# Orders.


def _ordered(agent: AgentModel, order: Order, now_ns: int) -> tuple[AgentModel, tuple[Effect, ...]]:
    at = at_of(agent, order.partition)
    cause = refusal(agent, order)
    if cause:
        context = agent.contexts.get(at) if cause.code == "outdated" else None
        return agent, (_reply(order, cause, context),)
    effects: list[Effect] = []
    if at not in agent.contexts:
        agent = replace(agent, contexts=_with(agent.contexts, at, fresh(agent, order.partition, now_ns)))
        effects.append(model.Publish(at=at))
    context = agent.contexts[at]
    if agent.kind is SystemKind.DETECTOR and order.partition not in (EXPERIMENT, context.state.partition):
        context = said(context, partition=order.partition)
    for answer in context.answered:
        if answer.id == order.id:
            return agent, (model.AnswerOrder(answer=replace(answer, state=context.state)),)
    verdict = judge(agent.chart, context, order, now_ns)
    context, more = _obey(agent.chart, at, context, order, verdict, now_ns)
    answer = Answer(id=order.id, accepted=not isinstance(verdict, Cause), cause=_cause(verdict))
    context = replace(context, answered=(*context.answered, answer)[-_REMEMBERED:])
    agent = replace(
        agent,
        contexts=_with(agent.contexts, at, context),
        fences=_with(agent.fences, order.partition, max(order.fence, agent.fences.get(order.partition, 0))),
    )
    return agent, (*effects, *more, model.AnswerOrder(answer=replace(answer, state=context.state)))


def _obey(
    chart: Chart, at: str, context: Context, order: Order, verdict: OrderVerdict | Cause, now_ns: int
) -> tuple[Context, tuple[Effect, ...]]:
    if isinstance(verdict, Cause):
        return context, ()
    context = said(context, order=order.id)
    if verdict is not OrderVerdict.BEGIN:
        return context, (model.Publish(at=at),)
    context, killed = _interrupted(at, context)
    match order.action:
        case Action.CONFIGURE:
            state = chart.step(context.state.state, "configure")
            context = moved(context, chart, state, now_ns, tag="", key="", run=0, cause=None)
            context, effects = _configuring(chart, at, context, order, now_ns)
        case Action.RECONFIGURE:
            context, effects = _begin(at, context, order, comment=f"changing to {order.tag}", cause=None)
        case Action.START:
            context, effects = _begin(at, context, order, comment=f"starting run {order.run}", counters={})
        case Action.STOP:
            context, effects = _begin(at, context, order, comment="stopping")
        case Action.ABORT:
            context, effects = _begin(at, context, order, comment="aborting")
        case Action.RESET:
            context, effects = _begin(at, context, order, comment="resetting")
    return context, (*killed, *effects)


def _begin(
    at: str, context: Context, order: Order, *, step: str = "", **changes: object
) -> tuple[Context, tuple[Effect, ...]]:
    task = WorkTask(ticket=context.tickets + 1, order=order, step=step)
    context = replace(said(context, **changes), task=task, tickets=task.ticket)
    return context, (model.Begin(at=at, task=task), model.Publish(at=at))


def _configuring(
    chart: Chart, at: str, context: Context, order: Order, now_ns: int
) -> tuple[Context, tuple[Effect, ...]]:
    """Begin the step of configuring of the present state, or end the work after the last step."""
    state = context.state.state
    if chart.to_common(state) == CONFIGURING:
        return _begin(at, context, order, step=state, comment=f"{state} of {order.tag}" if order.tag else state)
    reached = {"tag": order.tag, "key": order.key, "base": order.base} if chart.to_common(state) == ACTIVE else {}
    return replace(said(context, comment="", **reached), task=None), (model.Publish(at=at),)


# Events of one context.


def _happened(chart: Chart, context: Context, event: Event, now_ns: int) -> tuple[Context, tuple[Effect, ...]]:
    match event:
        # A late end of cancelled work has the ticket of that work, and is not the end of the present one.
        case model.Ended(at=at, ticket=ticket, cause=cause) if context.task and context.task.ticket == ticket:
            return _ended(chart, at, context, context.task, cause, now_ns)
        case model.Overdue(at=at, order=order) if context.task and context.task.order.id == order:
            cause, is_change = _too_long(context, context.task, now_ns), _is_change(context.task)
            context, killed = _interrupted(at, context)
            end = _not_changed(at, context, cause) if is_change else _failed(chart, at, context, cause, now_ns)
            return end[0], (*killed, *end[1])
        case model.StateMoved(at=at, event=own, cause=cause):
            state = chart.step(context.state.state, own)
            context, killed = _interrupted(at, context)
            comment = "" if cause is None else cause.message
            context = replace(moved(context, chart, state, now_ns, comment=comment, cause=cause), task=None)
            return context, (*killed, model.Publish(at=at))
        case model.SystemReport(at=at, comment=comment, counters=counters):
            changes: dict[str, object] = {} if comment is None else {"comment": comment[:LONGEST_TEXT]}
            if counters is not None:
                changes["counters"] = counted(context.state.counters, counters)
            return said(context, **changes), (model.Publish(at=at),)
        case _:
            return context, ()


def _ended(
    chart: Chart, at: str, context: Context, task: WorkTask, cause: Cause | None, now_ns: int
) -> tuple[Context, tuple[Effect, ...]]:
    if _is_change(task):
        return _not_changed(at, context, cause) if cause else _changed(at, context, task.order)
    if cause:
        return _failed(chart, at, context, cause, now_ns)
    order, before = task.order, context.state.state
    event = "success" if order.action is Action.CONFIGURE else order.action.value
    try:
        state = chart.step(before, event)
    except NotAllowed as error:
        return _failed(chart, at, context, error.cause, now_ns)
    match order.action:
        case Action.CONFIGURE:
            return _configuring(chart, at, moved(context, chart, state, now_ns), order, now_ns)
        case Action.START:
            context = moved(context, chart, state, now_ns, run=order.run, comment="")
        case Action.ABORT:
            context = moved(context, chart, state, now_ns, comment="transition aborted", cause=None)
        case Action.STOP | Action.RESET | Action.RECONFIGURE:
            context = moved(context, chart, state, now_ns, comment="", cause=None)
    return replace(context, task=None), (model.Publish(at=at),)


def _failed(chart: Chart, at: str, context: Context, cause: Cause, now_ns: int) -> tuple[Context, tuple[Effect, ...]]:
    """Go to Error when the chart allows it; otherwise keep the state and publish the cause."""
    before = context.state.state
    state = chart.step(before, "error") if "error" in chart.allowed(before) else before
    context = moved(context, chart, state, now_ns, comment="transition failed", cause=cause)
    return replace(context, task=None), (model.Publish(at=at),)


def _changed(at: str, context: Context, order: Order) -> tuple[Context, tuple[Effect, ...]]:
    """The parameters were changed in place."""
    context = said(context, tag=order.tag, key=order.key, base=order.base, comment="")
    return replace(context, task=None), (model.Publish(at=at),)


def _not_changed(at: str, context: Context, cause: Cause) -> tuple[Context, tuple[Effect, ...]]:
    """The change in place failed: the earlier parameters hold, and the system stays in its state."""
    context = said(context, comment="the parameters were not changed", cause=cause)
    return replace(context, task=None), (model.Publish(at=at),)


def _interrupted(at: str, context: Context) -> tuple[Context, tuple[Effect, ...]]:
    """End the work under way. After a change in place it is not known which parameters hold, so the system is not right
    for any configuration until one is given to it."""
    if context.task is None:
        return context, ()
    return said(context, key="") if _is_change(context.task) else context, (model.Kill(at=at),)


def _is_change(task: WorkTask) -> bool:
    return task.order.action is Action.RECONFIGURE


def _too_long(context: Context, task: WorkTask, now_ns: int) -> Cause:
    system, action = context.state.system, task.order.action.value
    where = f" in {task.step}" if task.step else ""
    return Cause(
        code="not_in_time",
        message=f"{action} of {system} was not over{where} at its deadline, and was aborted",
        source=f"systems.{system}",
        since_ns=context.state.since_ns,
        evidence={"state": context.state.state, "deadline_ns": task.order.deadline_ns, "now_ns": now_ns},
        suggestion=f"look at {system}, then reset and configure again; give it more time where it needs it",
    )


# Placement.


def _placed(agent: AgentModel, event: model.Placed, now_ns: int) -> tuple[AgentModel, tuple[Effect, ...]]:
    wanted = contexts_for(agent, event.placement)
    contexts: dict[str, Context] = {}
    effects: list[Effect] = []
    for at, before in agent.contexts.items():
        if at in wanted:
            contexts[at] = before
        else:
            effects += [*([model.Kill(at=at)] if before.task else []), model.Forget(at=at)]
    for at in wanted:
        if at not in contexts:
            contexts[at] = found(agent.chart, fresh(agent, at, now_ns), event.found.get(at))
            effects.append(model.Publish(at=at))
    if agent.kind is SystemKind.DETECTOR and event.placement:
        partition = event.placement.detectors.get(agent.system, "")
        if contexts[""].state.partition != partition:
            contexts[""] = said(contexts[""], partition=partition)
            effects.append(model.Publish(at=""))
            if agent.placement is not None and "" in agent.contexts:
                contexts[""], more = _left(agent.chart, contexts[""], partition, now_ns)
                effects += more
    return replace(agent, placement=event.placement, contexts=contexts), tuple(effects)


def _left(chart: Chart, context: Context, partition: str, now_ns: int) -> tuple[Context, tuple[Effect, ...]]:
    """Abort a detector that was moved: its configuration, and its high voltage, belonged to the partition it left.

    Not at the start of an agent: a detector that is found where it was is left alone.
    """
    order = Order(
        id=f"moved-{context.state.sequence}",
        action=Action.ABORT,
        partition=partition or EXPERIMENT,
        fence=0,
        deadline_ns=now_ns + round(MOVED_S * 1e9),
        within_s=MOVED_S,
    )
    verdict = judge(chart, context, order, now_ns)
    return _obey(chart, "", context, order, verdict, now_ns) if verdict is OrderVerdict.BEGIN else (context, ())


# Helper functions.


def _with(known: Mapping[str, V], key: str, value: V) -> dict[str, V]:
    return {**known, key: value}


def _reply(order: Order, cause: Cause, context: Context | None) -> Effect:
    answer = Answer(id=order.id, accepted=False, cause=cause, state=context.state if context else None)
    return model.AnswerOrder(answer=answer)


def _cause(verdict: OrderVerdict | Cause) -> Cause | None:
    return verdict if isinstance(verdict, Cause) else None
