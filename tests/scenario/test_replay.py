"""A replay of what was recorded has the same history of alarms as the engine that saw it happen.

The engine and the writer of the history are the real ones, on the memory bus with a virtual clock; the store is a file.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from countingroom.alarms.replay.alarm_replay import AlarmReplay
from countingroom.alarms.replay.recorded import inputs
from countingroom.alarms.replay.run import replay
from countingroom.core import subjects
from countingroom.core.alarms.history import AlarmEntry
from countingroom.core.commands.alarms import listed
from countingroom.core.messages import Catalogue, Event, EventKind, Link, Readings, encode
from countingroom.core.points import Limits, Point
from countingroom.core.values import Quality, Scalar
from countingroom.history.columns import flatten
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.messages import messages, pages
from countingroom.history.port import Position
from tests.scenario.alarm_stage import AlarmStage

S = 1_000_000_000
POINTS = (
    Point(name="bath", label="Bath", unit="degC", limits=Limits(warning_high=30.0, alarm_high=35.0)),
    Point(name="set", label="Setpoint", unit="degC"),
    Point(name="flow", label="Flow", unit="l/min", limits=Limits(alarm_low=2.0, warning_low=4.0)),
    Point(name="pump", label="Pump fault", severity=2),
    Point(name="1.v", channel="1", column="v", label="V mon", unit="V", limits=Limits(alarm_low=4.0)),
    Point(name="status", label="Status"),
)
CHILLER = Catalogue(device="chiller", title="Chiller", driver="fake", group="Cooling", points=POINTS, channels=("1",))
SECTION: dict[str, Any] = {
    "overrides": {
        "point.chiller.bath": {"hysteresis": 2.0, "on_delay": 4, "off_delay": 6},
        "point.chiller.flow": {"count": {"n": 2, "of": 3}},
        "value.chiller.*": {"on_delay": 3},
        "device.chiller.state": {"on_delay": 2},
    },
    "custom": {
        "fast": {"rate": {"point": "chiller.bath", "per": 10, "rise": 6.0, "fall": 6.0}},
        "off_target": {
            "deviation": {"point": "chiller.bath", "setpoint": "chiller.set", "more_than": 8},
            "on_delay": 5,
        },
        "silent": {"silence": {"point": "chiller.flow", "longer_than": 15}},
        "both": {"expression": {"text": "b > 33 and f < 3", "names": {"b": "chiller.bath", "f": "chiller.flow"}}},
        "error": {"state": {"of": "device.chiller", "in": ["error"]}},
        "unusable": {"quality": {"point": "chiller.bath"}, "off_delay": 4},
    },
    "suppress": {
        "warm": {
            "when": {"limit": {"point": "chiller.set", "warning_high": 28.0}},
            "alarms": ["point.chiller.flow"],
            "reason": "the chiller warms up",
        }
    },
}


def compared(rows: list[AlarmEntry]) -> list[tuple[Any, ...]]:
    """What must be equal of the rows, in an order that does not depend on the batches of the engine."""
    found = [
        (
            row.time_ns,
            row.alarm,
            row.kind,
            row.occurrence,
            row.base,
            row.priority,
            row.text,
            None if row.value != row.value else row.value,  # NaN is no number, and is stored as none
            row.person,
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: one[:2])


class Recorded:
    """Plays a device, keeps what is sent in a real history, and replays it."""

    def __init__(self, stage: AlarmStage, store: DuckStore, catalogue: Catalogue) -> None:
        self.stage = stage
        self.store = store
        self.catalogue = catalogue
        self.begin_ns = stage.clock.now_ns()
        self.sent: list[Readings] = []
        self._number = 0

    async def send(
        self, *rows: tuple[str, Scalar, Quality], full: bool = False, alarms: dict[str, int] | None = None
    ) -> None:
        """One message."""
        self._number += 1
        now_ns = self.stage.clock.now_ns()
        message = Readings(
            device=self.catalogue.device,
            boot="b1",
            sequence=self._number,
            full=full,
            sent_ns=now_ns,
            points=[name for name, _, _ in rows],
            values=[value for _, value, _ in rows],
            qualities=[int(quality) for _, _, quality in rows],
            device_ns=[now_ns - 3_000_000] * len(rows),
            received_ns=[now_ns - 1_000_000] * len(rows),
            alarms=alarms or {},
        )
        self.sent.append(message)
        await self.stage.bus.append(subjects.readings(message.device, full=full), encode(message))
        self.store.append(flatten([message]), Position(sequence=self._number, stored_ns=now_ns))
        await self.stage.clock.advance(0)

    async def replayed(self, *, pages_of: int = 1000, events: Sequence[Event] = ()) -> AlarmReplay:
        """The replay of all that was sent until now. `events`: those of the device host."""
        end_ns = self.stage.clock.now_ns() + 1
        names = tuple(f"chiller.{point.name}" for point in self.catalogue.points)
        subject = AlarmReplay(self.stage.definitions, [self.catalogue], self.begin_ns)
        rows = list(self.stage.store.rows)
        beside = inputs([self.catalogue], {}, events, rows, self.begin_ns)
        found = pages(self.store, names, self.begin_ns - 60 * S, end_ns + 60 * S, most=pages_of)
        replay(subject, beside, messages(found, self.begin_ns, end_ns), end_ns)
        return subject


@asynccontextmanager
async def recorded(tmp_path: Path, section: dict[str, Any]) -> AsyncGenerator[Recorded]:
    """The engine, at work; the first readings come after the time in which it learns what there is."""
    stage = AlarmStage(section=section)
    await stage.prepare()
    await stage.put(CHILLER)
    store = DuckStore(tmp_path / "history.duckdb", chunk=500)
    async with stage.host("chiller"), stage.engine():
        yield Recorded(stage, store, CHILLER)
    store.close()


GOOD, UNCERTAIN, STALE, BAD = Quality


@pytest.mark.parametrize("seed", range(3))
async def test_a_replay_has_the_history_of_the_engine_row_by_row(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with recorded(tmp_path, SECTION) as played:
        values: dict[str, float] = {"bath": 25.0, "set": 25.0, "flow": 6.0, "1.v": 5.0}
        await played.send(
            *((name, value, GOOD) for name, value in values.items()), ("pump", False, GOOD), ("status", "ok", GOOD)
        )
        for _ in range(400):
            # Never at the very time at which a delay ends: then either may come first.
            await played.stage.clock.advance(chance.choice([0.2, 0.5, 1.0, 1.0, 2.5, 7.0]) + chance.random() / 1000)
            rows: list[tuple[str, Scalar, Quality]] = []
            for name in chance.sample(sorted(values), chance.randint(1, 4)):
                values[name] += chance.gauss(0, {"bath": 3.0, "set": 1.5, "flow": 1.5, "1.v": 0.6}[name])
                centre = {"bath": 30.0, "set": 26.0, "flow": 4.0, "1.v": 4.5}[name]
                values[name] += 0.1 * (centre - values[name])
                quality = chance.choices([GOOD, UNCERTAIN, STALE, BAD], [90, 4, 3, 3])[0]
                value: Scalar = None if quality is BAD else values[name]
                if quality is GOOD and chance.random() < 0.02:
                    value = float("nan")
                rows.append((name, value, quality))
            if chance.random() < 0.1:
                rows.append(("pump", chance.random() < 0.5, GOOD))
            if chance.random() < 0.05:
                rows.append(("status", chance.choice(["ok", "alarm", ""]), GOOD))
            given = {"status": chance.randint(1, 3)} if rows[-1][0] == "status" and chance.random() < 0.6 else {}
            await played.send(*rows, full=chance.random() < 0.05, alarms=given)
        await played.stage.clock.advance(30)
        live = list(played.stage.store.rows)
        subject = await played.replayed()
    kinds = {row.alarm.partition(".")[0] + "." + row.alarm.split(".")[-1] for row in live}
    assert len(live) > 100, kinds
    assert compared(subject.rows) == compared(live)


async def test_a_replay_repeats_what_people_did_and_a_lost_link(tmp_path: Path) -> None:
    async with recorded(tmp_path, {"overrides": {"point.chiller.bath": {"latching": True}}}) as played:
        stage = played.stage
        events: list[Event] = []

        async def link(link: Link, word: str, common: str) -> None:
            before = "connected" if link is Link.DISCONNECTED else "disconnected"
            now_ns = stage.clock.now_ns()
            about: dict[str, Any] = {"time_ns": now_ns, "department": "devices", "source": "chiller", "message": "-"}
            events.append(Event(id=f"l{now_ns}", kind=EventKind.LINK, before=before, after=link.value, **about))
            was = "ON" if link is Link.DISCONNECTED else "DISCONNECTED"
            events.append(Event(id=f"s{now_ns}", kind=EventKind.STATE, before=was, after=word, **about))
            await stage.state(state=word, common=common, link=link)
            await stage.clock.advance(1.5)

        await stage.clock.advance(5)
        for bath, water in ((25.0, 6.0), (36.0, 1.0), (36.5, 1.1)):
            await played.send(("bath", bath, GOOD), ("flow", water, GOOD))
            await stage.clock.advance(1.5)
        assert await stage.acknowledge(bath=1, comment="I look") is None
        flow = listed({"point.chiller.flow": None})
        assert await stage.command("shelve", alarms=flow, reason="it is known", seconds=20.0) is None
        await stage.clock.advance(2.5)
        await played.send(("bath", 20.0, GOOD))
        await stage.clock.advance(1.5)
        assert await stage.command("reset", alarms=listed({"point.chiller.bath": None})) is None
        await link(Link.DISCONNECTED, "DISCONNECTED", "no_link")
        await played.send(("bath", 20.0, STALE), ("flow", 1.1, STALE))
        await link(Link.CONNECTED, "ON", "on")
        await played.send(("bath", 36.0, GOOD), ("flow", 1.2, GOOD))
        await stage.clock.advance(30)
        live = list(stage.store.rows)
        subject = await played.replayed(events=events)
    kinds = {row.kind.value for row in live}
    assert kinds >= {"announced", "returned", "acknowledged", "reset", "shelved", "shelf_ended", "announced_again"}
    assert "device.chiller.link" in {row.alarm for row in live}
    assert near(subject.rows) == near(live)


def near(rows: list[AlarmEntry]) -> list[tuple[Any, ...]]:
    """Rows by tenths of a second: a command takes a moment."""
    found = [
        (row.time_ns // 100_000_000, row.alarm, row.kind, row.occurrence, row.base, row.priority, row.person)
        for row in rows
    ]
    return sorted(found, key=lambda one: one[:3])
