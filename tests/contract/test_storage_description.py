"""Every database follows an edited description the same way: as one change, without losing what users changed."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from countingroom.core.apply_description.compare import ApplyAction, ApplyPlan, Choices, Side
from countingroom.core.configurations import ConfigurationSet
from countingroom.core.errors import Conflict
from countingroom.core.placement import Renames, Seed, SeedPartition
from countingroom.core.run_book import RunEnd, RunFilter
from countingroom.storage.database import Database
from tests.contract.storage.stand import Stand

COLD: dict[str, Any] = {"t": -10}
FIRST = Seed(
    configurations=ConfigurationSet(
        configurations={"STS": {"cold": COLD, "warm": {"t": 20}}, "TFC": {"default": {"rate": 1}}},
        tags={"physics": {"STS": "cold", "TFC": "default"}, "spare": {"STS": "warm", "TFC": "default"}},
    ),
    partitions=(
        SeedPartition(name="A", template="cbm", tag="physics", systems={"STS": "cold", "TFC": "default"}, title="A"),
    ),
    detectors={"STS": "A", "MVD": ""},
)
TAKE_DESCRIPTION = Choices(take={"": Side.DESCRIPTION})
TAKE_DATABASE = Choices(take={"": Side.DATABASE})


def edited(seed: Seed = FIRST, **sections: Any) -> Seed:
    return structs.replace(seed, configurations=structs.replace(seed.configurations, **sections))


def warmer(t: int) -> Seed:
    """The first description with another value of STS.cold."""
    systems = FIRST.configurations.configurations
    return edited(configurations={**systems, "STS": {**systems["STS"], "cold": {"t": t}}})


def shown(plan: ApplyPlan) -> dict[str, str]:
    return {one.item: str(one.action) for one in plan.changes}


async def filled(database: Database) -> Database:
    assert await database.seed(FIRST, "description")
    return database


async def nothing_is_left(database: Database, seed: Seed, choices: Choices | None = None) -> None:
    """Applied is applied: neither a second plan nor a second application has anything to do."""
    revision = (await database.description.applied()).revision
    assert not (await database.description.plan(seed, choices)).differs
    assert not (await database.description.apply(seed, "anna", choices)).to_do
    assert (await database.description.applied()).revision == revision


async def test_an_empty_database_is_filled_and_differs_in_nothing(database: Database) -> None:
    await filled(database)
    assert (await database.description.applied()).revision == 1
    await nothing_is_left(database, FIRST)


async def test_what_the_description_adds_is_added_with_its_author(database: Database) -> None:
    await filled(database)
    systems = FIRST.configurations.configurations
    after = structs.replace(
        edited(
            configurations={**systems, "MVD": {"low": {"gain": 1}}},
            schemas={"STS": {"properties": {"t": {"maximum": 30}}}},
            tags={**FIRST.configurations.tags, "noise": {"MVD": "low", "STS": "warm"}},
        ),
        partitions=(*FIRST.partitions, SeedPartition(name="B", template="cbm", tag="noise", systems={"MVD": "low"})),
        detectors={"STS": "A", "MVD": "B"},
    )
    plan = await database.description.apply(after, "anna")
    added = dict.fromkeys(("schema.STS", "configuration.MVD.low", "tag.noise", "partition.B"), "add")
    assert shown(plan) == added
    saved = await database.configurations.get("MVD", "low")
    assert (saved.revision, saved.saved_by, saved.comment) == (1, "anna", "description")
    assert await database.mapping.all() == {"MVD": "B", "STS": "A"}
    assert (await database.partitions.wanted("B")).systems["MVD"].parameters == {"gain": 1}
    schema = await database.configurations.schema("STS")
    assert schema is not None
    assert schema.saved_by == "anna"
    await nothing_is_left(database, after)


async def test_a_new_partition_takes_no_detector_out_of_another_one(database: Database) -> None:
    await filled(database)
    after = structs.replace(
        FIRST, partitions=(*FIRST.partitions, SeedPartition(name="B", template="cbm")), detectors={"STS": "B"}
    )
    await database.description.apply(after, "anna")
    assert (await database.mapping.all())["STS"] == "A"


async def test_a_change_of_the_description_is_a_new_revision(database: Database) -> None:
    await filled(database)
    await database.description.apply(warmer(-20), "anna")
    assert (await database.configurations.get("STS", "cold")).revision == 2
    assert (await database.configurations.get("STS", "cold", 1)).parameters == COLD
    await nothing_is_left(database, warmer(-20))


async def test_what_users_changed_stays_and_is_no_difference(database: Database) -> None:
    await filled(database)
    await database.configurations.save("STS", "cold", {"t": -5}, "ben")
    await database.configurations.save("STS", "mine", {"t": 0}, "ben")
    await database.tags.delete("spare", "ben")
    assert (await database.description.plan(FIRST)).changes == ()


async def test_what_both_changed_is_a_conflict_until_it_is_decided(database: Database) -> None:
    await filled(database)
    await database.configurations.save("STS", "cold", {"t": -5}, "ben")
    plan = await database.description.plan(warmer(-20))
    (conflict,) = plan.conflicts
    assert (conflict.applied, conflict.described, conflict.held) == (COLD, {"t": -20}, {"t": -5})
    with pytest.raises(Conflict) as refused:
        await database.description.apply(warmer(-20), "anna")
    assert [cause.source for cause in refused.value.cause.causes] == ["configuration.STS.cold"]
    assert (await database.configurations.get("STS", "cold")).parameters == {"t": -5}
    await database.description.apply(warmer(-20), "anna", TAKE_DATABASE)
    assert (await database.configurations.get("STS", "cold")).parameters == {"t": -5}
    await nothing_is_left(database, warmer(-20))
    one = Choices(take={"configuration.STS.cold": Side.DESCRIPTION})
    assert shown(await database.description.apply(warmer(-30), "anna", one)) == {"configuration.STS.cold": "update"}
    assert (await database.configurations.get("STS", "cold")).parameters == {"t": -30}


async def test_numbers_that_are_equal_in_python_only_are_a_change(database: Database) -> None:
    await filled(database)
    systems = FIRST.configurations.configurations
    after = edited(configurations={**systems, "TFC": {"default": {"rate": 1.0}}})
    assert shown(await database.description.apply(after, "anna")) == {"configuration.TFC.default": "update"}


async def test_what_the_description_lost_is_kept_unless_it_is_pruned_and_free(database: Database) -> None:
    await filled(database)
    lost = structs.replace(FIRST, configurations=ConfigurationSet(), partitions=(), detectors={})
    kept = await database.description.plan(lost, Choices(prune=True))
    assert shown(kept) == {
        "configuration.STS.cold": "keep",
        "configuration.STS.warm": "remove",
        "configuration.TFC.default": "keep",
        "tag.physics": "keep",
        "tag.spare": "remove",
        "partition.A": "keep",
        "detector.MVD": "remove",
        "detector.STS": "keep",
    }
    reasons = {one.item: one.reason for one in kept.changes}
    assert reasons["tag.physics"] == "removed from the description; stays: A has it selected"
    assert reasons["partition.A"] == "removed from the description; stays: STS is in it"
    assert not (await database.description.apply(lost, "anna")).to_do  # without prune nothing is removed
    await database.description.apply(lost, "anna", Choices(prune=True))
    assert [one.name for one in await database.tags.list()] == ["physics"]
    assert await database.mapping.all() == {"STS": "A"}
    gone = await database.configurations.get("STS", "warm", 2)
    assert (gone.deleted, gone.saved_by) == (True, "anna")
    await nothing_is_left(database, lost, Choices(prune=True))
    await database.mapping.move({"STS": ""}, "anna")
    await database.description.apply(lost, "anna", Choices(prune=True))
    assert await database.partitions.list() == ()
    assert await database.configurations.list() == ()


async def test_pruning_what_a_user_changed_is_a_conflict(database: Database) -> None:
    await filled(database)
    await database.tags.save("spare", {"STS": "cold"}, "ben")
    lost = edited(tags={"physics": FIRST.configurations.tags["physics"]})
    (conflict,) = (await database.description.plan(lost, Choices(prune=True))).conflicts
    assert conflict.reason == "removed from the description, changed in the database"
    kept = Choices(prune=True, take={"": Side.DATABASE})
    await database.description.apply(lost, "anna", kept)
    await nothing_is_left(database, lost, kept)
    assert [one.name for one in await database.tags.list()] == ["physics", "spare"]


def renamed() -> Seed:
    return Seed(
        configurations=ConfigurationSet(
            configurations={"STX": {"frost": COLD, "warm": {"t": 20}}, "TFC": {"default": {"rate": 1}}},
            tags={"beam": {"STX": "frost", "TFC": "default"}, "spare": {"STX": "warm", "TFC": "default"}},
        ),
        partitions=(
            SeedPartition(name="M", template="cbm", tag="beam", systems={"STX": "frost", "TFC": "default"}, title="A"),
        ),
        detectors={"STX": "M", "MVD": ""},
        renames=Renames(
            systems={"STX": "STS"},
            configurations={"STX": {"frost": "cold"}},
            tags={"beam": "physics"},
            partitions={"M": "A"},
        ),
    )


async def test_a_rename_takes_along_all_that_refers_to_it(database: Database) -> None:
    await filled(database)
    await database.partitions.include("A", "STS", False, "ben")
    await database.tags.save("mine", {"STS": "cold"}, "ben")
    after = renamed()
    assert not await database.seed(after, "description")
    assert "STX" not in await database.mapping.all()  # it is renamed, not added
    plan = await database.description.apply(after, "anna")
    assert [(one.item, one.was) for one in plan.changes] == [
        ("system.STX", "STS"),
        ("configuration.STX.frost", "STX.cold"),
        ("tag.beam", "physics"),
        ("partition.M", "A"),
    ]
    (there,) = await database.partitions.list()
    assert (there.name, there.tag, there.detectors, there.excluded) == ("M", "beam", ("STX",), ("STX",))
    wanted = await database.partitions.wanted("M")
    assert {system: one.tag for system, one in wanted.systems.items()} == {"STX": "frost", "TFC": "default"}
    assert (await database.tags.get("mine")).systems == {"STX": "frost"}
    assert await database.configurations.list("STS") == ()
    old = await database.configurations.history("STS", "cold")
    assert (old[0].deleted, old[0].comment) == (True, "renamed to STX.cold")
    assert (await database.configurations.get("STX", "frost")).comment == "was cold"
    await nothing_is_left(database, after)


async def test_runs_keep_the_old_name_and_note_the_new_one(database: Database) -> None:
    await filled(database)
    runs = database.runs
    both = await runs.reserve("A", "cbm", "ben", members=["STS", "TFC"])
    await runs.close(both.number, RunEnd.STOPPED, 1)
    other = await runs.reserve("B", "cbm", "ben", members=["TFC", "STS_2"])
    await runs.close(other.number, RunEnd.STOPPED, 1)
    await database.description.apply(renamed(), "anna")
    found = await runs.get(both.number)
    assert (found.partition, found.members) == ("A", ("STS", "TFC"))
    assert sorted((note.kind, note.text, note.system, note.author) for note in found.notes) == [
        ("rename", "the partition A is named M now", "", "anna"),
        ("rename", "the system STS is named STX now", "STX", "anna"),
    ]
    assert all(note.time_ns > 0 for note in found.notes)
    assert (await runs.get(other.number)).notes == ()
    assert [one.number for one in await runs.find(RunFilter(text="named M now"))] == [both.number]


async def test_a_rename_keeps_what_users_changed(database: Database) -> None:
    await filled(database)
    await database.configurations.save("STS", "cold", {"t": -5}, "ben")
    await database.description.apply(renamed(), "anna")
    assert (await database.configurations.get("STX", "frost")).parameters == {"t": -5}


async def test_nothing_is_renamed_to_a_name_that_is_taken(database: Database) -> None:
    await filled(database)
    await database.tags.save("beam", {"TFC": "default"}, "ben")
    after = structs.replace(
        edited(tags={"beam": FIRST.configurations.tags["physics"], "spare": FIRST.configurations.tags["spare"]}),
        renames=Renames(tags={"beam": "physics"}),
    )
    plan = await database.description.plan(after)
    assert [(one.item, one.action, one.was) for one in plan.changes if one.was] == [
        ("tag.beam", ApplyAction.KEEP, "physics")
    ]


async def test_a_schema_that_a_users_configuration_violates_changes_nothing(database: Database) -> None:
    await filled(database)
    await database.configurations.save("STS", "hot", {"t": 99}, "ben")
    after = edited(warmer(-20), schemas={"STS": {"properties": {"t": {"maximum": 30}}}})
    with pytest.raises(Conflict) as refused:
        await database.description.apply(after, "anna")
    assert [cause.source for cause in refused.value.cause.causes] == ["configurations.STS.hot"]
    assert (await database.configurations.get("STS", "cold")).revision == 1
    assert (await database.description.applied()).revision == 1


async def test_only_the_plan_that_was_seen_is_applied(database: Database) -> None:
    await filled(database)
    seen = await database.description.plan(warmer(-20))
    with pytest.raises(Conflict) as refused:
        await database.description.apply(warmer(-30), "anna", expected=seen.digest)
    assert refused.value.cause.code == "other_plan"
    await database.description.apply(warmer(-20), "anna", expected=seen.digest)


async def test_an_earlier_database_records_what_is_equal_and_asks_about_the_rest(stand: Stand) -> None:
    """Without a record it is not known which side changed."""
    database = await stand.open()
    await database.configurations.put(FIRST.configurations, "ben")
    await database.configurations.save("STS", "cold", {"t": -5}, "ben")
    await database.configurations.save("STS", "mine", {"t": 0}, "ben")
    await database.partitions.create("A", "cbm", "A", "ben")
    await database.mapping.create("MVD", "ben")
    await database.mapping.create("STS", "ben", partition="A")
    before = await database.description.plan(FIRST)
    assert (before.revision, shown(before)) == (0, {"configuration.STS.cold": "conflict"})
    await database.description.record_equal(FIRST, "description")
    await database.description.record_equal(FIRST, "description")
    assert (await database.description.applied()).revision == 1
    # What was equal is followed from now on; what differed is still to be decided.
    systems = FIRST.configurations.configurations
    after = edited(configurations={**systems, "TFC": {"default": {"rate": 2}}})
    assert shown(await database.description.plan(after)) == {
        "configuration.STS.cold": "conflict",
        "configuration.TFC.default": "update",
    }
    await database.description.apply(after, "anna", TAKE_DESCRIPTION)
    assert (await database.configurations.get("STS", "cold")).parameters == COLD
    await nothing_is_left(database, after)
