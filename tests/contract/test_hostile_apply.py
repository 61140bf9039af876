"""On every database: plans with conflicts that are applied twice, at the same time as users save, or by contradictory
decisions, change all or nothing and lose no value of a user."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from countingroom.core.apply_description.compare import ApplyPlan, Choices, Side
from countingroom.core.apply_description.messages import choices
from countingroom.core.errors import Conflict, CountingRoomError, OutOfRange
from countingroom.storage.database import Database
from tests.contract.storage.stand import Stand
from tests.contract.test_storage_description import TAKE_DATABASE, TAKE_DESCRIPTION, edited, filled, warmer


async def outcome(work: Any) -> Any:
    try:
        return await work
    except CountingRoomError as error:
        return error.cause.code


async def test_one_plan_that_many_apply_at_once_is_applied_once(shared_stand: Stand) -> None:
    databases = [await shared_stand.open() for _ in range(4)]
    await filled(databases[0])
    seen = await databases[0].description.plan(warmer(-20))
    before = (await databases[0].description.applied()).revision
    found = await asyncio.gather(
        *(outcome(one.description.apply(warmer(-20), "anna", expected=seen.digest)) for one in databases)
    )
    applied = [one for one in found if isinstance(one, ApplyPlan) and one.to_do]
    assert len(applied) == 1, found
    assert [one for one in found if one not in applied] == ["other_plan"] * 3
    assert (await databases[0].description.applied()).revision == before + 1
    assert (await databases[0].configurations.get("STS", "cold")).revision == 2


async def test_what_a_user_saves_while_a_plan_is_applied_is_never_lost(shared_stand: Stand) -> None:
    first, second = await shared_stand.open(), await shared_stand.open()
    await filled(first)
    for number in range(8):
        described = warmer(-100 - number)
        seen = await first.description.plan(described, TAKE_DESCRIPTION)
        save = outcome(second.configurations.save("STS", "cold", {"t": number}, "ben"))
        apply = outcome(first.description.apply(described, "anna", TAKE_DESCRIPTION, expected=seen.digest))
        order = (save, apply) if number % 2 else (apply, save)
        await asyncio.gather(*order)
        history = await first.configurations.history("STS", "cold")
        assert {"t": number} in [one.parameters for one in history], "the user's value is a revision of its own"


async def test_a_decision_for_something_else_decides_no_conflict(database: Database) -> None:
    await filled(database)
    await database.configurations.save("STS", "cold", {"t": -5}, "ben")
    for take in ("configuration.STS.warm", "configuration.STS", "tag.STS.cold", "configuration.STS.cold ", "*"):
        with pytest.raises(Conflict) as refused:
            await database.description.apply(warmer(-20), "anna", Choices(take={take: Side.DESCRIPTION}))
        assert refused.value.cause.code == "undecided"
    assert (await database.configurations.get("STS", "cold")).parameters == {"t": -5}


async def test_one_conflict_that_is_not_decided_stops_the_others(database: Database) -> None:
    await filled(database)
    await database.configurations.save("STS", "cold", {"t": -5}, "ben")
    await database.tags.save("physics", {"STS": "warm"}, "ben")
    after = edited(warmer(-20), tags={"physics": {"STS": "cold"}, "spare": {"STS": "warm", "TFC": "default"}})
    assert len((await database.description.plan(after)).conflicts) == 2
    for decided in ("configuration.STS.cold", "tag.physics"):
        with pytest.raises(Conflict):
            await database.description.apply(after, "anna", Choices(take={decided: Side.DESCRIPTION}))
    assert (await database.configurations.get("STS", "cold")).parameters == {"t": -5}
    both = choices("configuration.STS.cold=description, tag.physics=database", prune=False)
    await database.description.apply(after, "anna", both)
    assert (await database.configurations.get("STS", "cold")).parameters == {"t": -20}
    assert (await database.tags.get("physics")).systems == {"STS": "warm"}
    assert not (await database.description.plan(after, TAKE_DATABASE)).differs


@pytest.mark.parametrize("take", ["x", "=", "a=", "a=both", "a=description,a=database", "description,database", "\0"])
def test_a_decision_that_says_nothing_or_two_things_is_refused(take: str) -> None:
    with pytest.raises(OutOfRange):
        choices(take, prune=False)


def test_the_same_decision_twice_is_one() -> None:
    assert choices("a=database, a=database,", prune=True) == Choices(take={"a": Side.DATABASE}, prune=True)
