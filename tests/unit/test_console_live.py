"""The live feed: a snapshot, then numbered changes. A page that returns resumes; a slow one gets a new snapshot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.console.context import ConsoleContext
from countingroom.console.live.backlog import Backlog, FeedChange
from countingroom.console.live.feed import LiveFeed
from countingroom.console.live.subscription import LiveSubscription, parse
from countingroom.console.live.viewer_queue import Viewer
from countingroom.core.alarms.states import BaseState
from countingroom.core.errors import RequestError
from countingroom.core.messages import EventKind
from countingroom.storage.database import Database
from countingroom.testing.clock import FakeClock
from tests.console.alarms_stage import AlarmStage
from tests.console.runs_stage import RunsStage
from tests.console.stage import Stage, caen, stage
from tests.patience import PATIENCE_S

EVERYTHING = LiveSubscription(devices=None, points=None, states=True, events=True)
QUIET = LiveSubscription(devices=frozenset({"chiller"}), points=frozenset(), states=False, events=False)


class Scene:
    """A room whose hub ticks when the test says so."""

    def __init__(self, here: Stage, room: ConsoleContext, clock: FakeClock) -> None:
        self.here = here
        self.context = room
        self.clock = clock
        self.feed = room.feed

    async def tick(self, seconds: float = 0.2) -> None:
        """Let the bus deliver, time pass, and the hub tick."""
        await self.clock.advance(seconds)
        self.feed.tick()


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    clock = FakeClock()
    async with stage(clock) as here:
        room = ConsoleContext(here.bus.client(), clock, title="t", version="1", tick_s=1e9)
        async with room.open():
            await clock.advance(0.1)
            await here.beat("caen", "chiller")
            scene = Scene(here, room, clock)
            await scene.tick()
            yield scene


async def take(hub: LiveFeed, viewer: Viewer) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        return json.loads(await hub.next(viewer))


async def drain(hub: LiveFeed, viewer: Viewer) -> list[dict[str, Any]]:
    """What waits now."""
    found = [await take(hub, viewer)]
    while viewer._waiting:  # pyright: ignore[reportPrivateUsage]
        found.append(await take(hub, viewer))
    return found


async def test_a_viewer_begins_with_everything_it_asked_for(scene: Scene) -> None:
    with scene.feed.viewer(EVERYTHING) as viewer:
        told = await take(scene.feed, viewer)
    assert told["kind"] == "snapshot"
    assert told["points"]["caen.0.hv_vMon"][:2] == [5.0, 0]
    assert told["states"]["channel.caen.1"]["state"] == "HV_ON"
    assert told["alive"] == {"caen": True, "chiller": True}
    assert told["counts"] == [0, 0, 0]


async def test_then_come_deltas_with_growing_revisions_of_what_changed_alone(scene: Scene) -> None:
    alarms = AlarmStage(scene.here)
    with scene.feed.viewer(EVERYTHING) as viewer:
        first = await take(scene.feed, viewer)
        await scene.here.readings("caen", {"0.hv_iMon": 11.0})
        await scene.tick()
        second = await take(scene.feed, viewer)
        point = {"device": "caen", "point": "0.hv_iMon"}
        await alarms.publish(alarms.alarm("point.caen.0.hv_iMon", **point))
        await scene.tick()
        judged = await take(scene.feed, viewer)
        await scene.here.state("caen", "LV_ON", channel="2")
        await scene.here.event("caen", message="channel 2 is LV_ON")
        await scene.tick()
        third = await take(scene.feed, viewer)
    assert list(second["points"]) == ["caen.0.hv_iMon"]
    assert second["points"]["caen.0.hv_iMon"][3] == 0
    assert judged["points"]["caen.0.hv_iMon"][:4:3] == [11.0, 2]
    assert first["revision"] < second["revision"] < third["revision"]
    assert "points" not in third
    assert third["states"]["channel.caen.2"]["state"] == "LV_ON"
    assert third["events"][0]["message"] == "channel 2 is LV_ON"


async def test_many_changes_within_a_tick_are_one_the_latest_wins(scene: Scene) -> None:
    with scene.feed.viewer(EVERYTHING) as viewer:
        await take(scene.feed, viewer)
        for number in range(50):
            await scene.here.readings("caen", {"0.hv_vMon": float(number)})
        await scene.tick()
        told = await drain(scene.feed, viewer)
    assert [one["points"]["caen.0.hv_vMon"][0] for one in told] == [49.0]


async def test_a_wish_is_kept_to(scene: Scene) -> None:
    some = LiveSubscription(devices=None, points=frozenset({"caen.1.hv_vMon"}), states=False, events=False)
    with scene.feed.viewer(QUIET) as quiet, scene.feed.viewer(some) as viewer:
        assert (await take(scene.feed, quiet))["points"] == {}
        assert list((await take(scene.feed, viewer))["points"]) == ["caen.1.hv_vMon"]
        await scene.here.readings("caen", {"0.hv_vMon": 1.0, "1.hv_vMon": 2.0})
        await scene.here.state("chiller", "OFF")
        await scene.tick(0.5)
        assert list((await take(scene.feed, viewer))["points"]) == ["caen.1.hv_vMon"]
        await scene.tick(0.6)
        assert (await take(scene.feed, quiet))["kind"] in ("tick", "delta")


async def test_silence_is_broken_every_second_by_a_tick(scene: Scene) -> None:
    with scene.feed.viewer(QUIET) as viewer:
        await take(scene.feed, viewer)
        for _ in range(10):
            await scene.tick(0.2)
        kinds = [one["kind"] for one in await drain(scene.feed, viewer)]
    assert kinds.count("tick") >= 2


async def test_who_was_away_resumes_without_a_snapshot_and_misses_nothing(scene: Scene) -> None:
    with scene.feed.viewer(EVERYTHING) as viewer:
        seen = (await take(scene.feed, viewer))["revision"]
    for number in range(5):
        await scene.here.readings("caen", {f"{number % 3}.hv_vMon": float(number)})
        await scene.tick()
    with scene.feed.viewer(EVERYTHING, resume=seen) as viewer:
        told = await drain(scene.feed, viewer)
    assert [one["kind"] for one in told] == ["delta"] * 5
    assert [next(iter(one["points"].values()))[0] for one in told] == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("resume", [1, 2**52])
async def test_who_was_away_too_long_or_in_another_life_gets_a_snapshot(scene: Scene, resume: int) -> None:
    with scene.feed.viewer(EVERYTHING, resume=resume) as viewer:
        assert (await take(scene.feed, viewer))["kind"] == "snapshot"


async def test_a_slow_viewer_gets_a_snapshot_and_nobody_else_waits(scene: Scene) -> None:
    with scene.feed.viewer(EVERYTHING) as slow, scene.feed.viewer(EVERYTHING) as quick:
        await take(scene.feed, slow)
        await take(scene.feed, quick)
        for number in range(40):
            await scene.here.readings("caen", {"0.hv_vMon": float(number)})
            await scene.tick()
            assert (await take(scene.feed, quick))["points"]["caen.0.hv_vMon"][0] == number
        told = await take(scene.feed, slow)
    assert told["kind"] == "snapshot"
    assert told["points"]["caen.0.hv_vMon"][0] == 39.0
    assert scene.feed.dropped == 1


async def test_a_device_whose_host_falls_silent_is_stale(scene: Scene) -> None:
    with scene.feed.viewer(EVERYTHING) as viewer:
        await take(scene.feed, viewer)
        for _ in range(12):
            await scene.tick(0.5)
        told = await drain(scene.feed, viewer)
    gone = next(one for one in told if one.get("alive", {}).get("caen") is False)
    assert gone["points"]["caen.0.hv_vMon"][3] == 4
    assert gone["devices"]["caen"]["worst"] == 4
    await scene.here.beat("caen", "chiller")
    await scene.tick()
    assert scene.context.device_rows.living() == {"caen": True, "chiller": True}
    assert scene.context.device_rows.summary("caen").no_link == 0


async def test_alarms_come_to_those_who_watch_them_and_to_nobody_else(scene: Scene) -> None:
    alarms = AlarmStage(scene.here)
    watch, _ = parse('{"watch": {"devices": [], "points": false, "states": false, "events": false, "alarms": true}}')
    every = LiveSubscription(devices=None, points=None, states=True, events=True, partitions=None)
    await alarms.publish(alarms.alarm("custom.a"))
    await scene.tick(1.1)
    with scene.feed.viewer(watch) as one, scene.feed.viewer(every) as other:
        assert list((await take(scene.feed, one))["states"]) == ["alarm.custom.a"]
        assert not any(key.startswith("alarm.") for key in (await take(scene.feed, other))["states"])
        await alarms.publish(alarms.alarm("custom.a", base=BaseState.NORMAL), alarms.alarm("custom.b"))
        await scene.tick(1.1)
        told = await take(scene.feed, one)
        assert told["states"]["alarm.custom.a"] is None
        assert told["states"]["alarm.custom.b"]["base"] == "unacknowledged"
        assert "states" not in (delta := await take(scene.feed, other))
        assert [alarm["id"] for alarm in delta["alarms"]] == ["custom.b"]


async def test_every_page_is_told_the_newest_alarm_and_whether_the_department_runs(scene: Scene) -> None:
    alarms = AlarmStage(scene.here)
    with scene.feed.viewer(QUIET) as viewer:
        first = await take(scene.feed, viewer)
        assert (first["newest"], first["waiting"], first["watched"]) == (None, 0, False)
        cause = alarms.alarm("custom.a", first_out=True)
        await alarms.publish(cause, alarms.alarm("custom.b", cause_id="custom.a"), alarms.alarm("custom.c", age_s=500))
        await alarms.beat()
        await scene.tick(1.1)
        told = (await drain(scene.feed, viewer))[-1]
    assert (told["newest"]["id"], told["waiting"], told["follow"], told["watched"]) == ("custom.a", 2, 1, True)
    assert told["counts"] == [0, 2, 0]
    assert [(one["id"], one["after_ns"], one["consequences"]) for one in told["alarms"]] == [
        ("custom.a", None, 1),
        ("custom.b", 0, 0),
        ("custom.c", None, 0),
    ]


async def test_a_catalogue_that_changes_is_told(scene: Scene) -> None:
    with scene.feed.viewer(EVERYTHING) as viewer:
        first = await take(scene.feed, viewer)
        await scene.here.catalogue(caen(4))
        await scene.tick()
        changed = (await take(scene.feed, viewer))["catalogues"]
        assert changed["chiller"] == first["catalogues"]["chiller"]
        assert changed["caen"] != first["catalogues"]["caen"]
        await scene.here.catalogue(caen(4, boot="boot2"))
        await scene.tick()
        assert "catalogues" not in (await drain(scene.feed, viewer))[0]


async def test_a_device_is_encoded_for_snapshots_once_until_it_changes(scene: Scene) -> None:
    first = json.loads(scene.feed.snapshot(EVERYTHING))
    await scene.here.readings("caen", {"0.hv_vMon": 6.0})
    await scene.here.state("caen", "LV_ON", channel="2")
    await scene.clock.advance(0.1)
    told = json.loads(scene.feed.snapshot(EVERYTHING))
    assert (told["points"], told["states"]) == (first["points"], first["states"])  # the next tick takes the change in
    await scene.tick()
    told = json.loads(scene.feed.snapshot(EVERYTHING))
    assert told["points"]["caen.0.hv_vMon"][0] == 6.0
    assert told["states"]["channel.caen.2"]["state"] == "LV_ON"
    assert told["revision"] > first["revision"]


async def test_losing_the_bus_is_told_and_its_return_too(scene: Scene) -> None:
    bus = scene.here.bus.client()
    room = ConsoleContext(bus, scene.clock, title="t", version="1", tick_s=1e9)
    async with room.open():
        await scene.clock.advance(0.1)
        with room.feed.viewer(QUIET) as viewer:
            assert (await take(room.feed, viewer))["bus"] is True
            for connected, change_link in ((False, bus.cut), (True, bus.mend)):
                change_link()
                await scene.clock.advance(0.2)
                room.feed.tick()
                assert [one["bus"] for one in await drain(room.feed, viewer) if "bus" in one][-1] is connected


async def test_a_page_that_opens_while_the_link_is_lost_for_an_instant_does_not_stay_lost(scene: Scene) -> None:
    bus = scene.here.bus.client()
    room = ConsoleContext(bus, scene.clock, title="t", version="1", tick_s=1e9)
    async with room.open():
        await scene.clock.advance(0.1)
        bus.cut()
        with room.feed.viewer(QUIET) as viewer:
            told = [await take(room.feed, viewer)]
            told += [json.loads(one) for one in room.feed.messages(QUIET, told[0]["revision"])]
            bus.mend()
            await scene.clock.advance(0.2)
            room.feed.tick()
            told += await drain(room.feed, viewer)
        assert [one["bus"] for one in told if "bus" in one][-1] is True


def change(revision: int, size: int = 10) -> FeedChange:
    return FeedChange(
        revision=revision, time_ns=0, rows={}, points={"d": b"x" * size}, states={}, words={}, events={}, shared=b""
    )


@given(most=st.integers(1, 20), count=st.integers(0, 40), asked=st.integers(-5, 50))
def test_a_resume_is_complete_or_none(most: int, count: int, asked: int) -> None:
    ring = Backlog(most=most)
    for revision in range(1, count + 1):
        ring.add(change(revision))
    found = ring.after(asked, now=count)
    if found is not None:
        assert [one.revision for one in found] == list(range(asked + 1, count + 1))
    assert (found is not None) == (max(count - most, 0) <= asked <= count)


def test_the_ring_is_bounded_in_bytes() -> None:
    ring = Backlog(most=1000, most_bytes=6 * 100)
    for revision in range(1, 30):
        ring.add(change(revision, 10))
    kept = ring.after(19, now=29)
    assert kept is not None
    assert len(kept) == 10
    assert ring.after(18, now=29) is None


@pytest.mark.parametrize("text", ["", "[]", '{"watch": {"devices": 5}}', '{"do": 1}', '{"watch": {"secret": true}}'])
def test_what_is_no_wish_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(text)
    assert "watch" in refused.value.cause.suggestion


def test_wishes_that_mean_the_same_are_one() -> None:
    assert (
        parse('{"watch": {"devices": ["b", "a"]}}')[0] == parse('{"watch": {"devices": ["a", "b"], "points": true}}')[0]
    )
    assert isinstance(hash(parse("{}")[0]), int)


async def test_words_of_run_control_reach_those_who_watch_the_partition_and_nobody_else(scene: Scene) -> None:
    runs = RunsStage(scene.here, Database("sqlite://"))
    mine = LiveSubscription(
        devices=frozenset(), points=frozenset(), states=False, events=True, partitions=frozenset({"mCBM"})
    )
    everything = LiveSubscription(devices=frozenset(), points=frozenset(), states=False, events=False, partitions=None)
    with scene.feed.viewer(mine) as one, scene.feed.viewer(everything) as all_, scene.feed.viewer(QUIET) as quiet:
        for viewer in (one, all_, quiet):
            await take(scene.feed, viewer)
        await runs.partition("mCBM")
        await runs.partition("lab")
        await runs.system("STS", "mCBM")
        await runs.control("mCBM", "m.rossi")
        await runs.places(STS="mCBM")
        await runs.event("mCBM", message="state Idle → TFC_Active")
        await scene.tick(1.1)
        told = await take(scene.feed, one)
        assert sorted(told["states"]) == ["control.mCBM", "partition.mCBM", "system.STS"]
        assert told["events"][0]["message"] == "state Idle → TFC_Active"
        assert {"partition.lab", "detectors"} <= set((await take(scene.feed, all_))["states"])
        assert "states" not in await take(scene.feed, quiet)
        await scene.here.bus.delete("state", "partition.mCBM")
        await scene.tick(1.1)
        assert (await take(scene.feed, one))["states"] == {"partition.mCBM": None}


async def test_an_alarm_of_a_member_is_one_of_its_partition(scene: Scene) -> None:
    runs, alarms = RunsStage(scene.here, Database("sqlite://")), AlarmStage(scene.here)
    with scene.feed.viewer(EVERYTHING) as viewer:
        await take(scene.feed, viewer)
        await runs.partition("mCBM")
        about = {"partition": "mCBM", "title": "mCBM / STS", "system": "STS"}
        broken = alarms.alarm("member.mCBM.STS", priority=1, text="crate 12 lost sync", **about)
        await alarms.publish(broken, alarms.alarm("partition.mCBM.goal", priority=3, partition="mCBM"))
        await scene.tick(1.1)
        told = (await drain(scene.feed, viewer))[-1]
    assert told["counts"] == [1, 0, 1]
    shown = [(one["partition"], one["device"], one["title"], one["what"]) for one in told["alarms"]]
    assert shown[0] == ("mCBM", "STS", "mCBM / STS", "crate 12 lost sync")
    assert shown[1][:2] == ("mCBM", "mCBM")
    state = {"worst": 1, "priorities": [1, 0, 1], "gone_ns": None, "state": "TFC_Active", "run": 0}
    assert told["partitions"]["mCBM"] == {**state, "holder": "", "asks": []}
    assert told["foremost"] == "mCBM"


async def test_a_request_for_control_reaches_every_page(scene: Scene) -> None:
    runs = RunsStage(scene.here, Database("sqlite://"))
    quiet = LiveSubscription(devices=frozenset(), points=frozenset(), states=False, events=False)
    with scene.feed.viewer(quiet) as viewer:
        await take(scene.feed, viewer)
        await runs.partition("mCBM")
        await runs.control("mCBM", "anna")
        await runs.event("mCBM", EventKind.DONE, action="request_control", principal="ben")
        await scene.tick(1.1)
        told = (await drain(scene.feed, viewer))[-1]["partitions"]["mCBM"]
    assert told["holder"] == "anna"
    assert [one["by"] for one in told["asks"]] == ["ben"]
