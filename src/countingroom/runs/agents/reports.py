"""Changes of a context, and the reports that they produce. Pure.

Each change increases the sequence number of the report, so a later report is always the newer one.
"""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.core.charts.chart import Chart
from countingroom.core.systems import ACTIVE, RECORDING, SystemState
from countingroom.runs.agents.model import AgentModel, Context
from countingroom.runs.agents.port import Recovery


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
    return replace(context, state=replace(state, last_run=max(state.run, state.last_run)))
