"""Feeds a rule with a value that is in turn within and beyond its limit, and writes down each command that it gives.

Usage: rule_child.py DATABASE FOLDER STEPS [MOMENT]
It goes on with the step in FOLDER/step, which it repeats first, and
ends after STEPS further ones. At the MOMENT `saving`, `saved` or `given` of the first firing it kills itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.engine.known import KnownAlarms
from countingroom.alarms.rules.rule_engine import RuleEngine, RuleParts
from countingroom.alarms.sections.rules import RuleSection
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.bus.publisher import Publisher
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.clock import SystemClock
from countingroom.core.messages import (
    Catalogue,
    Command,
    CommandSpec,
    Event,
    EventKind,
    Readings,
    Reply,
    decode,
    encode,
)
from countingroom.core.points import Point
from countingroom.core.policy import Principal, Role
from countingroom.core.rules.states import SavedRule
from countingroom.core.values import Quality
from countingroom.storage.database import Database
from tests.patience import PATIENCE_S

CATALOGUE = Catalogue(
    device="chiller",
    title="Chiller",
    driver="fake",
    group="Cooling",
    points=(Point(name="bath"),),
    commands=(CommandSpec(name="stop"),),
)
RULE = RuleSection.model_validate(
    {
        "reason": "a test",
        "roles": {"device.*": "shifter"},
        "when": {"limit": {"point": "chiller.bath", "alarm_high": 30}},
        "do": [{"command": {"device": "chiller", "command": "stop"}}],
        "most": {"times": 100, "per": "1 s"},
    }
)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Child:
    """The rule engine with a real database, and the device that it commands."""

    def __init__(self, database: Database, folder: Path, moment: str) -> None:
        self.database = database
        self.folder = folder
        self.moment = moment
        self.clock = SystemClock()
        self.bus = MemoryBus(self.clock)
        self.saved: Mapping[str, SavedRule] = {}

    async def load(self) -> Mapping[str, SavedRule]:
        self.saved = await self.database.rules.load()
        return self.saved

    async def save(self, writer: int, changed: Mapping[str, SavedRule]) -> None:
        fires = any(one.under_way is not None for one in changed.values())
        if fires and self.moment == "saving":
            kill()
        await self.database.rules.save(writer, changed)
        self.saved = changed
        if fires and self.moment == "saved":
            kill()

    async def answer(self, message: Message) -> bytes:
        command, user = decode(message.data, Command), subjects.command_user(message.subject)
        with (self.folder / "given").open("a") as given:
            given.write(f"{(self.folder / 'step').read_text()} {command.id}\n")
        if self.moment == "given":
            kill()
        done = Event(
            id=uuid4().hex,
            kind=EventKind.DONE,
            time_ns=self.clock.now_ns(),
            department="devices",
            source="chiller",
            message="stop done",
            action=command.action,
            command_id=command.id,
            principal=user,
        )
        await self.bus.append(subjects.event("devices", "chiller"), encode(done))
        return encode(Reply(id=command.id, accepted=True))

    async def run(self, steps: int) -> None:
        await prepare(self.bus, max_bytes=1 << 24)
        known = KnownAlarms(Definitions(AlarmsSection.model_validate({})))
        known.learn(CATALOGUE)
        publisher = Publisher(self.bus, self.clock, "alarms")
        parts = RuleParts(rules={"warm": RULE}, store=self, audit=self.audit)
        engine = RuleEngine(self.bus, self.clock, parts, publisher, known, self.principal)
        await engine.take_over(await self.database.alarms.take_over("child"))
        async with self.bus.respond(subjects.commands_to("devices", "chiller"), self.answer):
            tasks = [asyncio.create_task(publisher.run()), asyncio.create_task(engine.run())]
            await self.feed(engine, steps)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def feed(self, engine: RuleEngine, steps: int) -> None:
        place = self.folder / "step"
        step = int(place.read_text()) if place.exists() else 0
        for number in range(step, step + steps + 1):
            new = self.folder / "step.new"
            new.write_text(str(number))
            new.replace(place)
            firings = self.saved["warm"].memory.firings if "warm" in self.saved else 0
            now_ns = self.clock.now_ns()
            engine.read(
                Readings(
                    device="chiller",
                    boot="b",
                    sequence=number,
                    full=False,
                    sent_ns=now_ns,
                    points=["bath"],
                    values=[20.0 + 20.0 * (number % 2)],
                    device_ns=[now_ns],
                    received_ns=[now_ns],
                    qualities=[int(Quality.GOOD)],
                ),
                now_ns,
            )
            if number % 2 and number > step:  # it acts; the step that is repeated is the one of before the kill
                await self.until(lambda number=firings + 1: self.is_over(number))
            else:
                await asyncio.sleep(0.02)
                await self.until(lambda: not self.is_under_way())
        print("over", flush=True)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                await asyncio.sleep(0.001)

    def is_under_way(self) -> bool:
        """Whether the database holds a firing that was interrupted and is not told yet."""
        return "warm" in self.saved and self.saved["warm"].under_way is not None

    def is_over(self, number: int) -> bool:
        last = self.saved["warm"].last if "warm" in self.saved else None
        return last is not None and last.number >= number and last.ended_ns is not None

    async def audit(self, entry: AuditEntry) -> None:
        pass

    async def principal(self, user: str, target: str) -> Principal:
        return Principal(name=user, role=Role.EXPERT)


async def main(url: str, folder: str, steps: str, moment: str = "") -> None:
    database = Database(url)
    await database.open()
    await Child(database, Path(folder), moment).run(int(steps))
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
