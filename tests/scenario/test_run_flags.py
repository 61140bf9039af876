"""A run that lost a member, a condition, its owner or its end says so by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from countingroom.bus.port import Stored
from countingroom.core import subjects
from countingroom.core.messages import Catalogue, Readings, encode
from countingroom.core.points import Point
from countingroom.core.run_book import Run, RunFilter
from countingroom.core.values import Quality, Scalar
from countingroom.runs.description import RunsSection
from tests.scenario.experiment import World, description, experiment

CONDITIONS = [{"point": "co2.t", "high": -20.0}, "hv.u"]


def with_conditions() -> RunsSection:
    """The same with conditions in the template of the partition."""
    plain: dict[str, Any] = description().model_dump(mode="json", by_alias=True, exclude_unset=True)
    template = RunsSection.model_validate({}).templates["cbm"].model_dump(mode="json", by_alias=True)
    plain["templates"] = {"cbm": {**template, "conditions": CONDITIONS}}
    return RunsSection.model_validate(plain)


class Device:
    """Publishes readings of one device, as a device host does."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self._sequence = 0

    async def says(self, point: str, value: Scalar, quality: Quality = Quality.GOOD) -> None:
        now_ns = self._world.clock.now_ns()
        self._sequence += 1
        told = Readings(
            device=self._name,
            boot="b",
            sequence=self._sequence,
            full=True,
            sent_ns=now_ns,
            points=[point],
            values=[value],
            qualities=[quality],
            device_ns=[now_ns],
            received_ns=[now_ns],
        )
        await self._world.bus.append(subjects.readings(self._name, full=True), encode(told))


async def begun(world: World) -> None:
    await world.does("configure_all")
    await world.does("start")


async def begun_with_conditions(world: World) -> tuple[Device, Device]:
    """A run whose two conditions are right; their devices."""
    co2, hv = Device(world, "co2"), Device(world, "hv")
    await co2.says("t", -25.0)
    await hv.says("u", 500.0)
    await begun(world)
    return co2, hv


async def the_run(world: World) -> Run:
    await world.clock.advance(1)
    (run,) = await world.runs()
    return run


def told(run: Run) -> list[tuple[str, str]]:
    return [(one.flag.value, one.what) for one in run.flags]


async def test_a_run_that_was_stopped_has_no_flag() -> None:
    async with experiment() as world:
        await begun(world)
        await world.does("stop")
        assert (await the_run(world)).flags == ()


async def test_a_member_that_is_excluded_and_included_again_degrades_the_run_between() -> None:
    async with experiment() as world:
        await begun(world)
        await world.clock.advance(5)
        await world.does("exclude", system="MVD")
        run = await the_run(world)
        assert told(run) == [("degraded", "MVD is excluded")]
        assert run.flags[0].until_ns is None
        assert run.started_ns
        assert run.flags[0].since_ns > run.started_ns
        await world.does("include", system="MVD")
        await world.clock.advance(5)
        run = await the_run(world)
        assert run.flags[0].until_ns
        assert run.flags[0].until_ns > run.flags[0].since_ns
        await world.does("stop")
        assert (await the_run(world)).flags == run.flags
        assert await world.database.runs.find(RunFilter(flag="degraded")) == await world.runs()
        assert await world.database.runs.find(RunFilter(flag="interrupted")) == ()
        assert await world.database.runs.find(RunFilter(flag="")) == ()


async def test_a_member_in_error_degrades_the_run_that_goes_on() -> None:
    section = description()
    partition = section.partitions["A"].model_copy(update={"expendable": ["MVD"]})
    section = section.model_copy(update={"partitions": {"A": partition}})
    async with experiment(section) as world:
        await begun(world)
        await world.say("MVD", "fault", name="error")
        run = await the_run(world)
        assert run.end is None
        (flag,) = run.flags
        assert flag.subject == "MVD"
        assert flag.what.startswith("MVD is in Error: ")


async def test_a_member_that_was_in_error_before_the_run_degrades_it_from_its_begin() -> None:
    section = description()
    partition = section.partitions["A"].model_copy(update={"expendable": ["MVD"]})
    section = section.model_copy(update={"partitions": {"A": partition}})
    async with experiment(section) as world:
        await world.does("configure_all")
        await world.say("MVD", "fault", name="error")
        await world.say("MVD", "fault", name="fail", times=9)
        await world.does("start")
        run = await the_run(world)
        (flag,) = run.flags
        assert (flag.flag.value, flag.subject) == ("degraded", "MVD")
        assert flag.what.startswith("MVD is in Error: ")
        assert run.started_ns and flag.since_ns >= run.started_ns


async def test_a_run_that_lost_a_recorder_is_interrupted_and_says_by_what() -> None:
    async with experiment() as world:
        await begun(world)
        await world.say("QA", "fault", name="error", partition="A")
        await world.until(lambda: over(world))
        run = await the_run(world)
        assert run.flagged == ("interrupted", "incomplete")
        assert "QA is lost: simulated error" in run.flags[0].what.replace("QA of ", "")
        assert run.flags[0].since_ns == run.ended_ns


async def test_an_aborted_run_is_interrupted() -> None:
    async with experiment() as world:
        await begun(world)
        await world.does("abort")
        assert told(await the_run(world)) == [("interrupted", "the run was aborted")]


async def test_a_run_whose_recorder_did_not_stop_is_incomplete() -> None:
    async with experiment() as world:
        await begun(world)
        await world.say("FLES", "fault", name="hang", partition="A")
        await world.does("stop")
        await world.until(lambda: over(world), seconds=60)
        run = await the_run(world)
        assert run.flagged == ("incomplete",)
        assert run.flags[0].subject == "FLES"
        assert "FLES did not stop" in run.flags[0].what


async def over(world: World) -> bool:
    return (await world.runs())[0].end is not None


async def test_a_run_that_goes_on_under_another_owner_is_degraded() -> None:
    async with experiment() as world:
        await begun(world)
        await world.clock.advance(5)
        await world.kill("runs")
        world.begin_runs("second")
        await world.clock.advance(10)
        await world.does("stop")
        run = await the_run(world)
        assert [(one.flag, one.subject) for one in run.flags] == [("degraded", "owner")]


async def test_a_run_that_its_owner_left_behind_is_interrupted() -> None:
    async with experiment() as world:
        await begun(world)
        await world.kill("runs")
        for system in ("FLES", "QA"):
            await world.say(system, "fault", name="error", partition="A")
        world.begin_runs("second")
        await world.until(lambda: over(world))
        assert (await the_run(world)).flagged[:1] == ("interrupted",)


async def test_a_condition_outside_its_limits_degrades_the_run_until_it_is_inside_again() -> None:
    async with experiment(with_conditions()) as world:
        co2, hv = await begun_with_conditions(world)
        await world.clock.advance(2)
        assert (await the_run(world)).flags == ()
        await co2.says("t", -15.0)
        assert told(await the_run(world)) == [("degraded", "co2.t is -15, above -20")]
        await co2.says("t", -24.0)
        run = await the_run(world)
        assert run.flags[0].until_ns
        await hv.says("u", None, Quality.BAD)
        assert told(await the_run(world))[1:] == [("degraded", "hv.u is BAD")]


async def test_the_record_of_a_run_holds_its_conditions_at_begin_and_end() -> None:
    async with experiment(with_conditions()) as world:
        co2, _ = await begun_with_conditions(world)
        await co2.says("t", -30.0)
        await world.clock.advance(1)
        await world.does("stop")
        run = await the_run(world)
        assert {name: one.value for name, one in run.conditions_begin.items()} == {"co2.t": -25.0, "hv.u": 500.0}
        assert {name: one.value for name, one in run.conditions_end.items()} == {"co2.t": -30.0, "hv.u": 500.0}


async def test_a_device_that_is_no_longer_published_is_a_lost_condition() -> None:
    async with experiment(with_conditions()) as world:
        co2, _ = await begun_with_conditions(world)
        await world.clock.advance(60)
        await co2.says("t", -25.0)
        await world.clock.advance(40)
        assert told(await the_run(world)) == [("degraded", "hv.u is STALE: nothing was published for 1 min 30 s")]


async def test_readings_of_a_condition_that_cannot_be_decoded_are_a_dead_letter() -> None:
    async with experiment(with_conditions()) as world:
        await world.bus.append(subjects.readings("co2", full=True), b"\x91\xc1")
        await world.clock.advance(1)
        (bus,) = world.buses.values()
        assert bus.dead_letters.count


async def test_readings_of_a_limit_that_cannot_be_decoded_are_a_dead_letter() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        co2 = Device(world, "co2")
        catalogue = Catalogue(device="co2", title="", driver="", group="", points=(Point(name="t"),))
        await world.bus.put(subjects.STATE_BUCKET, subjects.catalogue_key("co2"), encode(catalogue))
        await co2.says("t", -25.0)
        await world.does("start", point="co2.t", above=-10.0)
        (bus,) = world.buses.values()
        await world.bus.publish(subjects.live_readings("co2"), b"\x91\xc1")
        await world.clock.advance(1)
        assert bus.dead_letters.count


async def test_the_point_of_the_limit_of_a_run_is_one_of_its_conditions() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        co2 = Device(world, "co2")
        catalogue = Catalogue(device="co2", title="", driver="", group="", points=(Point(name="t"),))
        await world.bus.put(subjects.STATE_BUCKET, subjects.catalogue_key("co2"), encode(catalogue))
        await co2.says("t", -25.0)
        await world.does("start", point="co2.t", above=-10.0)
        await world.clock.advance(2)
        assert (await the_run(world)).flags == ()
        await co2.says("t", None, Quality.BAD)
        assert told(await the_run(world)) == [("degraded", "co2.t is BAD")]


@pytest.mark.parametrize(
    ("conditions", "word"),
    [
        (["co2.t", "co2.t"], "co2.t is a condition already"),
        ([{"point": "co2.t", "low": 1, "high": 0}], "low 1 is above high 0"),
    ],
)
def test_conditions_that_contradict_each_other_are_told(conditions: list[Any], word: str) -> None:
    template = RunsSection.model_validate({}).templates["cbm"]
    plain = {**template.model_dump(mode="json", by_alias=True), "conditions": conditions}
    found = [why for _, why in type(template).model_validate(plain).problems()]
    assert found == [word]


async def test_a_new_owner_that_has_not_read_the_values_yet_does_not_call_them_missing() -> None:
    async with experiment(with_conditions()) as world:
        await begun_with_conditions(world)
        await world.clock.advance(5)
        await world.kill("runs")
        world.begin_runs("second")
        bus = world.buses["second"]
        replay, asked = bus.replay, asyncio.Event()

        @asynccontextmanager
        async def slow(stream: str, **wanted: Any) -> AsyncGenerator[AsyncIterator[Stored]]:
            if stream == subjects.READINGS_STREAM:
                asked.set()
                await world.clock.sleep(5.0)
            async with replay(stream, **wanted) as stored:
                yield stored

        bus.replay = slow  # type: ignore[method-assign]
        await world.clock.advance(25)
        assert asked.is_set()
        flags = [one.what for one in (await the_run(world)).flags]
        assert flags, "its owner died"
        assert not [what for what in flags if "no reading" in what]


async def test_a_value_that_was_never_published_is_missing_for_a_new_owner_too() -> None:
    async with experiment(with_conditions()) as world:
        await begun(world)
        await world.clock.advance(1)
        await world.kill("runs")
        world.begin_runs("second")
        await world.clock.advance(20)
        flags = [one for one in (await the_run(world)).flags if one.what == "there is no reading of co2.t"]
        assert len(flags) == 1, "it goes on"
        assert flags[0].until_ns is None
