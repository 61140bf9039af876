"""Alarms of the section `alarms`: conditions of their own, and suppression by design, on the memory bus."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from countingroom.core import subjects
from countingroom.core.alarms.states import BaseState
from countingroom.core.messages import Link
from countingroom.core.values import Quality
from tests.console.runs_stage import partition
from tests.scenario.alarm_stage import AlarmStage

BATH = "point.chiller.bath"


@asynccontextmanager
async def staged(**section: Any) -> AsyncGenerator[AlarmStage]:
    """A stage with an engine and the host of the chiller."""
    stage = AlarmStage(section=section)
    await stage.prepare()
    async with stage.host("chiller"), stage.engine():
        yield stage


def custom(**condition: Any) -> dict[str, Any]:
    return {"own": {"guidance": {"do": ["look at it"]}, **condition}}


async def test_a_custom_limit_is_an_alarm_with_value_and_limit_in_its_text() -> None:
    limit = {"point": "chiller.bath", "alarm_high": 25.0}
    async with staged(custom=custom(limit=limit, title="Bath for the sensor", latching=True)) as stage:
        await stage.read(bath=26.0)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.id, alarm.title, alarm.priority) == ("custom.own", "Bath for the sensor", 2)
        assert (alarm.text, alarm.advice) == ("Bath 26.00 °C is above its alarm limit 25.00 °C", "look at it")
        await stage.read(bath=20.0)
        assert await stage.shown() == {"custom.own": "latched_unacknowledged"}


async def test_an_expression_over_several_points_is_an_alarm_while_it_is_true() -> None:
    names = {"bath": "chiller.bath", "pump": "chiller.pump"}
    async with staged(
        custom=custom(expression={"text": "bath > 20 and not pump", "names": names}, priority=1)
    ) as stage:
        await stage.read(bath=22.0)
        assert await stage.shown() == {}  # the pump is not known
        await stage.read(pump=False)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.id, alarm.priority, alarm.text) == (
            "custom.own",
            1,
            "bath > 20 and not pump is true: chiller.bath 22 °C, chiller.pump False",
        )
        await stage.read(Quality.BAD, bath=None)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.base, alarm.unknown) == (BaseState.UNACKNOWLEDGED, True)
        await stage.read(bath=19.0)
        assert await stage.shown() == {"custom.own": "returned"}


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ({"in": ["STANDBY"]}, "device.chiller is STANDBY"),
        ({"not_in": ["on"]}, "device.chiller is not on"),
    ],
)
async def test_a_state_that_is_or_is_not_in_a_set_is_an_alarm(condition: dict[str, Any], text: str) -> None:
    async with staged(custom=custom(state={"of": "device.chiller", **condition})) as stage:
        await stage.clock.advance(0.1)
        assert await stage.shown() == {}
        await stage.state(state="STANDBY", common="off")
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.id, alarm.text) == ("custom.own", text)
        await stage.state()
        assert await stage.shown() == {"custom.own": "returned"}


async def test_a_point_without_a_new_value_for_so_long_is_an_alarm() -> None:
    async with staged(custom=custom(silence={"point": "chiller.bath", "longer_than": 30})) as stage:
        await stage.read(bath=20.0)
        await stage.clock.advance(29)
        await stage.read(pump=False)
        assert await stage.shown() == {}
        await stage.clock.advance(2)
        assert await stage.shown() == {"custom.own": "unacknowledged"}
        await stage.read(bath=20.0)
        assert await stage.shown() == {"custom.own": "returned"}


async def test_a_readback_that_differs_from_its_setpoint_for_a_time_is_an_alarm() -> None:
    deviation = {"point": "chiller.1.v", "setpoint": "chiller.bath", "more_than": 1.0}
    async with staged(custom=custom(deviation=deviation, on_delay=5)) as stage:
        await stage.read(bath=20.0, ch1_v=20.5)
        await stage.read(ch1_v=22.0)
        await stage.clock.advance(4)
        assert await stage.shown() == {}
        await stage.clock.advance(2)
        assert await stage.shown() == {"custom.own": "unacknowledged"}


IDLE = {
    "idle": {
        "when": {"state": {"of": "partition.mCBM", "in": ["Idle"]}},
        "alarms": ["point.chiller.*"],
        "reason": "the chiller is off while mCBM is Idle",
    }
}


async def test_alarms_are_suppressed_while_the_condition_is_true_and_announced_after() -> None:
    async with staged(suppress=IDLE) as stage, stage.host("partition.mCBM", role="runs"):
        await stage.partition(partition("mCBM", state="Idle"))
        await stage.clock.advance(0.1)
        await stage.read(bath=36.0)
        alarm = (await stage.alarms())[BATH]
        assert (alarm.shown.value, alarm.suppressed) == ("suppressed", "the chiller is off while mCBM is Idle")
        assert f"announced {BATH}" not in await stage.told()
        await stage.partition(partition("mCBM", state="Active"))
        await stage.clock.advance(0.1)
        assert await stage.shown() == {BATH: "unacknowledged"}


async def test_a_suppression_whose_condition_ended_while_no_engine_ran_ends_after_the_start() -> None:
    stage = AlarmStage(section={"suppress": IDLE})
    await stage.prepare()
    async with stage.host("chiller", "partition.mCBM"):
        async with stage.engine():
            await stage.partition(partition("mCBM", state="Idle"))
            await stage.clock.advance(0.1)
            assert (await stage.shown())[BATH] == "suppressed"
        await stage.partition(partition("mCBM", state="Active"))
        async with stage.engine():
            await stage.clock.advance(6)
            assert await stage.shown() == {}


async def test_a_condition_that_is_not_known_suppresses_nothing() -> None:
    idle = {"idle": {**IDLE["idle"], "when": {"state": {"of": "device.chiller", "in": ["ON"]}}}}
    stage = AlarmStage(section={"suppress": idle})
    await stage.prepare()
    async with stage.engine():
        async with stage.host("chiller"):
            await stage.clock.advance(6)
            assert (await stage.shown())[BATH] == "suppressed"
        await stage.clock.advance(4)
        assert BATH not in await stage.shown()


async def test_a_custom_alarm_is_unknown_when_its_device_is_taken_out_of_the_description() -> None:
    limit = {"point": "chiller.bath", "alarm_high": 25.0}
    async with staged(custom=custom(limit=limit)) as stage:
        await stage.read(bath=26.0)
        await stage.bus.delete("state", subjects.catalogue_key("chiller"))
        await stage.clock.advance(0.1)
        assert (await stage.alarms())["custom.own"].unknown


async def test_an_alarm_that_is_off_does_not_exist() -> None:
    async with staged(overrides={BATH: {"off": True}, "device.*.link": {"priority": 4}}) as stage:
        await stage.read(bath=36.0)
        assert await stage.shown() == {}
        await stage.state(link=Link.DISCONNECTED, state="DISCONNECTED")
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.id, alarm.priority) == ("device.chiller.link", 4)


VALUE = "value.chiller.bath"


def values(**changes: Any) -> dict[str, Any]:
    return {"overrides": {VALUE: {"priority": 2, **changes}}}


async def test_a_value_that_is_stale_or_bad_is_an_alarm_where_an_override_names_it() -> None:
    async with staged(**values()) as stage:
        await stage.read(bath=20.0, pump=False)
        assert await stage.shown() == {}
        await stage.read(Quality.BAD, bath=None, pump=None)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.id, alarm.title, alarm.priority) == (VALUE, "Chiller / Bath", 2)
        assert alarm.text == "the value of Bath is bad"
        await stage.read(bath=20.0)
        assert await stage.shown() == {VALUE: "returned"}


async def test_a_value_that_does_not_come_after_the_start_is_missing() -> None:
    async with staged(**values()) as stage:
        await stage.clock.advance(3)
        assert await stage.shown() == {}
        await stage.clock.advance(6)
        (alarm,) = (await stage.alarms()).values()
        assert (alarm.id, alarm.text) == (VALUE, "the value of Bath is missing")


async def test_the_delay_of_an_alarm_about_a_value_counts() -> None:
    async with staged(**values(on_delay="10 s")) as stage:
        await stage.read(bath=20.0)
        await stage.read(Quality.STALE, bath=20.0)
        await stage.clock.advance(8)
        assert await stage.shown() == {}
        await stage.clock.advance(4)
        assert await stage.shown() == {VALUE: "unacknowledged"}


async def test_the_stale_values_of_a_lost_device_are_folded_under_its_link() -> None:
    stage = AlarmStage(section=values())
    await stage.prepare()
    async with stage.engine():
        async with stage.host("chiller"):
            await stage.read(bath=20.0)
            await stage.clock.advance(6)
            assert await stage.shown() == {}
        await stage.clock.advance(10)
        found = await stage.alarms()
        assert found.keys() == {"device.chiller.link", VALUE}
        assert (found[VALUE].cause_id, found[VALUE].announced_ns) == ("device.chiller.link", None)


async def test_the_state_of_a_role_is_watched() -> None:
    state = {"of": "role.history", "in": ["gone"]}
    stage = AlarmStage(section={"custom": custom(state=state)}, roles=("history",))
    await stage.prepare()
    async with stage.host("chiller"), stage.engine():
        async with stage.host(role="history"):
            await stage.clock.advance(6)
            assert await stage.shown() == {}
        await stage.clock.advance(8)
        assert (await stage.shown())["custom.own"] == "unacknowledged"


@pytest.mark.parametrize(
    ("id", "section", "roles", "after"),
    [
        ("custom.own", {"custom": custom(limit={"point": "chiller.bath", "alarm_high": 25.0})}, (), {}),
        ("custom.own", {"custom": custom(state={"of": "device.chiller", "in": ["ON"]})}, (), {}),
        (
            "custom.own",
            {"custom": custom(state={"of": "device.chiller", "in": ["ON"]})},
            (),
            {
                "custom": custom(state={"of": "device.chiller", "in": ["ON"]}),
                "overrides": {"custom.own": {"off": True}},
            },
        ),
        ("value.chiller.pump", {"overrides": {"value.chiller.pump": {"priority": 2}}}, (), {}),
        ("role.history", {}, ("history",), {}),
    ],
    ids=["custom limit", "custom state", "custom switched off", "value", "role"],
)
async def test_an_alarm_that_the_description_no_longer_has_is_closed_by_the_next_engine(
    id: str, section: dict[str, Any], roles: tuple[str, ...], after: dict[str, Any]
) -> None:
    before = AlarmStage(section=section, roles=roles)
    await before.prepare()
    async with before.host("chiller"), before.engine():
        await before.clock.advance(6)
        await before.read(bath=27.0)
        await before.clock.advance(20)
        assert id in await before.shown()
    edited = AlarmStage(section=after)
    edited.clock = before.clock
    edited.bus = before.bus
    edited.store = before.store
    async with edited.host("chiller"), edited.engine():
        assert id not in await edited.shown()
        assert f"closed {id}" in await edited.told()
