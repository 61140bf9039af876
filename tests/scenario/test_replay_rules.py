"""A replay of what was recorded tells the firings of the engine that saw it happen, and its interlocks.

The engine and the writer of the history are the real ones, on the memory bus with a virtual clock; the store is a file.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.replay.alarm_replay import AlarmReplay, Other
from countingroom.alarms.replay.interlock_replay import InterlockReplay
from countingroom.alarms.replay.recorded import Input
from countingroom.alarms.replay.rule_replay import RuleReplay
from countingroom.alarms.replay.run import replay
from countingroom.alarms.sections.rules import RuleSection
from countingroom.core.messages import Event, EventKind
from countingroom.core.values import Quality, Scalar
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.messages import messages, pages
from tests.scenario.alarm_stage import AlarmStage
from tests.scenario.interlock_stage import SECTION, InterlockStage
from tests.scenario.rule_stage import RuleStage
from tests.scenario.test_replay import CHILLER, Recorded, S

GOOD, UNCERTAIN, STALE, BAD = Quality
LOG: list[dict[str, Any]] = [{"log": "it acts"}]
RULES: dict[str, dict[str, Any]] = {
    "hot": {
        "when": {"limit": {"point": "chiller.bath", "alarm_high": 32}},
        "for": "3 s",
        "do": LOG,
        "most": {"times": 2, "per": "5 min"},
    },
    "low": {
        "when": {"expression": {"text": "f < 3", "names": {"f": "chiller.flow"}}},
        "unless": {"limit": {"point": "chiller.bath", "alarm_high": 33}},
        "do": LOG,
        "most": {"times": 100, "per": "1 h"},
    },
    "fast": {
        "when": {"rate": {"point": "chiller.bath", "per": 10, "rise": 5.0}},
        "do": LOG,
        "most": {"times": 50, "per": "1 h"},
    },
    "clock": {"when": {"cron": "*/5 * * * *"}, "do": LOG},
    "begins": {"when": {"event": {"department": "runs", "action": "start", "kind": "done"}}, "do": LOG},
}


async def play(played: Recorded, seed: int, *, loses: str = "") -> None:
    """A random series. `loses`: a point that some of the full messages do not have any more."""
    chance = random.Random(seed)
    values: dict[str, float] = {"bath": 25.0, "flow": 6.0}
    pump = False
    await played.send(*((name, value, GOOD) for name, value in values.items()), ("pump", pump, GOOD))
    for _ in range(150):
        await played.stage.clock.advance(chance.choice([0.2, 1.0, 2.5, 7.0]) + chance.random() / 1000)
        rows: list[tuple[str, Scalar, Quality]] = []
        for name in chance.sample(sorted(values), chance.randint(1, 2)):
            values[name] += chance.gauss(0, {"bath": 3.0, "flow": 1.5}[name])
            values[name] += 0.1 * ({"bath": 30.0, "flow": 4.0}[name] - values[name])
            quality = chance.choices([GOOD, UNCERTAIN, STALE, BAD], [92, 4, 2, 2])[0]
            rows.append((name, None if quality is BAD else values[name], quality))
        if chance.random() < 0.05:
            pump = chance.random() < 0.3
            rows.append(("pump", pump, GOOD))
        full = chance.random() < 0.05
        if full:  # it has every point of the device: one that it lacks would be missing
            named = {name for name, *_ in rows}
            rows += [(name, value, GOOD) for name, value in {**values, "pump": pump}.items() if name not in named]
            if loses and chance.random() < 0.3:
                rows = [one for one in rows if one[0] != loses]
        await played.send(*rows, full=full)


def replayed(played: Recorded, other: Other, beside: Sequence[Input]) -> AlarmReplay:
    """The replay of all that was sent until now."""
    end_ns = played.stage.clock.now_ns() + 1
    names = tuple(f"chiller.{point.name}" for point in played.catalogue.points)
    subject = AlarmReplay(played.stage.definitions, [played.catalogue], played.begin_ns, others=[other])
    found = pages(played.store, names, played.begin_ns - 60 * S, end_ns + 60 * S)
    replay(subject, beside, messages(found, played.begin_ns, end_ns), end_ns)
    return subject


async def recorder(stage: AlarmStage, tmp_path: Path) -> Recorded:
    await stage.prepare()
    await stage.put(CHILLER)
    return Recorded(stage, DuckStore(tmp_path / "history.duckdb", chunk=500), CHILLER)


async def stored(stage: AlarmStage) -> list[Event]:
    """All events of rules and interlocks, and those that trigger rules."""
    return [one for one in await stage.events() if one.department == "alarms"]


async def test_a_replay_has_the_firings_of_the_engine(tmp_path: Path) -> None:
    stage = RuleStage(RULES)
    played = await recorder(stage, tmp_path)
    async with stage.host("chiller"), stage.engine():
        await play(played, 1)
        await stage.tell("runs", "mCBM", EventKind.DONE, "start")
        began = Event(
            id="r1",
            kind=EventKind.DONE,
            time_ns=stage.clock.now_ns(),
            department="runs",
            source="mCBM",
            message="-",
            action="start",
        )
        await stage.clock.advance(1)
        assert await stage.order("disarm", "fast", reason="it is known") is None
        await play(played, 2)
        live = await stored(stage)
        end_ns = stage.clock.now_ns() + 1
    rules = {name: RuleSection.model_validate({"reason": "a test", **one}) for name, one in RULES.items()}
    subject = RuleReplay(rules, played.begin_ns)
    about = [one for one in live if one.source in rules]
    beside = sorted(subject.inputs(about, [began], people=True), key=lambda one: one.time_ns)
    replayed(played, subject, beside)
    played.store.close()
    part = subject.part(about, played.begin_ns, end_ns)
    theirs = [one for one in about if one.action in ("fired", "held_back")]
    assert {(one.source, one.action) for one in theirs} >= {
        ("hot", "fired"),
        ("hot", "held_back"),
        ("low", "fired"),
        ("fast", "fired"),
        ("clock", "fired"),
        ("begins", "fired"),
    }
    assert part.differences == []
    # The engine tells only the first of several times that it held a rule back.
    mine = [one for one in part.acted if one.kind == "fired" or (one.kind == "held_back" and one.number == 1)]
    assert [(one.time_ns // S, one.name, one.kind, one.number) for one in mine] == [
        (one.time_ns // S, one.source, one.action, one.data["number"]) for one in theirs
    ]
    for one, other in zip(mine, theirs, strict=True):
        evidence = {name: value for name, value in other.data.items() if name not in ("rule", "number")}
        if one.name != "begins":
            assert dict(one.evidence) == evidence
    assert mine[0].text == "log: it acts"
    without = RuleReplay(rules, played.begin_ns)
    assert list(without.inputs(about, [], people=False)) == []


async def test_a_replay_has_the_trips_and_effects_of_the_engine(tmp_path: Path) -> None:
    stage = InterlockStage()
    played = await recorder(stage, tmp_path)
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await play(played, 3)
        for seed in (4, 5):
            await played.send(("bath", 20.0, GOOD), ("pump", False, GOOD))
            await stage.clock.advance(3.5)
            assert await stage.ask("reset") is None
            await stage.clock.advance(3.5)
            assert await stage.ask("bypass", cause="pump", reason="it is repaired", seconds=100.0) is None
            await stage.clock.advance(3.5)
            await play(played, seed, loses="pump")
        # The device has lost its point, which is told by a full message alone.
        await played.send(("bath", 20.0, GOOD), ("pump", False, GOOD))
        await stage.clock.advance(3.5)
        assert await stage.ask("reset") is None
        await stage.clock.advance(3.5)
        await played.send(("bath", 20.0, GOOD), ("flow", 6.0, GOOD), full=True)
        await stage.clock.advance(3.5)
        live = [one for one in await stored(stage) if one.source == "cooling"]
        end_ns = stage.clock.now_ns() + 1
    subject = InterlockReplay(AlarmsSection.model_validate(SECTION).interlocks, played.begin_ns)
    beside = sorted(subject.inputs(live, people=True), key=lambda one: one.time_ns)
    replayed(played, subject, beside)
    played.store.close()
    mine = subject.acted
    theirs = [one for one in live if one.action.startswith("interlock_") and not one.action.endswith("reached")]
    assert ("interlock_trip", "pump") in [(one.action, one.data["name"]) for one in theirs[-5:]]
    assert {one.action for one in theirs} >= {f"interlock_{kind}" for kind in ("trip", "act", "reset", "bypass")}
    # A command takes a moment.
    assert [(one.time_ns // (S // 10), one.kind, one.about, one.number) for one in mine] == [
        (one.time_ns // (S // 10), one.action.removeprefix("interlock_"), one.data["name"], one.data["trip"])
        for one in theirs
    ]
    part = subject.part(live, played.begin_ns, end_ns)
    assert part.differences == []
    (fact,) = part.facts()
    assert set(fact["spans"]) == {"", "off", "stop", "no_start"}
