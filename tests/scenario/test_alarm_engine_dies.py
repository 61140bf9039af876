"""The alarm engine may be killed between any two steps: nothing is forgotten, and nothing is announced twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest

from countingroom.core import subjects
from countingroom.core.alarms.history import AlarmEntry, SavedAlarm
from countingroom.core.commands.alarms import listed
from countingroom.core.errors import LinkError
from countingroom.core.messages import Command, encode
from tests.scenario.alarm_stage import AlarmStage, MemoryAlarms

BATH = "point.chiller.bath"
ALARMS = listed({BATH: None})


class Deadly(MemoryAlarms):
    """Kills the engine in its n-th transaction, before or after it is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.victim: asyncio.Task[None] | None = None
        self.left = -1
        self.is_stored = False

    async def save(
        self,
        writer: int,
        changed: Sequence[SavedAlarm] = (),
        entries: Sequence[AlarmEntry] = (),
        *,
        synced: bool = True,
    ) -> None:
        if self.left == 0 and self.victim is not None:
            if self.is_stored:
                await super().save(writer, changed, entries)
            self.left = -1
            self.victim.cancel()
            await asyncio.Future[None]()  # a killed process gets no answer
        self.left -= 1
        await super().save(writer, changed, entries)


async def raised(stage: AlarmStage) -> None:
    await stage.read(full=True, bath=36.0)


async def acknowledged(stage: AlarmStage) -> None:
    await ordered(stage, "acknowledge", alarms=listed({BATH: 1}))


async def returned(stage: AlarmStage) -> None:
    await stage.read(full=True, bath=20.0)


async def shelved(stage: AlarmStage) -> None:
    await ordered(stage, "shelve", alarms=ALARMS, reason="cable work", seconds=600.0)


async def unshelved(stage: AlarmStage) -> None:
    await ordered(stage, "unshelve", alarms=ALARMS)


async def out_of_service(stage: AlarmStage) -> None:
    given: dict[str, Any] = {"owner": "carla", "reason": "broken", "seconds": 600.0}
    await ordered(stage, "out_of_service", alarms=ALARMS, **given)


async def in_service(stage: AlarmStage) -> None:
    await ordered(stage, "in_service", alarms=ALARMS)


async def ordered(stage: AlarmStage, action: str, **arguments: Any) -> None:
    """Give a command as a person does: without an answer, look at the state, and give it again where it is needed."""
    while True:
        now_ns = stage.clock.now_ns()
        command = Command(
            id=uuid4().hex, action=action, arguments=arguments, issued_ns=now_ns, deadline_ns=now_ns + 10**10
        )
        subject = subjects.command("anna", "alarms", subjects.ALARMS)
        asking = asyncio.create_task(stage.bus.request(subject, encode(command), timeout_s=0.5))
        await stage.clock.advance(0.01)
        while not asking.done():
            await stage.clock.advance(0.1)
        if not isinstance(asking.exception(), LinkError):
            return
        await stage.clock.advance(0.5)
        shown = (await stage.shown()).get(BATH)
        if (action, shown) in (("shelve", "shelved"), ("out_of_service", "out_of_service")):
            return  # it was done; done again, it would be another shelf


Step = Callable[[AlarmStage], Awaitable[None]]
STORIES: dict[str, tuple[tuple[Step, ...], str, list[str]]] = {
    "acknowledged": ((raised, acknowledged), "acknowledged", ["announced", "acknowledged"]),
    "over": ((raised, acknowledged, returned), "", ["announced", "acknowledged", "returned"]),
    "returned first": ((raised, returned, acknowledged), "", ["announced", "returned", "acknowledged"]),
    "shelved": ((shelved, raised), "shelved", ["shelved", "activated"]),
    "back from the shelf": (
        (shelved, raised, unshelved),
        "unacknowledged",
        ["shelved", "activated", "unshelved", "announced_again"],
    ),
    "out of service": (
        (raised, out_of_service, in_service),
        "unacknowledged",
        ["announced", "out_of_service", "in_service", "announced_again"],
    ),
}


@pytest.mark.parametrize("is_stored", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("transaction", [0, 1, 2, 3])
@pytest.mark.parametrize("story", STORIES)
async def test_a_killed_engine_forgets_nothing_and_announces_nothing_twice(
    story: str, transaction: int, is_stored: bool
) -> None:
    steps, shown, told = STORIES[story]
    stage = AlarmStage()
    store = stage.store = Deadly()
    store.left = transaction
    store.is_stored = is_stored
    await stage.prepare()
    async with stage.host("chiller"), stage.engine() as first, stage.engine("standby"):
        store.victim = first
        for step in steps:
            await step(stage)
            await stage.clock.advance(1)  # one that stands by takes over
        assert await stage.shown() == ({BATH: shown} if shown else {})
        assert await stage.told() == [f"{one} {BATH}" for one in told]
        assert [row.kind.value for row in store.rows] == told
