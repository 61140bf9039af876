"""The ECS tables drive agents as they stand: detectors, global systems, and global systems that record."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.charts.chart import Chart
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause
from countingroom.core.messages import decode, encode
from countingroom.core.systems import Action, Answer, Order, SystemKind
from countingroom.runs.agents import model as words
from countingroom.runs.agents.host import AgentHost
from countingroom.runs.agents.step import born, step
from countingroom.runs.description import RunsSection
from tests.input_files import Tables
from tests.patience import PATIENCE_S

ROLES = {"detector": SystemKind.DETECTOR, "clock": SystemKind.GLOBAL, "writer": SystemKind.GLOBAL}


def section(tables: Tables, role: str) -> RunsSection:
    table: str = getattr(tables, role)
    files = {"table": str(tables.path(table)), "map": str(tables.path(tables.map))}
    system = {"kind": ROLES[role], "type": files}
    return RunsSection.model_validate({"systems": {"sys": system}})


def at_rest(chart: Chart, kind: SystemKind, state: str) -> words.AgentModel:
    """An agent whose system is in a state, without anything under way."""
    known, _ = step(born("sys", kind, chart, boot="b"), ordered(Action.RESET, "first"), now_ns=1)
    (at,) = known.contexts
    ways: dict[str, list[str]] = {chart.initial: []}
    for row in [row for _ in chart.states for row in chart.rows]:
        if row.state in ways and row.next not in ways:
            ways[row.next] = [*ways[row.state], row.event]
    for event in ways[state]:
        known, _ = step(known, words.StateMoved(at=at, event=event), now_ns=2)
    return known


def ordered(action: Action, number: str = "o") -> words.Ordered:
    return words.Ordered(order=Order(id=number, action=action, partition="p", fence=1, deadline_ns=10**9, run=1))


@pytest.mark.parametrize("role", ROLES)
def test_every_row_is_a_move_of_an_agent(tables: Tables, role: str) -> None:
    chart = section(tables, role).systems["sys"].chart
    for row in chart.rows:
        known = at_rest(chart, ROLES[role], row.state)
        (at,) = known.contexts
        if row.event in set(Action):
            known, effects = step(known, ordered(Action(row.event)), now_ns=3)
            if row.event != "configure":
                (begin,) = [effect for effect in effects if isinstance(effect, words.Begin)]
                known, _ = step(known, words.Ended(at=at, ticket=begin.task.ticket), now_ns=4)
        elif row.event == "success":
            known, _ = step(known, words.StateMoved(at=at, event="success"), now_ns=3)
        else:
            cause = Cause(code="c", message="m") if row.event == "error" else None
            known, _ = step(known, words.StateMoved(at=at, event=row.event, cause=cause), now_ns=3)
        assert known.contexts[at].state.state == row.next, row
        assert known.contexts[at].state.common == chart.to_common(row.next)


@pytest.mark.parametrize("role", ROLES)
async def test_an_agent_of_each_table_is_configured_and_aborted(tables: Tables, role: str) -> None:
    clock = SystemClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)

    async def connect(name: str) -> MemoryBus:
        return bus.client(name)

    async def order(action: Action, key: str = "") -> Answer:
        given = Order(
            id=f"{action}{key}", action=action, partition="p", fence=1, deadline_ns=clock.now_ns() + 10**10, key=key
        )
        return decode((await bus.request(subjects.agent("sys"), encode(given), timeout_s=5)).data, Answer)

    async def until(host: AgentHost, common: str) -> None:
        pattern = "system.>"
        async with asyncio.timeout(PATIENCE_S), bus.watch(subjects.STATE_BUCKET, pattern) as entries:
            async for entry in entries:
                data = getattr(entry, "data", None)
                if data and b"common" in data and common.encode() in data:
                    return

    host = AgentHost(connect, clock, section(tables, role))
    running = asyncio.create_task(host.run())
    try:
        async with asyncio.timeout(PATIENCE_S), bus.subscribe(subjects.pulse("sys")) as beats:
            await anext(beats)
        assert (await order(Action.CONFIGURE, "k")).accepted
        await until(host, "Active")
        assert (await order(Action.START)).accepted == (role == "writer")
        assert (await order(Action.ABORT)).accepted
        await until(host, "Unconfigured")
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
