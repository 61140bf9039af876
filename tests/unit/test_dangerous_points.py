"""Limits that protect hardware are dangerous to write: they need the role expert, like dangerous commands."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import msgspec
import pytest

from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError
from countingroom.core.messages import CommandSpec
from countingroom.core.points import Point
from countingroom.devices.drivers.caen.columns import SIDES, point
from countingroom.devices.point_overrides import overridden, overridden_commands
from countingroom.devices.section import CommandOverride, PointOverride
from tests.console.people import house
from tests.console.stage import CHILLER, stage

SET = "/api/v1/devices/chiller/commands/set"


async def test_a_shifter_sets_a_temperature_but_not_the_limit_that_protects() -> None:
    limit = Point(name="over_temp", writable=True, dangerous=True, write_low=0.0, write_high=90.0)
    catalogue = msgspec.structs.replace(CHILLER, points=(*CHILLER.points, limit))
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(stage(SystemClock()))
        await here.catalogue(catalogue)
        home = await stack.enter_async_context(house(here))
        codes: dict[tuple[str, str], int] = {}
        for name in ("vera", "sam", "eve"):
            program = await home.program(name)
            for wanted in ("setpoint_1", "over_temp"):
                answer = await program.post(SET, json={"arguments": {"point": wanted, "value": 5.0}})
                codes[name, wanted] = answer.status_code
            page = (await program.get("/devices/chiller")).text
            data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
            assert ("set_dangerous" in data["denied"]) == (name != "eve")
    assert codes == {
        ("vera", "setpoint_1"): 403,
        ("vera", "over_temp"): 403,
        ("sam", "setpoint_1"): 202,
        ("sam", "over_temp"): 403,
        ("eve", "setpoint_1"): 202,
        ("eve", "over_temp"): 202,
    }


def test_the_protections_of_a_caen_channel_are_dangerous() -> None:
    made = [point("0", side, column, im_range="Low") for side, columns in SIDES for column in columns]
    dangerous = {one.column for one in made if one.dangerous}
    assert {"lv_tripTime", "hv_tripTime", "lv_ovVthr", "lv_unVthr", "hv_maxI", "hv_tripMode"} <= dangerous
    assert not dangerous & {"lv_setV", "hv_setV", "hv_rampUpSpeed", "hv_imRange"}
    assert all(one.writable for one in made if one.dangerous)


def test_a_description_marks_points_and_commands() -> None:
    points = (Point(name="a.limit", writable=True), Point(name="a.set", writable=True, dangerous=True))
    overrides = {"*.limit": PointOverride(dangerous=True), "a.set": PointOverride(dangerous=False)}
    assert [one.dangerous for one in overridden(points, overrides)] == [True, False]
    commands = (CommandSpec(name="on"), CommandSpec(name="on", scope="channel"), CommandSpec(name="off"))
    marked = overridden_commands(commands, {"on": CommandOverride(dangerous=True)})
    assert [one.dangerous for one in marked] == [True, True, False]
    with pytest.raises(ConfigurationError) as refused:
        overridden_commands(commands, {"of": CommandOverride(dangerous=True)}, source="devices.a.commands")
    assert "choose from off, on" in refused.value.cause.suggestion
