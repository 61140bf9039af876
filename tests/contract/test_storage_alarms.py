"""On every database the state of an alarm and its history outlive the process, and only the present process writes."""

from __future__ import annotations

import pytest
from msgspec import structs

from countingroom.core.alarms.history import AlarmEntry, AlarmHistoryFilter, HistoryKind, SavedAlarm
from countingroom.core.alarms.states import AlarmState, BaseState, OutOfService, Shelf
from countingroom.core.alarms.statistics import CountedRow
from countingroom.core.errors import Conflict, OutOfRange
from countingroom.storage import alarms as module
from countingroom.storage.database import Database
from tests.contract.storage.stand import Stand

STATE = AlarmState(
    id="point.caen.0.hv_iMon",
    area="cooling/chiller",
    title="CAEN 0 / HV",
    base=BaseState.ACKNOWLEDGED,
    priority=1,
    text='I mon 11.82 µA is above "10.00" µA \0',
    occurrence=7,
    since_ns=1_800_000_000_000_000_001,
    announced_ns=1_800_000_000_000_000_002,
    changed_ns=1_800_000_000_000_000_003,
    acknowledged_by="anna",
    acknowledged_ns=1_800_000_000_000_000_003,
    comment="seen",
    shelf=Shelf(by="ben", reason="access", since_ns=4, until_ns=5, once=True),
    service=OutOfService(by="carl", owner="dora", reason="sensor", since_ns=6, due_ns=7),
    latching=True,
    value=11.82,
)
SAVED = SavedAlarm(id=STATE.id, occurrence=7, state=STATE, extra={"due_ns": 12, "told": [1, 2]})
ENTRY = AlarmEntry(
    time_ns=1_800_000_000_000_000_002,
    alarm=STATE.id,
    area="cooling/chiller",
    title="CAEN 0 / HV",
    kind=HistoryKind.ANNOUNCED,
    occurrence=7,
    base=BaseState.UNACKNOWLEDGED,
    priority=1,
    text="I mon is above its limit",
    value=11.82,
)


async def _find(database: Database, **wanted: object) -> list[AlarmEntry]:
    found = await database.alarms.history(AlarmHistoryFilter(**wanted))  # pyright: ignore[reportArgumentType]
    return [structs.replace(one, sequence=0) for one in found]


async def test_what_is_saved_is_read_by_the_next_process_as_it_was(shared_stand: Stand) -> None:
    first = await shared_stand.open()
    writer = await first.alarms.take_over("one")
    await first.alarms.save(writer, [SAVED], [ENTRY])
    second = await shared_stand.open()
    assert await second.alarms.load() == (SAVED,)
    assert await _find(second) == [ENTRY]


async def test_an_alarm_at_rest_keeps_the_number_of_its_last_occurrence(database: Database) -> None:
    writer = await database.alarms.take_over("one")
    await database.alarms.save(writer, [SAVED, SavedAlarm(id="device.b.link", occurrence=2)])
    await database.alarms.save(writer, [structs.replace(SAVED, state=None, extra={})])
    assert await database.alarms.load() == (
        SavedAlarm(id="device.b.link", occurrence=2),
        SavedAlarm(id=STATE.id, occurrence=7),
    )


async def test_the_last_change_of_an_alarm_in_one_call_counts(database: Database) -> None:
    writer = await database.alarms.take_over("one")
    await database.alarms.save(writer, [SAVED, structs.replace(SAVED, occurrence=8)])
    assert [one.occurrence for one in await database.alarms.load()] == [8]


async def test_a_call_that_is_repeated_adds_nothing(database: Database) -> None:
    writer = await database.alarms.take_over("one")
    other = structs.replace(ENTRY, kind=HistoryKind.ACKNOWLEDGED, person="anna", text="seen")
    await database.alarms.save(writer, [SAVED], [ENTRY, other])
    await database.alarms.save(writer, [SAVED], [ENTRY, other])
    assert await _find(database) == [other, ENTRY]
    assert await database.alarms.load() == (SAVED,)


async def test_a_process_that_was_replaced_changes_nothing_any_more(shared_stand: Stand) -> None:
    old, new = await shared_stand.open(), await shared_stand.open()
    first = await old.alarms.take_over("one")
    await old.alarms.save(first, [SAVED])
    second = await new.alarms.take_over("two")
    assert second > first
    with pytest.raises(Conflict) as refused:
        await old.alarms.save(first, [structs.replace(SAVED, occurrence=9)], [ENTRY])
    assert refused.value.cause.code == "superseded"
    assert (await new.alarms.load(), await _find(new)) == ((SAVED,), [])
    await new.alarms.save(second, [structs.replace(SAVED, occurrence=8)])
    assert [one.occurrence for one in await old.alarms.load()] == [8]


async def test_no_process_writes_before_it_has_taken_over(database: Database) -> None:
    with pytest.raises(Conflict):
        await database.alarms.save(1, [SAVED], [ENTRY])
    assert await database.alarms.load() == ()


async def test_a_change_that_cannot_be_stored_is_stored_in_no_part(database: Database) -> None:
    writer = await database.alarms.take_over("one")
    half = structs.replace(SAVED, id="b", state=structs.replace(STATE, comment="\ud800"))
    with pytest.raises(OutOfRange):
        await database.alarms.save(writer, [SAVED, half], [ENTRY])
    with pytest.raises(OutOfRange):
        await database.alarms.save(writer, [SAVED], [ENTRY, structs.replace(ENTRY, text="\ud800")])
    assert (await database.alarms.load(), await _find(database)) == ((), [])


async def test_the_history_is_found_by_alarm_area_kind_person_priority_and_time(database: Database) -> None:
    writer = await database.alarms.take_over("one")
    entries = [
        ENTRY,
        structs.replace(ENTRY, time_ns=ENTRY.time_ns + 1, alarm="device.b.link", area="cooling", priority=2),
        structs.replace(ENTRY, time_ns=ENTRY.time_ns + 2, alarm="c", area="cooling_water", priority=4),
        structs.replace(ENTRY, time_ns=ENTRY.time_ns + 3, alarm="d", area="coolingX/chiller", priority=3),
        structs.replace(
            ENTRY,
            time_ns=ENTRY.time_ns + 4,
            kind=HistoryKind.SHELVED,
            person="anna",
            text="access until noon",
            until_ns=ENTRY.time_ns + 10,
            cause_id="device.b.link",
        ),
    ]
    await database.alarms.save(writer, [], entries)
    of, link, water, other, shelved = entries
    assert await _find(database) == [shelved, other, water, link, of]
    assert await _find(database, alarm=STATE.id) == [shelved, of]
    assert await _find(database, area="cooling") == [shelved, link, of]
    assert await _find(database, area="cooling_water") == [water]
    assert await _find(database, area="c%") == []
    assert await _find(database, kinds=(HistoryKind.SHELVED, HistoryKind.RESET)) == [shelved]
    assert await _find(database, person="anna") == [shelved]
    assert await _find(database, priority=2) == [shelved, link, of]
    assert await _find(database, from_ns=link.time_ns, to_ns=other.time_ns) == [water, link]


async def test_occurrences_of_an_alarm_are_counted_since_a_time(database: Database) -> None:
    writer = await database.alarms.take_over("one")
    kinds = (HistoryKind.ANNOUNCED, HistoryKind.ACKNOWLEDGED, HistoryKind.RETURNED, HistoryKind.ACTIVATED)
    entries = [
        structs.replace(ENTRY, time_ns=n, kind=kind, alarm=of)
        for n, kind in enumerate((*kinds, *kinds))
        for of in (STATE.id, "device.b.link")
    ]
    await database.alarms.save(writer, [], entries)
    found = [await database.alarms.occurrences(STATE.id, since_ns) for since_ns in (0, 1, 7, 8)]
    assert found == [4, 3, 1, 0]


async def test_the_next_page_begins_where_the_last_one_ended(database: Database) -> None:
    writer = await database.alarms.take_over("one")
    await database.alarms.save(writer, [], [structs.replace(ENTRY, time_ns=n) for n in range(5)])
    first = await database.alarms.history(AlarmHistoryFilter(limit=2))
    second = await database.alarms.history(AlarmHistoryFilter(limit=2, before=first[-1].sequence))
    assert [one.time_ns for one in (*first, *second)] == [4, 3, 2, 1]
    assert await database.alarms.history(AlarmHistoryFilter(limit=-1)) == ()


async def test_the_history_is_bounded_by_age_and_by_number(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)
    writer = await database.alarms.take_over("one")
    await database.alarms.save(writer, [], [structs.replace(ENTRY, time_ns=n) for n in range(20)])
    assert await database.alarms.discard(before_ns=8) == 8
    assert [one.time_ns for one in await _find(database)] == list(range(19, 7, -1))
    assert await database.alarms.discard(before_ns=0, most=5) == 7
    assert [one.time_ns for one in await _find(database)] == [19, 18, 17, 16, 15]
    assert await database.alarms.discard(before_ns=0, most=5) == 0


async def test_numbers_of_rows_go_on_after_the_newest_was_deleted(database: Database) -> None:
    writer = await database.alarms.take_over("one")
    await database.alarms.save(writer, [], [ENTRY])
    (before,) = await database.alarms.history(AlarmHistoryFilter())
    await database.alarms.discard(before_ns=ENTRY.time_ns + 1)
    await database.alarms.save(writer, [], [structs.replace(ENTRY, time_ns=ENTRY.time_ns + 5)])
    (after,) = await database.alarms.history(AlarmHistoryFilter())
    assert after.sequence > before.sequence


async def test_rows_for_statistics_come_in_parts_in_the_order_of_their_times(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COUNTED", 3)
    writer = await database.alarms.take_over("one")
    assert await database.alarms.oldest_ns() is None
    # Several rows of one time, and a clock that was set back: the sequence is not the order of the times.
    times = [5, 5, 5, 5, 9, 7, 7, 3, 12]
    entries = [structs.replace(ENTRY, time_ns=time, occurrence=n) for n, time in enumerate(times)]
    entries.append(structs.replace(ENTRY, time_ns=6, kind=HistoryKind.COMMENTED))
    entries.append(structs.replace(ENTRY, time_ns=6, kind=HistoryKind.SHELVED, area="cooling_water"))
    await database.alarms.save(writer, [], entries)
    found: list[CountedRow] = []
    while part := await database.alarms.counted_rows(5, 12, "cooling", found[-1] if found else None):
        assert len(part) <= 3
        found += part
    assert [one.time_ns for one in found] == [5, 5, 5, 5, 7, 7, 9]
    assert [one.sequence for one in found[:4]] == sorted(one.sequence for one in found[:4])
    first = found[0]
    assert (first.alarm, first.title, first.kind, first.base) == (STATE.id, ENTRY.title, "announced", "unacknowledged")
    assert [one.kind for one in await database.alarms.counted_rows(6, 7)] == ["shelved"]
    assert await database.alarms.oldest_ns() == 3
