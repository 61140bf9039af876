"""An interlock forbids the start of a run: while its effect acts, and while it is not known whether it does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

from countingroom.core.interlocks.specs import permissives
from countingroom.runs.context import RunControlContext
from countingroom.runs.partition.start_permission import StartPermission
from countingroom.runs.planner.events import Fact, StartForbidden
from tests.scenario.interlock_stage import InterlockStage


async def test_a_start_is_forbidden_while_the_effect_acts_and_while_it_is_not_known() -> None:
    stage = InterlockStage()
    await stage.prepare()
    told: list[str] = []

    def tell(fact: Fact) -> None:
        assert isinstance(fact, StartForbidden)
        code = fact.cause.code if fact.cause else ""
        if told[-1:] != [code]:
            told.append(code)

    context: Any = SimpleNamespace(bus=stage.bus, clock=stage.clock, permissives=permissives(stage.specs()))
    permission = StartPermission(cast(RunControlContext, context), "mCBM", tell)
    assert StartPermission(cast(RunControlContext, context), "other", tell).cause() is None
    task = asyncio.create_task(permission.run())
    await stage.clock.advance(1)
    assert told == ["interlock_unknown"]
    async with stage.host("chiller"), stage.targets():
        async with stage.engine():
            await stage.read(full=True, bath=20.0, pump=False)
            await stage.clock.advance(3)
            assert told == ["interlock_unknown", ""]
            await stage.read(bath=36.0)
            await stage.clock.advance(1)
            assert told[2:] == ["cause_present"], "its delay of 2 s is not over, and a start can wait"
            await stage.read(bath=20.0)
            await stage.clock.advance(1)
            assert told[3:] == [""]
            await stage.read(bath=36.0)
            await stage.clock.advance(3)
            assert told[4:] == ["cause_present", "interlocked"]
            cause = permission.cause()
            assert cause is not None
            assert cause.message == "the interlock Cooling lost has tripped: Bath too warm"
            await stage.read(bath=20.0)
            assert await stage.ask("reset") is None
            await stage.clock.advance(1)
            assert told[6:] == [""]
        await stage.clock.advance(8)
        assert told[7:] == []
        await stage.clock.advance(4)
        assert told[7:] == ["interlock_unknown"]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_start_is_forbidden_until_an_engine_that_has_just_begun_has_read_the_inputs() -> None:
    stage = InterlockStage()
    await stage.prepare()
    told: list[str] = []

    def tell(fact: Fact) -> None:
        assert isinstance(fact, StartForbidden)
        told.append(fact.cause.message if fact.cause else "")

    context: Any = SimpleNamespace(bus=stage.bus, clock=stage.clock, permissives=permissives(stage.specs()))
    permission = StartPermission(cast(RunControlContext, context), "mCBM", tell)
    task = asyncio.create_task(permission.run())
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.clock.advance(8)
        begin = "the state of the interlock Cooling lost is not known: "
        assert told[-2:] == [
            f"{begin}the alarm engine has not read its inputs yet",
            "the interlock Cooling lost has tripped: Bath too warm",
        ]
        assert "" not in told
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_start_is_forbidden_while_the_engine_has_not_read_the_database() -> None:
    stage = InterlockStage()
    await stage.prepare()
    told: list[str] = []

    def tell(fact: Fact) -> None:
        assert isinstance(fact, StartForbidden)
        told.append(fact.cause.message if fact.cause else "")

    context: Any = SimpleNamespace(bus=stage.bus, clock=stage.clock, permissives=permissives(stage.specs()))
    task = asyncio.create_task(StartPermission(cast(RunControlContext, context), "mCBM", tell).run())
    stage.store.is_away = stage.kept.is_away = True
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.read(full=True, bath=20.0, pump=False)
        await stage.clock.advance(8)
        assert told[-1].endswith("the alarm engine has not read from the database whether it is tripped")
        assert "" not in told
        stage.store.is_away = stage.kept.is_away = False
        await stage.clock.advance(10)
        assert told[-1] == ""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
