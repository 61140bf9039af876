"""Every database behaves the same: what is configured has a history, a detector one place, a change is whole."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from countingroom.core.accounts import AuditEntry
from countingroom.core.configurations import ConfigurationSet, compare
from countingroom.core.errors import Conflict, NotFound, OutOfRange
from countingroom.core.fleet.specs import Revision
from countingroom.core.placement import Seed, SeedPartition
from countingroom.core.run_book import RunLimit, RunSequence
from countingroom.core.snapshots.values import Snapshot
from countingroom.core.subjects import EXPERIMENT
from countingroom.storage.columns import APPEND_ONLY, metadata
from countingroom.storage.database import Database
from tests.contract.storage.stand import Stand


async def test_what_is_saved_comes_back_as_it_was(database: Database) -> None:
    values = {"n": 1, "x": 1.0, "on": True, "off": False, "none": None, "text": "µ„: # \n 12:30", "big": 2**63 - 1}
    saved = await database.configurations.save("STS", "default", values, "anna", "first")
    found = await database.configurations.get("STS", "default")
    assert found == saved
    assert [(type(value), value) for value in found.parameters.values()] == [(type(v), v) for v in values.values()]


async def test_every_change_is_a_revision_and_what_was_stays_readable(stand: Stand) -> None:
    database = await stand.open()
    await database.configurations.save("STS", "default", {"hv": 100}, "anna", "first")
    await stand.clock.advance(1)
    await database.configurations.save("STS", "default", {"hv": 120}, "ben", "more")
    again = await database.configurations.save("STS", "default", {"hv": 120}, "carl", "the same")
    assert (again.revision, again.saved_by) == (2, "ben")
    assert (await database.configurations.get("STS", "default", 1)).parameters == {"hv": 100}
    history = await database.configurations.history("STS")
    assert [(one.revision, one.saved_by, one.comment) for one in history] == [(2, "ben", "more"), (1, "anna", "first")]


async def test_revisions_go_on_over_a_deletion(database: Database) -> None:
    await database.configurations.save("STS", "default", {"hv": 100}, "anna")
    await database.configurations.delete("STS", "default", "ben", "no longer used")
    with pytest.raises(NotFound):
        await database.configurations.get("STS", "default")
    gone = await database.configurations.get("STS", "default", 2)
    assert (gone.deleted, gone.saved_by, gone.comment, gone.parameters) == (True, "ben", "no longer used", {"hv": 100})
    assert (await database.configurations.save("STS", "default", {"hv": 100}, "anna")).revision == 3


async def test_who_saves_what_somebody_changed_in_between_is_refused(database: Database) -> None:
    await database.configurations.save("STS", "default", {"hv": 1}, "anna", expected=0)
    await database.configurations.save("STS", "default", {"hv": 2}, "ben", expected=1)
    with pytest.raises(Conflict) as refused:
        await database.configurations.save("STS", "default", {"hv": 3}, "anna", expected=1)
    assert refused.value.cause.evidence == {"present": 2, "expected": 1}
    await database.tags.save("t", {"STS": "default"}, "anna", expected=0)
    with pytest.raises(Conflict):
        await database.tags.save("t", {}, "anna", expected=0)


@pytest.mark.parametrize(
    "parameters", [{"x": float("nan")}, {"x": float("inf")}, {"x": 2**63}, {"": 1}, {"x": "a\0"}, {"x": [1]}]
)
async def test_what_could_not_come_back_as_it_was_is_refused(database: Database, parameters: dict[str, float]) -> None:
    with pytest.raises(OutOfRange) as refused:
        await database.configurations.save("STS", "default", parameters, "anna")
    assert len(refused.value.cause.causes) == 1
    assert await database.configurations.list() == ()


async def test_a_schema_tells_every_parameter_that_misfits(database: Database) -> None:
    schema = {"properties": {"hv": {"type": "number", "maximum": 500}}, "required": ["hv", "mode"]}
    await database.configurations.save_schema("STS", schema, "anna")
    with pytest.raises(OutOfRange) as refused:
        await database.configurations.save("STS", "default", {"hv": 501}, "anna")
    told = [cause.message for cause in refused.value.cause.causes]
    assert told == ["'mode' is a required property", "hv: 501 is greater than the maximum of 500"]
    await database.configurations.save("STS", "default", {"hv": 500, "mode": "a"}, "anna")
    with pytest.raises(Conflict) as kept:
        await database.configurations.save_schema("STS", {"properties": {"hv": {"maximum": 400}}}, "anna")
    assert kept.value.cause.causes[0].source == "configurations.STS.default"
    found = await database.configurations.schema("STS")
    assert found is not None
    assert (found.revision, found.schema) == (1, schema)
    assert (await database.configurations.save_schema("STS", None, "anna")).revision == 2


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"$ref": "https://example.org/other.json"}])
async def test_a_schema_that_cannot_be_used_is_refused(database: Database, schema: dict[str, str]) -> None:
    with pytest.raises(OutOfRange):
        await database.configurations.save_schema("STS", schema, "anna")


async def test_a_tag_holds_only_what_is_there_and_keeps_it_there(database: Database) -> None:
    await database.configurations.save("TFC", "default", {}, "anna")
    with pytest.raises(NotFound) as refused:
        await database.tags.save("physics", {"TFC": "default", "STS": "cold", "MVD": "x"}, "anna")
    assert [cause.message for cause in refused.value.cause.causes] == [
        "MVD has no configuration x",
        "STS has no configuration cold",
    ]
    await database.tags.save("physics", {"TFC": "default"}, "anna")
    with pytest.raises(Conflict) as held:
        await database.configurations.delete("TFC", "default", "anna")
    assert [cause.source for cause in held.value.cause.causes] == ["tags.physics"]
    assert await database.configurations.delete("TFC", "default", "anna", with_tags=True) == ("physics",)
    assert await database.tags.list() == ()
    assert [one.deleted for one in await database.tags.history("physics")] == [True, False]


async def test_only_tags_that_cover_exactly_these_systems_are_offered(database: Database) -> None:
    for system in ("TFC", "STS", "MVD"):
        await database.configurations.save(system, "default", {}, "anna")
    for name, systems in {"less": ["TFC"], "exact": ["TFC", "STS"], "more": ["TFC", "STS", "MVD"]}.items():
        await database.tags.save(name, dict.fromkeys(systems, "default"), "anna")
    assert [one.name for one in await database.tags.covering(["STS", "TFC"])] == ["exact"]


async def test_two_tags_are_compared_by_what_they_name_now(database: Database) -> None:
    await database.configurations.save("TFC", "a", {"same": 1, "x": 1, "gone": 0}, "anna")
    await database.configurations.save("TFC", "b", {"same": 1, "x": 1.0, "new": 0}, "anna")
    await database.configurations.save("QA", "one", {"q": 1}, "anna")
    await database.tags.save("old", {"TFC": "a", "QA": "one"}, "anna")
    await database.tags.save("new", {"TFC": "b", "QA": "one"}, "anna")
    (change,) = compare(await database.tags.resolve("old"), await database.tags.resolve("new"))
    assert (change.system, change.before, change.after) == ("TFC", "a", "b")
    assert [(one.name, one.added, one.removed) for one in change.parameters] == [
        ("gone", False, True),
        ("new", True, False),
        ("x", False, False),
    ]


async def test_a_selection_keeps_its_configurations_and_follows_their_changes(database: Database) -> None:
    await database.partitions.create("mCBM", "cbm", "mini", "anna")
    await database.configurations.save("TFC", "default", {"rate": 1}, "anna")
    with pytest.raises(NotFound):
        await database.partitions.select("mCBM", "custom", {"TFC": "other"}, "anna")
    await database.partitions.select("mCBM", "custom", {"TFC": "default"}, "anna")
    await database.configurations.save("TFC", "default", {"rate": 2}, "ben")
    wanted = await database.partitions.wanted("mCBM")
    assert (wanted.tag, wanted.systems["TFC"].parameters) == ("custom", {"rate": 2})
    with pytest.raises(Conflict) as held:
        await database.configurations.delete("TFC", "default", "anna", with_tags=True)
    assert [cause.source for cause in held.value.cause.causes] == ["partitions.mCBM"]


async def test_moves_are_done_all_together_or_not_at_all(database: Database) -> None:
    for name in ("A", "B"):
        await database.partitions.create(name, "cbm", "", "anna")
    for name in ("STS", "MVD"):
        await database.mapping.create(name, "anna", type="DetectorA")
    assert await database.mapping.move({"STS": "A", "MVD": "A"}, "anna") == {"STS": "", "MVD": ""}
    for wrong in ({"STS": "B", "MVD": "nowhere"}, {"STS": "B", "RICH": "B"}):
        with pytest.raises(NotFound):
            await database.mapping.move(wrong, "anna")
    with pytest.raises(Conflict):
        await database.mapping.move({"STS": "B", "MVD": "B"}, "anna", expected={"STS": "A", "MVD": ""})
    assert await database.mapping.all() == {"STS": "A", "MVD": "A"}
    before = await database.mapping.move({"STS": "B", "MVD": "A"}, "ben")
    assert before == {"STS": "A"}
    await database.mapping.move(before, "ben")
    moved = await database.mapping.history("STS")
    assert [(one.what, one.detail.get("from"), one.partition, one.who) for one in moved] == [
        ("move", "B", "A", "ben"),
        ("move", "A", "B", "ben"),
        ("move", "", "A", "anna"),
        ("create_detector", None, "", "anna"),
    ]


async def test_a_detector_that_leaves_takes_nothing_of_the_partition_with_it(database: Database) -> None:
    await database.partitions.create("A", "cbm", "", "anna")
    await database.mapping.create("STS", "anna", partition="A")
    await database.configurations.save("STS", "default", {}, "anna")
    await database.partitions.select("A", "custom", {"STS": "default"}, "anna")
    assert (await database.partitions.include("A", "STS", False, "anna")).excluded == ("STS",)
    await database.mapping.move({"STS": ""}, "anna")
    await database.mapping.move({"STS": "A"}, "anna")
    assert (await database.partitions.get("A")).excluded == ()
    assert (await database.partitions.wanted("A")).systems == {}


async def test_a_detector_is_deleted_where_nobody_needs_it_with_all_that_is_its_own(database: Database) -> None:
    await database.partitions.create("A", "cbm", "", "anna")
    await database.mapping.create("STS", "anna", partition="A")
    await database.configurations.save("STS", "default", {}, "anna")
    await database.tags.save("physics", {"STS": "default"}, "anna")
    with pytest.raises(Conflict):
        await database.mapping.delete("STS", "anna")
    await database.mapping.move({"STS": ""}, "anna")
    assert await database.mapping.delete("STS", "anna") == ("physics",)
    assert (await database.mapping.all(), await database.configurations.list(), await database.tags.list()) == (
        {},
        (),
        (),
    )


async def test_a_partition_with_detectors_is_deleted_by_force_alone_and_they_are_unmapped(database: Database) -> None:
    await database.partitions.create("A", "cbm", "", "anna")
    await database.mapping.create("STS", "anna", partition="A")
    with pytest.raises(Conflict):
        await database.partitions.delete("A", "anna")
    assert await database.partitions.delete("A", "anna", force=True) == ("STS",)
    assert await database.mapping.all() == {"STS": ""}


async def test_a_sequence_ends_with_its_partition(database: Database) -> None:
    await database.partitions.create("A", "cbm", "", "anna")
    scan = RunSequence(
        name="scan",
        partition="A",
        requested_by="anna",
        created_ns=1,
        system="STS",
        parameter="t",
        values=(1, 2),
        limit=RunLimit(seconds=1),
    )
    await database.sequences.begin(scan)
    await database.partitions.delete("A", "anna")
    await database.partitions.create("A", "cbm", "", "anna")
    assert await database.sequences.going("A") is None
    assert (await database.sequences.get("scan")).end == "stopped"


async def test_an_empty_database_is_filled_once_as_one_change(database: Database) -> None:
    given = Seed(
        configurations=ConfigurationSet(
            configurations={"STS": {"cold": {"t": -10}}}, tags={"physics": {"STS": "cold"}}
        ),
        partitions=(SeedPartition(name="A", template="cbm", tag="physics", systems={"STS": "cold"}),),
        detectors={"STS": "A", "MVD": ""},
    )
    astray = structs.replace(given, detectors={"STS": "nowhere"})
    with pytest.raises(NotFound):
        await database.seed(astray, "description")
    assert (await database.partitions.list(), await database.configurations.list()) == ((), ())
    assert await database.seed(given, "description")
    assert (await database.partitions.wanted("A")).systems["STS"].parameters == {"t": -10}
    assert await database.mapping.all() == {"MVD": "", "STS": "A"}
    await database.mapping.move({"STS": ""}, "anna")
    assert not await database.seed(structs.replace(given, detectors={"STS": "A", "TRD": "A"}), "description")
    assert await database.mapping.all() == {"MVD": "", "STS": "", "TRD": ""}


async def test_a_name_is_taken_once(database: Database) -> None:
    await database.partitions.create("A", "cbm", "", "anna")
    await database.mapping.create("STS", "anna")
    for again in (database.partitions.create("A", "cbm", "", "anna"), database.mapping.create("STS", "anna")):
        with pytest.raises(Conflict):
            await again
    for wrong in (database.partitions.create("a b", "cbm", "", "anna"), database.mapping.create("", "anna")):
        with pytest.raises(OutOfRange):
            await wrong


async def test_no_partition_takes_the_name_by_which_the_experiment_is_asked(database: Database) -> None:
    for name in (EXPERIMENT, "x" * 65):
        with pytest.raises(OutOfRange):
            await database.partitions.create(name, "cbm", "", "anna")
    assert await database.partitions.list() == ()


async def test_a_lock_and_what_is_left_out_outlive_their_process(shared_stand: Stand) -> None:
    first = await shared_stand.open()
    await first.partitions.create("A", "cbm", "", "anna")
    await first.partitions.lock("A", True, "anna")
    await first.partitions.include("A", "QA", False, "anna")
    second = await shared_stand.open()
    found = await second.partitions.get("A")
    assert (found.locked, found.excluded) == (True, ("QA",))


async def test_the_database_itself_refuses_to_change_what_was(shared_stand: Stand) -> None:
    database = await shared_stand.open()
    await database.configurations.save("STS", "default", {}, "anna")
    await database.configurations.save_schema("STS", {}, "anna")
    await database.tags.save("t", {"STS": "default"}, "anna")
    await database.mapping.create("STS", "anna")
    await database.runs.flag((await database.runs.reserve("A", "cbm", "anna")).number, "good", "anna")
    await database.audit.append(AuditEntry(time_ns=1, who="anna", what="login", outcome="accepted"))
    await database.description.record_equal(Seed(), "description")
    await database.snapshots.save(
        Snapshot(name="good", scope=("a",), reason="r", taken_by="anna", taken_ns=1, points=())
    )
    await database.fleet.add(Revision(number=0))
    engine = create_engine(shared_stand.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        for table in APPEND_ONLY:
            column = metadata.tables[table].columns.keys()[0]
            for verb in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column}"):
                with pytest.raises(DBAPIError, match="only grows"):
                    connection.execute(text(verb))
                connection.rollback()
    engine.dispose()


async def test_many_who_write_at_once_are_served_one_after_the_other(shared_stand: Stand) -> None:
    doors = [await shared_stand.open() for _ in range(3)]
    await doors[0].configurations.save("STS", "default", {"n": 0}, "anna")
    saves = [doors[n % len(doors)].configurations.save("STS", "default", {"n": n}, "anna") for n in range(1, 31)]
    revisions = {one.revision for one in await asyncio.gather(*saves)}
    assert revisions == set(range(2, 32))


async def test_several_who_open_an_empty_database_at_once_make_one_schema(empty_stand: Stand) -> None:
    doors = await asyncio.gather(*(empty_stand.open() for _ in range(4)))
    await doors[0].partitions.create("A", "cbm", "", "anna")
    assert [[one.name for one in await door.partitions.list()] for door in doors] == [["A"]] * 4
