"""On every database snapshots are never overwritten, one is golden for a scope, and the record only grows."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from countingroom.core.errors import Conflict, NotFound, OutOfRange
from countingroom.core.snapshots.progress import PointEnd, PointResult, Restore, RestoreEnd
from countingroom.core.snapshots.restore_plan import PlannedWrite
from countingroom.core.snapshots.values import SavedPoint, Snapshot
from countingroom.core.values import Quality
from countingroom.storage.database import Database

GOOD = Snapshot(
    name="good",
    scope=("caen", "area:cooling"),
    reason="run 42",
    taken_by="anna",
    taken_ns=1,
    points=(
        SavedPoint(device="caen", point="0.hv_setV", value=300.0, unit="V", readback_value=299.9),
        SavedPoint(device="chiller", point="mode", value="ä", quality=Quality.STALE),
        SavedPoint(device="chiller", point="on", value=True),
    ),
)


async def test_a_snapshot_is_read_back_as_it_was_and_never_overwritten(database: Database) -> None:
    store = database.snapshots
    told = await store.save(GOOD)
    assert (told.points, told.not_present, told.devices) == (3, 1, ("caen", "chiller"))
    assert await store.get("good") == GOOD
    with pytest.raises(Conflict, match="already"):
        await store.save(replace(GOOD, taken_by="bert"))
    with pytest.raises(OutOfRange):
        await store.save(replace(GOOD, name="a/b"))
    with pytest.raises(OutOfRange, match="reason"):
        await store.save(replace(GOOD, name="c", reason=" "))
    await store.save(replace(GOOD, name="newer", taken_ns=2, imported_by="bert", imported_ns=3))
    assert [one.name for one in await store.list()] == ["newer", "good"]
    actions = await store.actions()
    assert [(one.who, one.what, one.snapshot) for one in actions] == [
        ("bert", "import", "newer"),
        ("anna", "take", "good"),
    ]


async def test_one_snapshot_is_golden_for_a_scope_and_stays_until_another_takes_its_place(database: Database) -> None:
    store = database.snapshots
    await store.save(GOOD)
    await store.save(replace(GOOD, name="other", scope=("area:cooling", "caen")))
    await store.save(replace(GOOD, name="chiller", scope=("chiller",)))
    await store.mark("good", "eve", "it works")
    await store.mark("chiller", "eve", "it works")
    with pytest.raises(Conflict, match="golden"):
        await store.delete("good", "anna", "old")
    mark = await store.mark("other", "eve", "it works better")
    assert [(one.scope, one.snapshot) for one, _ in await store.golden()] == [
        ("area:cooling caen", "other"),
        ("chiller", "chiller"),
    ]
    assert {one.name: one.golden for one in await store.list()}["other"] == mark
    assert (await store.delete("good", "anna", "old")).name == "good"
    await store.unmark("other", "eve", "wrong")
    with pytest.raises(Conflict):
        await store.unmark("other", "eve", "wrong")
    with pytest.raises(NotFound):
        await store.get("good")
    # What was done with a deleted one is still known.
    told = [(one.who, one.what, one.reason) for one in await store.actions("good")]
    assert told == [("anna", "delete", "old"), ("eve", "golden", "it works"), ("anna", "take", "run 42")]


async def test_a_restore_keeps_what_became_of_each_point(database: Database) -> None:
    store = database.snapshots
    writes = tuple(PlannedWrite(device="caen", point=name, new=1.0, wait_s=1.0, reason="") for name in "abc")
    begun = Restore(
        id="r1",
        snapshot="good",
        by="anna",
        reason="r",
        started_ns=5,
        writes=writes,
        results=(PointResult(),) * 3,
    )
    await store.begin_restore(begun)
    await store.keep_point("r1", 0, PointResult(end=PointEnd.UNDER_WAY, time_ns=6))
    await store.keep_point("r1", 0, PointResult(end=PointEnd.RESTORED, time_ns=7))
    (found,) = await store.unfinished()
    assert [one.end for one in found.results] == [PointEnd.RESTORED, PointEnd.NOT_TRIED, PointEnd.NOT_TRIED]
    over = replace(found, end=RestoreEnd.INTERRUPTED, ended_ns=9)
    await store.end_restore(over)
    assert await store.unfinished() == ()
    assert await store.restore("r1") == over
    assert await store.restores(of="good") == (over,)
    assert await store.restores(of="other") == ()
    with pytest.raises(NotFound):
        await store.restore("r2")
