"""An engine that takes over closes the alarms of what is gone, and leaves those of what it does not know."""

from __future__ import annotations

import pytest

from tests.console.runs_stage import member, partition
from tests.scenario.alarm_stage import AlarmStage

BATH = "point.chiller.bath"


@pytest.mark.parametrize(("described", "left"), [((), {}), (("chiller",), {BATH: "unacknowledged"})])
async def test_a_device_that_was_taken_out_while_no_engine_ran_has_no_alarms_any_more(
    stage: AlarmStage, described: tuple[str, ...], left: dict[str, str]
) -> None:
    async with stage.engine():
        await stage.read(bath=36.0)
        assert await stage.shown() == {BATH: "unacknowledged"}
    for key in ("catalogue.chiller", "device.chiller"):
        await stage.bus.delete("state", key)
    # A described device that is not on the bus is only not published yet: the bus may have been restarted empty.
    stage.described = described
    async with stage.engine():
        await stage.clock.advance(20)
        assert await stage.shown() == left


@pytest.mark.parametrize(
    ("existing", "left"),
    [
        (frozenset[str](), {}),
        (frozenset({"mCBM"}), {"member.mCBM.DCS": "unacknowledged"}),
        (None, {"member.mCBM.DCS": "unacknowledged"}),
    ],
)
async def test_a_partition_that_was_deleted_while_no_engine_ran_has_no_alarms_any_more(
    stage: AlarmStage, existing: frozenset[str] | None, left: dict[str, str]
) -> None:
    async with stage.engine():
        await stage.partition(partition("mCBM", members=(member("DCS", seen="Error", own="Error"),)))
        await stage.clock.advance(0.1)
        assert await stage.shown() == {"member.mCBM.DCS": "unacknowledged"}
    await stage.bus.delete("state", "partition.mCBM")
    stage.existing = existing
    async with stage.engine():
        await stage.clock.advance(20)
        assert await stage.shown() == left


async def test_a_standby_that_does_not_know_whether_a_process_is_needed_leaves_its_alarm() -> None:
    stage = AlarmStage(roles=("simulators",))
    await stage.prepare()
    async with stage.host("chiller"):
        async with stage.engine():
            await stage.clock.advance(20)
            assert await stage.shown() == {"role.simulators": "unacknowledged"}
        standby = AlarmStage()
        standby.bus, standby.clock, standby.store = stage.bus, stage.clock, stage.store
        standby.perhaps = ("simulators",)
        async with standby.engine():
            await standby.clock.advance(20)
            assert await standby.shown() == {"role.simulators": "unacknowledged"}
            async with standby.host(role="simulators"):
                await standby.clock.advance(2)
                assert await standby.shown() == {"role.simulators": "returned"}
        standby.perhaps = ()
        async with standby.engine():
            await standby.clock.advance(20)
            assert await standby.shown() == {}
