"""The alarm department as `up` starts it: an alarm that was acknowledged stays so over a kill -9 of its process, and is
not announced again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest

from countingroom.bus import nats
from countingroom.bus.port import Bus
from countingroom.bus.server.credentials import SUPERVISOR, of_running
from countingroom.core import subjects
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.clock import SystemClock
from countingroom.core.commands.alarms import listed
from countingroom.core.errors import LinkError
from countingroom.core.messages import Command, Event, Reply, decode, encode
from tests.system.running import Running, until, up

T = TypeVar("T")

LINK = "device.chiller.link"
DESCRIPTION = """
experiment: { name: alarmed }
devices:
  chiller:
    driver: julabo
    title: Chiller
    port: /dev/ttyUSB0
    points:
      internal_temp: { alarm_high: 35 }
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("alarmed")
    (folder / "experiment.yaml").write_text(DESCRIPTION)
    with up(folder / "experiment.yaml", folder / "data", "--simulate") as one:
        until(lambda: one.state("chiller") == "OFF", "the chiller is connected")
        yield one


def on_bus(data: Path, ask: Callable[[Bus], Awaitable[T]]) -> T:
    """What a client of the bus with all permissions finds."""

    async def connected() -> T:
        url, login = of_running(data, SUPERVISOR)
        bus = await nats.connect(url, name="test", login=login, clock=SystemClock())
        try:
            return await ask(bus)
        finally:
            await bus.close()

    return asyncio.run(connected())


def alarm(running: Running, id: str) -> AlarmState | None:
    """The published state of an alarm; None: it is at rest, or the bus is away."""

    async def ask(bus: Bus) -> AlarmState | None:
        entry = await bus.get("state", subjects.alarm_key(id))
        return decode(entry.data, AlarmState) if entry is not None and entry.data is not None else None

    try:
        return on_bus(running.data, ask)
    except LinkError:
        return None


def acknowledged(running: Running, id: str) -> AlarmState | None:
    """Its state, if it is acknowledged."""
    state = alarm(running, id)
    return state if state is not None and state.base is BaseState.ACKNOWLEDGED else None


def events(running: Running, id: str) -> list[str]:
    """What the stored events tell of an alarm, in their order."""

    async def ask(bus: Bus) -> list[str]:
        async with bus.replay("events", subjects="events.alarms.*", follow=False) as stored:
            found = [decode(message.data, Event) async for message in stored]
        return [event.action for event in found if event.data.get("alarm") == id]

    return on_bus(running.data, ask)


def acknowledge(running: Running, id: str, occurrence: int) -> Reply | None:
    """The answer to an acknowledgement; None while no process answers."""

    async def ask(bus: Bus) -> Reply:
        now_ns = SystemClock().now_ns()
        command = Command(
            id=uuid4().hex,
            action="acknowledge",
            arguments={"alarms": listed({id: occurrence}), "comment": "I look"},
            issued_ns=now_ns,
            deadline_ns=now_ns + 30 * 10**9,
        )
        subject = subjects.command("anna", "alarms", subjects.ALARMS)
        return decode((await bus.request(subject, encode(command), timeout_s=20)).data, Reply)

    try:
        return on_bus(running.data, ask)
    except LinkError:
        return None


def test_an_acknowledged_alarm_stays_so_over_a_kill_and_is_not_announced_again(running: Running) -> None:
    running.fault("chiller", "freeze")
    found = until(lambda: alarm(running, LINK), "the lost link is an alarm")
    assert (found.base, found.title.startswith("Chiller"), found.occurrence) == (BaseState.UNACKNOWLEDGED, True, 1)
    assert "no link" in found.text

    reply = acknowledge(running, LINK, 1)
    assert reply is not None
    assert reply.accepted, reply.cause
    # The answer tells that it is accepted; the state follows.
    known = until(lambda: acknowledged(running, LINK), "it is acknowledged")
    assert (known.acknowledged_by, known.comment) == ("anna", "I look")

    before = running.role("alarms")
    before.kill()
    until(lambda: running.role("alarms").pid != before.pid, "the process is started again")
    # It answers commands only after it has taken over. There is nothing left to be done.
    repeated = until(lambda: acknowledge(running, LINK, 1), "it answers")
    assert repeated.accepted
    assert (known := alarm(running, LINK)) is not None
    assert (known.base, known.acknowledged_by, known.occurrence) == (BaseState.ACKNOWLEDGED, "anna", 1)

    # A bus that is started again has forgotten all states.
    server = running.server()
    server.kill()
    until(lambda: running.server().pid != server.pid, "the bus is started again")
    known = until(lambda: alarm(running, LINK), "the alarm is published again")
    assert (known.base, known.acknowledged_by, known.occurrence) == (BaseState.ACKNOWLEDGED, "anna", 1)

    running.fault("chiller", "restore")
    until(lambda: alarm(running, LINK) is None, "the alarm is at rest")
    until(lambda: "returned" in events(running, LINK), "its return is an event")
    assert events(running, LINK) == ["announced", "acknowledged", "returned"]
