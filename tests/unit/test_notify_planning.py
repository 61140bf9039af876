"""Messages about many alarms are planned beside the event loop, which goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from countingroom.alarms.notify import planning
from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.notify.routes import NotifyRoute, NotifySpec, Recipients
from countingroom.core.notify.texts import Wording
from countingroom.core.notify.tracks import PlanState
from tests.patience import PATIENCE_S

S = 1_000_000_000
SPEC = NotifySpec(
    routes={"all": NotifyRoute(name="all", to=("mail",))}, directory=Recipients(channels=frozenset({"mail"}))
)


def flood(count: int) -> tuple[list[AlarmEntry], dict[str, AlarmState]]:
    """Rows of so many alarms that are announced, and their states."""
    rows: list[AlarmEntry] = []
    present: dict[str, AlarmState] = {}
    for number in range(count):
        id = f"point.a.p{number}"
        common: dict[str, Any] = {"base": BaseState.UNACKNOWLEDGED, "occurrence": 1, "priority": 2}
        rows.append(AlarmEntry(time_ns=S, alarm=id, kind=HistoryKind.ANNOUNCED, title=id, **common))
        present[id] = AlarmState(id=id, title=id, text="", since_ns=S, announced_ns=S, changed_ns=S, **common)
    return rows, present


@pytest.mark.parametrize("work", ["plan", "compose", "saved"])
async def test_the_event_loop_goes_on_while_a_flood_is_planned(monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    turned = threading.Event()
    real = getattr(planning, work)
    waited: list[bool] = []

    def waits(*given: Any, **more: Any) -> Any:
        """As the real one, which ends only after the loop has made a turn since it began."""
        turned.clear()
        waited.append(turned.wait(PATIENCE_S))
        return real(*given, **more)

    async def turn() -> None:
        while True:
            turned.set()
            await asyncio.sleep(0)

    monkeypatch.setattr(planning, work, waits)
    rows, present = flood(planning.INLINE)
    turning = asyncio.create_task(turn())
    try:
        planner = planning.MessagePlanning(SPEC, Wording(experiment="bench"), lambda _: None, {})
        found, waiting = await planner.next(PlanState(), rows, present, 2 * S)
    finally:
        turning.cancel()
    assert waited
    assert all(waited)
    assert len(found.messages) == 1
    assert len(waiting.messages[0].alarms) == planning.INLINE
    assert len(waiting.changed) == planning.INLINE


async def test_states_that_change_meanwhile_do_not_disturb_the_planning(monkeypatch: pytest.MonkeyPatch) -> None:
    began, changed = threading.Event(), threading.Event()
    real = planning.plan

    def waits(*given: Any, **more: Any) -> Any:
        began.set()
        changed.wait(PATIENCE_S)
        return real(*given, **more)

    monkeypatch.setattr(planning, "plan", waits)
    rows, present = flood(planning.INLINE)
    planner = planning.MessagePlanning(SPEC, Wording(experiment="bench"), lambda _: None, {})
    task = asyncio.create_task(planner.next(PlanState(), rows, present, 2 * S))
    await asyncio.to_thread(began.wait, PATIENCE_S)
    present.clear()
    changed.set()
    found, _ = await task
    assert len(found.messages[0].tracks) == planning.INLINE
