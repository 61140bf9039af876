"""Alarms, interlocks and rules together: a replay differs in nothing from the engine that saw it happen.

Readings are random, also stale, bad and not a number; the host falls silent, clocks are set forward, people act, and
the engine is killed and started again.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.replay.alarm_replay import AlarmReplay
from countingroom.alarms.replay.interlock_replay import InterlockReplay
from countingroom.alarms.replay.recorded import inputs
from countingroom.alarms.replay.report import MAY_DIFFER, Report
from countingroom.alarms.replay.rule_replay import RuleReplay
from countingroom.alarms.replay.run import replay
from countingroom.alarms.rules.rule_engine import RuleParts
from countingroom.alarms.sections.rules import RuleSection
from countingroom.core import subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.commands.alarms import listed
from countingroom.core.values import Quality, Scalar
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.messages import messages, pages
from tests.scenario import interlock_stage
from tests.scenario import test_replay as alarms
from tests.scenario import test_replay_rules as rules
from tests.scenario.interlock_stage import InterlockStage
from tests.scenario.rule_stage import MemoryRules
from tests.scenario.test_replay import CHILLER, Recorded, S

GOOD, UNCERTAIN, STALE, BAD = Quality
SETTLED_S = 25.0
"""So long after a start of the engine its delays, counts and silences may end at other times."""
CENTRE = {"bath": 30.0, "set": 26.0, "flow": 4.0, "1.v": 4.5}
SPREAD = {"bath": 3.0, "set": 1.5, "flow": 1.5, "1.v": 0.6}
WITHOUT_WINDOWS = {key: one for key, one in alarms.SECTION["custom"].items() if key != "fast"}
"""The windows of a rate follow one another from the start of the engine on."""


async def _audit(_: AuditEntry) -> None:
    pass


class Day:
    """What happens, and its replay."""

    def __init__(self, tmp_path: Path, seed: int, *, windows: bool) -> None:
        self.chance = random.Random(seed)
        custom = alarms.SECTION["custom"] if windows else WITHOUT_WINDOWS
        section = {**alarms.SECTION, "custom": custom, **interlock_stage.SECTION}
        self.section = AlarmsSection.model_validate(section)
        self.rules = {
            name: RuleSection.model_validate({"reason": "a test", **one})
            for name, one in rules.RULES.items()
            if (windows or name != "fast") and name != "begins"
        }
        self.stage = InterlockStage()
        self.stage.definitions = Definitions(self.section)
        self.stage.parts["rules"] = RuleParts(rules=self.rules, store=MemoryRules(), audit=_audit)
        self.store = DuckStore(tmp_path / "history.duckdb", chunk=500)
        self.gaps: list[tuple[int, int]] = []
        """Kills of the engine, each until it has settled again."""
        self._values = dict(CENTRE)
        self._engine = AsyncExitStack()
        self._host = AsyncExitStack()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """The engine and all others, at work."""
        await self.stage.prepare()
        await self.stage.put(CHILLER)
        self.played = Recorded(self.stage, self.store, CHILLER)
        try:
            async with self.stage.targets(), self._host, self._engine:
                await self._host.enter_async_context(self.stage.host("chiller"))
                await self._engine.enter_async_context(self.stage.engine())
                yield
        finally:
            self.store.close()

    async def begin(self) -> None:
        """All is well: an engine trips interlocks whose inputs are not known some seconds after its start."""
        rows = [(name, value, GOOD) for name, value in {"pump": False, "bath": 25.0, "set": 25.0, "flow": 6.0}.items()]
        await self.played.send(*rows, ("1.v", 5.0, GOOD), full=True)
        await self.stage.clock.advance(5)

    async def send(self, *, full: bool = False) -> None:
        """Some readings, or all; a full message may lack one."""
        chance, values = self.chance, self._values
        rows: list[tuple[str, Scalar, Quality]] = []
        for name in sorted(values) if full else chance.sample(sorted(values), chance.randint(1, 4)):
            values[name] += chance.gauss(0, SPREAD[name]) + 0.1 * (CENTRE[name] - values[name])
            quality = chance.choices([GOOD, UNCERTAIN, STALE, BAD], [90, 4, 3, 3])[0]
            value: Scalar = None if quality is BAD else values[name]
            if quality is GOOD and chance.random() < 0.02:
                value = float("nan")
            rows.append((name, value, quality))
        if (full and chance.random() < 0.8) or chance.random() < 0.1:
            rows.append(("pump", chance.random() < 0.2, GOOD))
        given = {"bath": chance.randint(1, 3)} if rows[0][0] == "bath" and chance.random() < 0.05 else {}
        await self.played.send(*rows, full=full, alarms=given)

    async def pass_time(self) -> None:
        """Never to the very time at which a delay ends: then either may come first."""
        await self.stage.clock.advance(self.chance.choice([0.2, 0.5, 1.0, 1.0, 2.5, 7.0]) + self.chance.random() / 1000)

    async def host_silent(self) -> None:
        """The device host is gone for some seconds."""
        await self._host.aclose()
        await self.stage.clock.advance(6.0 + self.chance.random())
        await self._host.enter_async_context(self.stage.host("chiller"))
        await self.stage.clock.advance(2.5 + self.chance.random() / 1000)
        await self.send(full=True)

    async def clock_forward(self) -> None:
        """The clock of the machine is set."""
        self.stage.clock.step(0.5 + self.chance.random())
        await self.stage.clock.advance(3.0 + self.chance.random() / 1000)

    async def person(self) -> None:
        """What the present state refuses is refused in the replay as well."""
        match self.chance.randrange(5):
            case 0:
                known = await self.stage.alarms()
                seen = {id: one.occurrence for id, one in known.items() if id.startswith("point.")}
                await self.stage.command("acknowledge", alarms=listed(seen), comment="I look")
            case 1:
                flow = listed({"point.chiller.flow": None})
                await self.stage.command("shelve", alarms=flow, reason="it is known", seconds=20.0)
            case 2:
                await self.stage.ask("reset")
            case 3:
                await self.stage.ask("bypass", cause="pump", reason="it is repaired", seconds=100.0)
            case _:
                action = self.chance.choice(["arm", "disarm"])
                await self.stage.command(action, target=subjects.RULES, rule="low", reason="a try")
        await self.stage.clock.advance(3.5)

    async def engine_killed(self) -> None:
        """It is away for some seconds, in which readings come."""
        await self.send(full=True)
        await self.pass_time()
        begin_ns = self.stage.clock.now_ns()
        await self._engine.aclose()
        for _ in range(3):
            await self.pass_time()
            await self.send()
        await self._engine.enter_async_context(self.stage.engine())
        await self.stage.clock.advance(5)
        await self.send(full=True)
        self.gaps.append((begin_ns - S, self.stage.clock.now_ns() + round(SETTLED_S * S)))

    async def replayed(self) -> Report:
        """As the command does it."""
        stage, begin_ns = self.stage, self.played.begin_ns
        await stage.clock.advance(40)
        end_ns = stage.clock.now_ns() + 1
        rows, events = list(stage.store.rows), await stage.events()
        of_rules, of_interlocks = RuleReplay(self.rules, begin_ns), InterlockReplay(self.section.interlocks, begin_ns)
        beside = inputs([CHILLER], {}, (), rows, begin_ns)
        beside += [*of_rules.inputs(events, (), people=True), *of_interlocks.inputs(events, people=True)]
        beside.sort(key=lambda one: one.time_ns)
        subject = AlarmReplay(stage.definitions, [CHILLER], begin_ns, others=[of_interlocks, of_rules])
        of_interlocks.find = subject.find
        names = tuple(f"chiller.{point.name}" for point in CHILLER.points)
        found = pages(self.store, names, begin_ns - 60 * S, end_ns + 60 * S)
        replay(subject, beside, messages(found, begin_ns, end_ns), end_ns)
        return Report(
            begin_ns=begin_ns,
            end_ns=end_ns,
            readings=subject.readings,
            rows=list(subject.rows),
            recorded=rows,
            definitions={},
            points={},
            parts=[of_interlocks.part(events, begin_ns, end_ns), of_rules.part(events, begin_ns, end_ns)],
        )

    def left(self, report: Report) -> list[str]:
        """What differs beside that of the time after a kill."""
        found = [
            (
                one.entry.time_ns,
                f"{one.entry.alarm} {one.entry.kind} {one.entry.base} {one.entry.priority}",
                one.replayed,
            )
            for one in report.differences()
        ]
        found += [
            (one.acted.time_ns, f"{one.acted.name} {one.acted.kind} {one.acted.about}", one.replayed)
            for part in report.parts
            for one in part.differences
        ]
        begin_ns = self.played.begin_ns
        return [
            f"{(at - begin_ns) / S:.3f} {what} {'replay' if replayed else 'record'}"
            for at, what, replayed in sorted(found)
            if not any(begin <= at <= end for begin, end in self.gaps)
        ]


@pytest.mark.parametrize("seed", range(2))
async def test_a_replay_differs_in_nothing_from_the_engine(tmp_path: Path, seed: int) -> None:
    day = Day(tmp_path, seed, windows=True)
    async with day.running():
        await day.begin()
        for _ in range(250):
            await day.pass_time()
            chance = day.chance.random()
            if chance < 0.02:
                await day.host_silent()
            elif chance < 0.04:
                await day.clock_forward()
            elif chance < 0.10:
                await day.person()
            else:
                await day.send(full=chance > 0.95)
        report = await day.replayed()
    recorded = {row.alarm for row in day.stage.store.rows}
    assert recorded >= {"device.chiller.link", "interlock.cooling", "point.chiller.bath", "custom.silent"}
    assert all(part.acted for part in report.parts)
    assert day.left(report) == []
    assert not set(report.notes()) & set(MAY_DIFFER)


@pytest.mark.parametrize("seed", range(2))
async def test_after_a_kill_of_the_engine_a_replay_differs_until_its_delays_have_settled(
    tmp_path: Path, seed: int
) -> None:
    day = Day(tmp_path, 100 + seed, windows=False)
    async with day.running():
        await day.begin()
        for number in range(120):
            await day.pass_time()
            if number % 40 == 20:
                await day.engine_killed()
            else:
                await day.send(full=day.chance.random() < 0.05)
        report = await day.replayed()
    assert len(day.gaps) == 3
    assert len(report.rows) > 50
    assert day.left(report) == []
