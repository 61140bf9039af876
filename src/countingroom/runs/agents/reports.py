"""Changes of a context, and the reports that they produce. Pure.

Each change increases the sequence number of the report, so a later report is always the newer one.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from countingroom.core.charts.chart import Chart
from countingroom.core.systems import ACTIVE, RECORDING, SystemState
from countingroom.core.values import Scalar
from countingroom.runs.agents.model import AgentModel, Context
from countingroom.runs.agents.port import Recovery

MOST_COUNTERS = 200
LONGEST_NAME = 100
LONGEST_TEXT = 1000
"""Limits of what a system may report: a larger state could not be sent, and its agent would be silent."""


def counted(known: Mapping[str, Scalar], more: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The counters with others that replace or follow them. What cannot be sent, or is too much, is left out."""
    counters = dict(known)
    for name, value in more.items():
        fits = len(name) <= LONGEST_NAME and (name in counters or len(counters) < MOST_COUNTERS)
        if fits and not (isinstance(value, int) and not -(1 << 63) <= value < 1 << 63):
            counters[name] = value[:LONGEST_TEXT] if isinstance(value, str) else value
    return counters


def fresh(agent: AgentModel, partition: str, now_ns: int) -> Context:
    return Context(
        state=SystemState(
            system=agent.system,
            partition=partition,
            kind=agent.kind,
            state=agent.chart.initial,
            common=agent.chart.to_common(agent.chart.initial),
            sequence=1,
            boot=agent.boot,
            since_ns=now_ns,
            version=agent.version,
        )
    )


def found(chart: Chart, context: Context, recovery: Recovery | None) -> Context:
    """The context in the recovered state; unchanged when the chart does not have this state."""
    if recovery is None or recovery.state not in chart.states:
        return context
    common = chart.to_common(recovery.state)
    return said(
        context,
        state=recovery.state,
        common=common,
        tag=recovery.tag,
        key=recovery.key,
        base=recovery.base,
        run=recovery.run if common == RECORDING else 0,
        last_run=max(recovery.last_run, context.state.last_run),
        since_ns=recovery.since_ns or context.state.since_ns,
        comment="found so by its agent",
    )


def moved(context: Context, chart: Chart, state: str, now_ns: int, **changes: object) -> Context:
    """The context in another own state. Only Active and Recording keep the configuration, only Recording the run."""
    common = chart.to_common(state)
    if common not in (ACTIVE, RECORDING):
        changes = {**changes, "tag": "", "key": "", "base": ""}
    if common != RECORDING:
        changes = {**changes, "run": 0}
    return said(context, state=state, common=common, since_ns=now_ns, **changes)


def said(context: Context, **changes: object) -> Context:
    state = replace(context.state, sequence=context.state.sequence + 1, **changes)
    if state.run > state.last_run:
        state = replace(state, last_run=state.run)
    return replace(context, state=state)
