"""Interlocks in the engine: they trip from the bus, act through commands, and outlive a kill between any two steps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.core import subjects
from countingroom.core.errors import LinkError, OutOfRange
from countingroom.core.interlocks.history import InterlockEntry
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.policy import Role
from countingroom.core.values import Quality
from tests.scenario.interlock_stage import InterlockStage, MemoryInterlocks

OFF = ["interlock.cooling caen.0 off", "interlock.cooling caen.1 off"]


async def test_a_cause_trips_after_its_delay_and_its_effects_are_carried_out() -> None:
    stage = InterlockStage()
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.read(full=True, bath=20.0, pump=False)
        await stage.clock.advance(5)
        assert not (await stage.state_of()).is_tripped
        await stage.read(bath=36.0)
        await stage.clock.advance(1.5)
        assert stage.given == []
        await stage.clock.advance(1)
        assert stage.given == OFF
        state = await stage.state_of()
        assert (state.first_out, state.trip, await stage.acting()) == ("warm", 1, ["off", "no_start"])
        off = state.effect("off")
        assert off is not None
        assert (off.trouble, off.attempts, off.reached_ns is None) == ("", 1, False)
        alarm = (await stage.alarms())["interlock.cooling"]
        assert (alarm.priority, alarm.text) == (1, "tripped by Bath too warm: chiller.bath is above 35")
        await stage.clock.advance(30)
        assert stage.given == [*OFF, "interlock.cooling mCBM stop"]
        # It stays tripped when the cause is gone, until it is reset.
        await stage.read(bath=20.0)
        await stage.clock.advance(5)
        assert (await stage.state_of()).is_tripped
        assert await stage.ask("reset", reason="pump exchanged ") is None
        assert (await stage.state_of()).reset_reason == "pump exchanged"
        assert [row.text for row in stage.kept.rows if row.kind == "reset"] == ["reset by anna: pump exchanged"]
        assert await stage.acting() == []
        assert (await stage.shown())["interlock.cooling"] == "returned"
        kinds = [row.kind.value for row in stage.kept.rows]
        assert kinds == ["trip", "act", "act", "reached", "act", "reached", "reset", "release", "release", "release"]


async def test_a_lost_input_trips_and_missing_ones_do_after_the_start() -> None:
    stage = InterlockStage()
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.read(full=True, bath=20.0, pump=False)
        await stage.read(Quality.STALE, bath=20.0)
        assert (await stage.state_of()).first_out == "warm"
        alarm = (await stage.alarms())["interlock.cooling"]
        assert alarm.text == "tripped by Bath too warm: chiller.bath is above 35 (stale)"
    stage = InterlockStage()
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.clock.advance(2)
        assert not (await stage.state_of()).is_tripped
        await stage.clock.advance(4)
        assert (await stage.state_of()).is_tripped


async def test_a_host_that_is_gone_trips() -> None:
    stage = InterlockStage()
    await stage.prepare()
    async with stage.targets(), stage.engine():
        async with stage.host("chiller"):
            await stage.read(full=True, bath=20.0, pump=False)
            await stage.clock.advance(6)
            assert not (await stage.state_of()).is_tripped
        await stage.clock.advance(4)
        assert (await stage.state_of()).is_tripped


async def test_a_device_that_is_no_longer_described_trips() -> None:
    stage = InterlockStage()
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.read(full=True, bath=20.0, pump=False)
        await stage.clock.advance(6)
        assert not (await stage.state_of()).is_tripped
        await stage.bus.delete("state", subjects.catalogue_key("chiller"))
        await stage.clock.advance(0.1)
        assert (await stage.state_of()).is_tripped


async def test_an_effect_that_is_not_reached_is_repeated_and_is_an_alarm() -> None:
    stage = InterlockStage()
    stage.refuses = "caen is not reached"
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.read(full=True, bath=20.0, pump=True)
        await stage.clock.advance(0.2)
        alarm = (await stage.alarms())["interlock.cooling.off"]
        assert "caen.0 off: caen is not reached; caen.1 off: caen is not reached" in alarm.text
        await stage.clock.advance(10)
        tried = len(stage.given)
        assert tried >= 6
        stage.refuses = ""
        await stage.clock.advance(6)
        assert len(stage.given) == tried + 2
        assert (await stage.shown())["interlock.cooling.off"] == "returned"


async def test_roles_bypass_and_its_end() -> None:
    stage = InterlockStage()
    stage.roles = {"ben": Role.SHIFTER, "vera": Role.VIEWER}
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.read(full=True, bath=20.0, pump=False)
        past: dict[str, Any] = {"cause": "pump", "reason": "it is repaired", "seconds": 100.0}
        refused = await stage.ask("bypass", user="ben", **past)
        assert refused is not None
        assert (refused.code, refused.source) == ("denied", "interlock.cooling")
        refused = await stage.ask("bypass", cause="pump", reason="it is repaired")
        assert refused is not None
        assert (refused.code, refused.source) == ("missing_argument", "interlock.cooling")
        assert await stage.ask("bypass", **past) is None
        await stage.read(pump=True)
        state = await stage.state_of()
        cause = state.cause("pump")
        assert cause is not None
        assert (state.is_tripped, cause.would_trip, state.bypassed) == (False, True, ("pump",))
        refused = await stage.ask("reset", user="ben")
        assert refused is not None
        assert refused.code == "not_tripped"
        await stage.clock.advance(101)
        assert (await stage.state_of()).first_out == "pump"
        refused = await stage.ask("reset", user="ben")
        assert refused is not None
        assert refused.code == "cause_present"
        refused = await stage.ask("reset", user="vera")
        assert refused is not None
        assert refused.code == "denied"
        assert await stage.ask("proof_test", passed=True, comment="bath warmed") is None
        assert (await stage.state_of()).proof is not None


async def test_an_interlock_that_was_never_tested_is_overdue_only_after_its_period() -> None:
    """The period counts from the first start with this interlock, whichever engine that was."""
    stage = InterlockStage()
    await stage.prepare()
    period_ns = 180 * 86_400 * 10**9
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.read(full=True, bath=20.0, pump=False)
        await stage.clock.advance(3)
        first = await stage.state_of()
        assert first.seen_ns is not None
        assert first.proof_due_ns == first.seen_ns + period_ns
        assert not any("proof test" in one for one in stage.warnings())
    await stage.clock.advance(period_ns / 1e9)
    async with stage.host("chiller"), stage.targets(), stage.engine("next"):
        await stage.read(full=True, bath=20.0, pump=False)
        await stage.clock.advance(3)
        assert (await stage.state_of()).proof_due_ns == first.proof_due_ns
        assert "the proof test of the interlock Cooling lost is overdue" in stage.warnings()
        assert await stage.ask("proof_test", passed=True, comment="bath warmed") is None
        assert not any("proof test" in one for one in stage.warnings())


async def test_it_acts_while_the_database_does_not_answer_and_refuses_commands() -> None:
    stage = InterlockStage()
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.read(full=True, bath=20.0, pump=False)
        stage.kept.is_away = True
        await stage.read(pump=True)
        await stage.clock.advance(1)
        assert stage.given == OFF
        await stage.read(pump=False)
        refused = await stage.ask("reset")
        assert refused is not None
        assert refused.code == "disk_full"
        assert (await stage.state_of()).is_tripped
        stage.kept.is_away = False
        await stage.clock.advance(2)
        assert stage.kept.saved["cooling"].is_tripped
        assert await stage.ask("reset") is None


class Deadly(MemoryInterlocks):
    """Kills the engine in its n-th transaction, before or after it is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.victim: asyncio.Task[None] | None = None
        self.left = -1
        self.is_stored = False

    async def save(
        self,
        writer: int,
        states: Sequence[InterlockState] = (),
        entries: Sequence[InterlockEntry] = (),
        *,
        synced: bool = True,
    ) -> None:
        if self.left == 0 and self.victim is not None:
            if self.is_stored:
                await super().save(writer, states, entries, synced=synced)
            self.left = -1
            self.victim.cancel()
            await asyncio.Future[None]()  # a killed process gets no answer
        self.left -= 1
        await super().save(writer, states, entries, synced=synced)


@pytest.mark.parametrize("is_stored", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("transaction", range(4))
async def test_a_killed_engine_leaves_it_tripped_and_its_successor_completes_the_effects(
    transaction: int, is_stored: bool
) -> None:
    stage = InterlockStage()
    store = stage.kept = stage.interlocks = Deadly()
    store.left = transaction
    store.is_stored = is_stored
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine() as first, stage.engine("standby"):
        store.victim = first
        await stage.read(full=True, bath=36.0, pump=False)
        await stage.clock.advance(8)
        state = await stage.state_of()
        assert (state.is_tripped, state.trip, state.first_out) == (True, 1, "warm")
        assert set(stage.given) == set(OFF)
        assert all(one.reached_ns is not None for one in state.effects if one.acting_ns is not None)
        await stage.read(bath=20.0)
        for _ in range(2):  # a person whose command got no answer gives it again
            if not (await stage.state_of()).is_tripped:
                break
            with suppress(LinkError):
                await stage.ask("reset")
            await stage.clock.advance(3)
        assert not (await stage.state_of()).is_tripped
        assert [row.kind.value for row in store.rows].count("trip") == 1
        assert [row.kind.value for row in store.rows].count("reset") == 1


async def test_a_trip_is_not_forgotten_when_neither_the_database_nor_the_bus_had_it_at_the_takeover() -> None:
    stage = InterlockStage()
    await stage.prepare()
    async with stage.targets(), stage.host("chiller"):
        async with stage.engine():
            await stage.read(full=True, bath=36.0, pump=False)
            await stage.clock.advance(3)
            assert (await stage.state_of()).is_tripped
        await stage.read(bath=20.0)
        # The bus begins anew with empty buckets while the database is away.
        await stage.bus.delete("state", subjects.interlock_key("cooling"))
        stage.store.is_away = stage.kept.is_away = True
        async with stage.engine():
            await stage.read(full=True, bath=20.0, pump=False)
            await stage.clock.advance(6)
            assert not (await stage.state_of()).is_tripped
            stage.store.is_away = stage.kept.is_away = False
            await stage.clock.advance(10)
            state = await stage.state_of()
            assert (state.is_tripped, state.first_out, state.trip) == (True, "warm", 1)
            assert "no_start" in await stage.acting()
            assert await stage.ask("reset") is None
            assert not (await stage.state_of()).is_tripped


async def test_a_cause_trips_and_a_bypass_ends_though_the_clock_is_set_back() -> None:
    stage = InterlockStage()
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.read(full=True, bath=20.0, pump=False)
        assert await stage.ask("bypass", cause="pump", reason="repair", seconds=600.0) is None
        await stage.read(bath=36.0, pump=True)
        await stage.clock.advance(1)
        stage.clock.step(-7200)
        await stage.clock.advance(5)
        assert (await stage.state_of()).first_out == "warm"
        await stage.clock.advance(660)
        assert (await stage.state_of()).bypassed == ()


async def test_a_rate_trips_when_its_time_is_over_without_a_further_reading() -> None:
    stage = InterlockStage()
    fast = {"inputs": [{"rate": {"point": "chiller.bath", "per": 10, "rise": 5.0}}]}
    described = {
        "causes": {"fast": fast},
        "effects": {"no_start": {"forbid": "mCBM"}},
        "matrix": {"fast": ["no_start"]},
    }
    stage.definitions = Definitions(AlarmsSection.model_validate({"interlocks": {"cooling": described}}))
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine():
        await stage.read(full=True, bath=20.0)
        await stage.clock.advance(20)
        await stage.read(bath=20.0)
        await stage.clock.advance(1)
        await stage.read(bath=26.0)
        assert not (await stage.state_of()).is_tripped
        await stage.clock.advance(10)
        assert (await stage.state_of()).first_out == "fast"


class Choosy(MemoryInterlocks):
    """It cannot store a text with a NUL, as PostgreSQL."""

    async def save(
        self,
        writer: int,
        states: Sequence[InterlockState] = (),
        entries: Sequence[InterlockEntry] = (),
        *,
        synced: bool = True,
    ) -> None:
        if any("\0" in row.text for row in entries):
            raise OutOfRange("the database cannot store the value: a NUL", source="storage")
        await super().save(writer, states, entries, synced=synced)


async def test_what_the_database_cannot_store_keeps_no_interlock_from_acting() -> None:
    stage = InterlockStage()
    stage.kept = stage.interlocks = Choosy()
    stage.refuses = "caen answers \0"
    await stage.prepare()
    async with stage.host("chiller"), stage.targets(), stage.engine() as engine:
        await stage.read(full=True, bath=20.0, pump=True)
        await stage.clock.advance(3)
        assert not engine.done()
        stage.refuses = ""
        await stage.clock.advance(8)
        assert stage.given[-2:] == OFF
        off = (await stage.state_of()).effect("off")
        assert off is not None
        assert off.reached_ns is not None
        await stage.read(pump=False)
        assert await stage.ask("reset") is None
        assert not stage.kept.saved["cooling"].is_tripped
