"""A rate of change in a device host: it has to be looked at again when its time is over, without a further reading."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from countingroom.bus import streams
from countingroom.core.alarms.conditions.described import DescribedCondition
from countingroom.core.alarms.conditions.specs import AlarmLimit, RateSpec
from tests.scenario.test_interlock_host import HOT, LOCAL, Room

RISE = DescribedCondition(
    spec=RateSpec(high=(AlarmLimit(0.5, 2),), over_ns=10_000_000_000),
    inputs=("supply.temperature",),
    text="it rises too fast",
)
FAST = replace(LOCAL, causes=(replace(HOT, inputs=(RISE,)),))


async def test_a_rate_trips_when_its_time_is_over_without_a_further_reading(tmp_path: Path) -> None:
    room = Room(tmp_path)
    await streams.prepare(room.bus)
    room.supply.values["temperature"] = 20.0
    async with room.host(FAST):
        await room.settle(20)
        state = (await room.published()).state
        assert state is not None
        assert not state.is_tripped
        room.supply.put("temperature", 26.0)
        await room.settle(10.5)
        state = (await room.published()).state
        assert state is not None
        assert state.first_out == "hot"
        assert room.supply.values["a.on"] is False
