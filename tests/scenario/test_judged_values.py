"""Which values a device would refuse is told by the admission that judges the commands, and nothing is done."""

from __future__ import annotations

import pytest

from countingroom.bus.streams import prepare
from countingroom.core.admission import JUDGE, WOULD_REFUSE
from countingroom.core.messages import EventKind
from countingroom.core.values import Scalar
from tests.scenario.test_device_host import Room


@pytest.fixture
async def room() -> Room:
    made = Room()
    await prepare(made.bus)
    return made


async def test_each_value_that_would_be_refused_is_told_as_the_command_would_be(room: Room) -> None:
    room.supply.values["a.on"] = True
    values: dict[str, Scalar] = {"a.v_set": 5.0, "b.v_set": 5.0, "b.nothing": 1, "temperature": 3.0}
    async with room.host():
        reply = await room.give(JUDGE, arguments=values)
        assert reply.cause
        assert reply.cause.code == WOULD_REFUSE
        told = {cause.evidence["point"]: cause.message for cause in reply.cause.causes}
        assert told.keys() == {"a.v_set", "b.nothing", "temperature"}
        assert await room.events(EventKind.REFUSED, EventKind.COMMAND) == [], "it is a question"
        for point, value in values.items():
            given = await room.set(point, value)
            assert given.accepted is (point == "b.v_set")
            assert (given.cause.message if given.cause else None) == told.get(point)
        assert (await room.give(JUDGE, arguments={"b.v_set": 5.0})).accepted
        await room.clock.advance(2.0)
        assert room.supply.writes == [("b.v_set", 5.0)]
