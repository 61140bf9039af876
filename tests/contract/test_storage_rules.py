"""On every database the states of rules outlive the process, and only the present process writes them."""

from __future__ import annotations

import pytest

from countingroom.core.errors import Cause, Conflict
from countingroom.core.rules.states import ActionOutcome, ActionResult, Firing, SavedRule
from countingroom.core.rules.step import RuleMemory
from countingroom.storage.database import Database
from tests.contract.storage.stand import Stand

FIRING = Firing(
    number=3,
    time_ns=1_800_000_000_000_000_001,
    since_ns=1_800_000_000_000_000_000,
    evidence={"chiller.bath": 31.5, "state of partition mCBM": "Idle", "caen.on": None},
    outcomes=(
        ActionOutcome(action="caen: hv_off", result=ActionResult.REFUSED, cause=Cause(code="denied", message="no")),
    ),
)
SAVED = SavedRule(
    memory=RuleMemory(armed=False, armed_by="anna", armed_ns=5, firings=3, recent_ns=(1, 2), spent=True),
    last=FIRING,
    under_way=FIRING,
)


async def test_what_is_saved_is_read_by_the_next_process_as_it_was(shared_stand: Stand) -> None:
    first = await shared_stand.open()
    writer = await first.alarms.take_over("one")
    await first.rules.save(writer, {"night": SAVED})
    second = await shared_stand.open()
    assert await second.rules.load() == {"night": SAVED}


async def test_a_rule_is_saved_again_and_others_stay(database: Database) -> None:
    writer = await database.alarms.take_over("one")
    armed = SavedRule(memory=RuleMemory(armed=True))
    await database.rules.save(writer, {"a": SAVED, "b": SAVED})
    await database.rules.save(writer, {"b": armed})
    await database.rules.save(writer, {})
    assert await database.rules.load() == {"a": SAVED, "b": armed}


async def test_a_process_that_was_followed_writes_nothing(database: Database) -> None:
    writer = await database.alarms.take_over("one")
    await database.alarms.take_over("two")
    with pytest.raises(Conflict, match="another alarm process"):
        await database.rules.save(writer, {"a": SAVED})
    assert await database.rules.load() == {}
