"""What is published on the bus reaches the outside: once, in order, redacted, over restarts and lost links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.publisher import Publisher
from countingroom.bus.streams import prepare
from countingroom.cli.client import Client
from countingroom.cli.mirror import app as mirror
from countingroom.core import subjects
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.clock import SystemClock
from countingroom.core.errors import LinkError
from countingroom.core.messages import (
    Catalogue,
    DeviceState,
    Event,
    EventKind,
    Link,
    Presence,
    Readings,
    decode,
    encode,
)
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.publication import FeedRules
from countingroom.core.mirror.redactor import Redactor
from countingroom.core.mirror.states import FEED_KEY, FeedState
from countingroom.core.points import Point
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.feed import collector
from countingroom.mirror.feed.outbox import FeedOutbox
from countingroom.mirror.feed.service import FeedService, FeedSettings, Issue
from countingroom.testing.clock import FakeClock
from tests.console.stage import served
from tests.console.stage import stage as console_stage
from tests.feed_outside import Outside
from tests.patience import PATIENCE_S


class Stage:
    """A bus, the inside that publishes on it, and an outside."""

    def __init__(self, folder: Path, rotate_s: float | None = None) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.outside = Outside()
        self.folder = folder
        self.rotate_s = rotate_s
        self.section = MirrorSection.model_validate({"publish": "default", "never": {"canaries": ["trap4711"]}})
        self.service: FeedService | None = None
        self.periods = 0

    def issue(self) -> Issue:
        self.periods += 1
        keys = Pseudonyms(b"k" * 32).period(self.periods if self.rotate_s else 0)
        check = LastCheck(self.section.never.names())
        redactor = Redactor(keys, check, self.section.records(), ())
        return Issue(publication=FeedRules(redactor, keys, check, self.section.publish), for_s=self.rotate_s)

    @asynccontextmanager
    async def feed(self) -> AsyncGenerator[MemoryBus]:
        """The feed runs, and is killed at the end."""
        bus = self.bus.client("mirror")
        publisher = Publisher(bus, self.clock, "mirror")
        settings = FeedSettings(to="outside", points=("chiller.bath*",), every_s=60, most_bytes=1 << 26)
        self.service = FeedService(bus, self.clock, settings, self.folder, self.issue, self.outside, publisher)
        tasks = [asyncio.create_task(publisher.run()), asyncio.create_task(self.service.run())]
        await self.clock.advance(1)
        try:
            yield bus
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def device(self, name: str, state: str, **more: Any) -> None:
        made = DeviceState(device=name, state=state, link=Link.CONNECTED, since_ns=self.clock.now_ns(), **more)
        await self.bus.put("state", subjects.device_key(name), encode(made))

    async def alarm(self, id: str) -> None:
        now_ns = self.clock.now_ns()
        made = AlarmState(
            id=id,
            title="of a person",
            text="of a person",
            base=BaseState.UNACKNOWLEDGED,
            priority=2,
            occurrence=1,
            since_ns=now_ns,
            changed_ns=now_ns,
        )
        await self.bus.put("state", subjects.alarm_key(id), encode(made))

    async def event(self, action: str, data: dict[str, Any] | None = None, department: str = "runs") -> None:
        made = Event(
            id=f"{action}{data}",
            kind=EventKind.NOTE,
            time_ns=self.clock.now_ns(),
            department=department,
            source="mCBM",
            message="of a person",
            action=action,
            data=data or {},
        )
        await self.bus.append(subjects.event(department, "mCBM"), encode(made))

    def left(self, kind: str) -> list[tuple[str, Any]]:
        """Key and body of what reached the outside."""
        return [(key, msgspec.json.decode(body)) for known, key, body in self.outside.rows if known == kind]


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    await prepare(made.bus)
    return made


async def test_states_leave_when_they_change_and_are_told_as_gone(stage: Stage) -> None:
    await stage.device("chiller", "ON")
    await stage.alarm("device.chiller.state")
    async with stage.feed():
        await stage.device("chiller", "OFF")
        await stage.clock.advance(1)
        await stage.device("chiller", "OFF")
        await stage.bus.delete("state", subjects.alarm_key("device.chiller.state"))
        await stage.clock.advance(1)
        assert [body["state"] for _, body in stage.left("device")] == ["ON", "OFF", "OFF"]
        assert [(key, body and body["priority"]) for key, body in stage.left("alarm")] == [
            ("device.chiller.state", 2),
            ("device.chiller.state", None),
        ]
    assert "person" not in str(stage.outside.rows)


async def test_what_went_while_the_feed_was_away_is_told_as_gone_after_a_time_and_all_else_once(stage: Stage) -> None:
    for name in ("caen", "chiller"):
        await stage.device(name, "ON")
    async with stage.feed():
        pass
    await stage.bus.delete("state", subjects.device_key("caen"))
    async with stage.feed() as bus:
        await stage.clock.advance(5)
        assert [key for key, _ in stage.left("device")] == ["caen", "chiller"]
        await stage.clock.advance(40)
        assert stage.left("device")[2:] == [("caen", None)]
        bus.cut()
        await stage.bus.delete("state", subjects.device_key("chiller"))
        await stage.clock.advance(60)
        assert len(stage.left("device")) == 3
        assert stage.service and any("not followed" in one for one in stage.service.troubles())
        bus.mend()
        await stage.clock.advance(40)
        assert stage.left("device")[3:] == [("chiller", None)]


async def test_events_and_runs_come_once_and_in_order_over_restarts_and_a_lost_link(stage: Stage) -> None:
    async with stage.feed():
        await stage.event("run_began", {"run": 7})
        await stage.event("users", department="console")
        stage.outside.faults = ["before", "after", "before"]
        await stage.clock.advance(0.2)
    await stage.event("run_over", {"run": 7, "end": "stopped", "duration_s": 5.0})
    async with stage.feed() as bus:
        await stage.clock.advance(20)
        bus.cut()
        await stage.event("run_began", {"run": 8})
        await stage.clock.advance(5)
        bus.mend()
        await stage.clock.advance(20)
    assert [body["action"] for _, body in stage.left("event")] == ["run_began", "run_over", "run_began"]
    runs = [(key, body["state"], body.get("end")) for key, body in stage.left("run")]
    assert runs == [("7", "running", None), ("7", "ended", "stopped"), ("8", "running", None)]


async def test_a_kind_that_the_outside_refuses_is_told_and_comes_after_an_update(stage: Stage) -> None:
    stage.outside.refuses = {"alarm": "receiver_kind"}
    await stage.device("chiller", "ON")
    await stage.alarm("device.chiller.state")
    async with stage.feed() as bus:
        await stage.alarm("device.chiller.pump")
        await stage.device("chiller", "OFF")
        for _ in range(30):
            await stage.clock.advance(1)
        assert [body["state"] for _, body in stage.left("device")] == ["ON", "OFF"]
        assert stage.left("alarm") == []
        assert stage.service
        assert [one for one in stage.service.warnings() if "2 records of the kind alarm were left out" in one]
        assert list(stage.service.troubles()) == []
        async with bus.replay("events", follow=False) as stored:
            events = [decode(one.data, Event) async for one in stored]
        (told,) = [one for one in events if one.source == "feed"]
        assert told.data["kind"] == "alarm" and told.cause and told.cause.code == "receiver_kind"
    stage.outside.refuses = {}
    async with stage.feed():
        for _ in range(30):
            await stage.clock.advance(1)
        assert {key for key, _ in stage.left("alarm")} == {"device.chiller.state", "device.chiller.pump"}
        assert stage.service and list(stage.service.warnings()) == []


async def test_chosen_points_leave_thinned_out_in_time(stage: Stage) -> None:
    points = (Point(name="bath", unit="degC"), Point(name="pump"))
    catalogue = Catalogue(device="chiller", title="", driver="d", group="", points=points)
    await stage.bus.put("state", subjects.catalogue_key("chiller"), encode(catalogue))
    async with stage.feed():
        for number in range(90):
            message = Readings(
                device="chiller",
                boot="b",
                sequence=number + 1,
                full=number == 0,
                sent_ns=stage.clock.now_ns(),
                points=["bath", "pump"],
                values=[20.0 + number, 1.0],
                qualities=[0, 0],
                device_ns=[stage.clock.now_ns()] * 2,
                received_ns=[stage.clock.now_ns()] * 2,
            )
            await stage.bus.append(subjects.readings("chiller", full=number == 0), encode(message))
            await stage.clock.advance(2)
    left = stage.left("point")
    assert {key for key, _ in left} == {"chiller/bath"} and len(left) == 3
    assert left[0][1]["unit"] == "degC" and [body["value"] for _, body in left] == sorted(b["value"] for _, b in left)


async def test_processes_leave_as_ready_or_not_and_go(stage: Stage) -> None:
    async def beat(*troubles: str) -> None:
        now_ns = stage.clock.now_ns()
        presence = Presence(
            role="runs",
            instance="main",
            boot="b",
            host="fu-c2f11",
            pid=1,
            interval_s=1,
            sent_ns=now_ns,
            troubles=troubles,
        )
        await stage.bus.publish(subjects.presence("runs", "main"), encode(presence))
        await stage.clock.advance(1)

    async with stage.feed():
        for troubles in ((), (), ("the database on fu-c2f11 is away",)):
            await beat(*troubles)
        await stage.clock.advance(10)
    assert [(key, body and body["state"]) for key, body in stage.left("role")] == [
        ("runs/main", "ready"),
        ("runs/main", "not ready"),
        ("runs/main", None),
    ]


async def test_a_canary_is_held_back_and_told_until_it_was_not_seen_for_some_time(stage: Stage) -> None:
    async with stage.feed():
        service = stage.service
        assert service and service.conditions() == {"mirror.canary": ""}
        await stage.device("chiller", "ON")
        await stage.clock.advance(1)
        await stage.device("chiller", "trap4711")
        await stage.clock.advance(1)
        assert "a canary was found" in service.conditions()["mirror.canary"]
        assert [(key, body and body["state"]) for key, body in stage.left("device")] == [
            ("chiller", "ON"),
            ("chiller", None),
        ]
        await stage.clock.advance(700)
        assert service.conditions() == {"mirror.canary": ""}
        assert service.state().canaries == service.state().held == 1


async def test_how_the_feed_stands_is_published_and_told(stage: Stage) -> None:
    async with stage.feed() as bus:
        service = stage.service
        assert service
        stage.outside.faults = ["before"] * 100
        await stage.device("chiller", "ON")
        await stage.clock.advance(30)
        entry = await bus.get("state", FEED_KEY)
        assert entry and entry.data
        state = msgspec.msgpack.decode(entry.data, type=FeedState)
        assert state.cause and state.waiting == 1 and state.waiting_since_ns
        assert "the feed is not sent" in next(service.warnings()) and list(service.troubles()) == []
        await stage.clock.advance(400)
        assert list(service.warnings()) == [] and "the feed is not sent" in next(service.troubles())


async def test_with_other_aliases_all_is_told_anew_under_them(tmp_path: Path) -> None:
    stage = Stage(tmp_path, rotate_s=1000.0)
    await prepare(stage.bus)
    async with stage.feed():
        await stage.alarm("node.fu-c2f11.link")
        await stage.clock.advance(1)
        await stage.clock.advance(1100)
        (first, second, gone) = stage.left("alarm")
        assert first[0] != second[0] and gone == (first[0], None)


async def test_while_the_outbox_is_not_written_memory_stays_bounded_and_nothing_new_is_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MOST_IN_MEMORY", 10)
    async with stage.feed():
        add = FeedOutbox.add

        def full(*_: object) -> int:
            raise LinkError("the disk is full", source="test")

        monkeypatch.setattr(FeedOutbox, "add", full)
        for number in range(30):
            await stage.event(f"a{number}", {"run": number})
            for word in "xyz":
                await stage.device("chiller", f"{word}{number}")
                await stage.clock.advance(0.1)
        assert stage.service and any("outbox of the feed is not written" in one for one in stage.service.troubles())
        monkeypatch.setattr(FeedOutbox, "add", add)
        await stage.clock.advance(20)
    assert [body["action"] for _, body in stage.left("event")] == [f"a{number}" for number in range(30)]
    states = [body["state"] for _, body in stage.left("device")]
    assert states[-1] == "z29" and len(states) < 60


async def test_the_api_and_the_command_tell_how_the_feed_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console_stage(SystemClock()) as here, served(here) as (_, client), asyncio.timeout(PATIENCE_S):
        assert (await client.get("/api/v1/mirror")).json() == {
            "running": False,
            "contact_s": None,
            "waiting_s": None,
            "feed": None,
        }
        state = FeedState(to="https://outside", waiting=2, waiting_since_ns=1, contact_ns=1, dropped=3)
        await here.bus.put("state", FEED_KEY, encode(state))
        while (found := (await client.get("/api/v1/mirror")).json())["feed"] is None:
            await asyncio.sleep(0.02)
    assert (found["feed"]["to"], found["feed"]["waiting"], found["feed"]["dropped"]) == ("https://outside", 2, 3)
    assert found["contact_s"] > 1e9 and found["waiting_s"] > 1e9

    def answer(*_: object) -> Any:
        return found

    monkeypatch.setattr(Client, "get", answer)
    shown = CliRunner().invoke(mirror, ["status", "--url", "http://127.0.0.1:9"], catch_exceptions=False).stdout
    assert "waiting      2 records, since" in shown and "3 records, as the outbox was full" in shown


async def test_what_the_policy_keeps_inside_is_counted_once_over_restarts_and_lost_links(stage: Stage) -> None:
    publish = {
        "device": {"device": {"pattern": "[a-z]+"}},
        "event": {"source": {"pattern": "[a-z]+"}},
        "alarm": {"alarm": {"pattern": "[a-z0-9.]+"}, "text": "log"},
    }
    stage.section = MirrorSection.model_validate({"publish": publish, "never": {"canaries": ["trap4711"]}})
    await stage.device("CAEN-1", "ON")
    await stage.alarm("device.chiller.state")
    wanted = {"device": (1, 0, 0), "event": (1, 0, 0), "alarm": (0, 1, 1)}
    for is_first in (True, False):
        async with stage.feed():
            if is_first:
                await stage.event("begun")
            await stage.clock.advance(30)
            assert stage.outside.withheld == wanted
    async with stage.feed():
        stage.outside.faults = ["before", "after", "before"]
        await stage.device("CAEN-1", "OFF")
        for number in range(5):
            await stage.event(f"again{number}")
        await stage.alarm("device.trap4711.state")
        await stage.clock.advance(60)
        assert stage.outside.withheld == {"device": (2, 0, 0), "event": (6, 0, 0), "alarm": (1, 1, 1)}
    assert "CAEN" not in str(stage.outside.rows)
