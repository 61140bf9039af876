"""On every database a run has one number, one end, and everything that was said of it; nothing of it is lost."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from countingroom.core.errors import Cause, Conflict, NotFound, OutOfRange
from countingroom.core.partitions import Configuration
from countingroom.core.run_book import Run, RunEnd, RunFilter, RunLimit, RunNote, RunSequence
from countingroom.storage.database import Database
from tests.contract.storage.stand import Stand


async def test_a_run_comes_back_as_it_was_from_its_request_to_its_end(database: Database) -> None:
    given = await database.runs.reserve(
        "A",
        "cbm",
        "anna",
        1000,
        tag="physics",
        configurations={"STS": Configuration(tag="cold", key="ab12", parameters={"hv": 1.0, "mode": "x"})},
        members=("TFC", "STS"),
        versions={"STS": "1.2"},
        limit=RunLimit(seconds=60, point="caen.0.lv_vMon", above=3.0),
        sequence="scan",
    )
    assert await database.runs.get(given.number) == given
    await database.runs.began(given.number, 2000)
    await database.runs.note(given.number, RunNote(time_ns=2500, kind="comment", text="quiet", author="ben"))
    cause = Cause(code="link_lost", message="STS is gone", causes=(Cause(code="x", message="y"),))
    closed = await database.runs.close(
        given.number, RunEnd.LOST, 3000, ended_by="", cause=cause, counters={"QA.events": 7}, versions={"QA": "3"}
    )
    assert await database.runs.get(given.number) == closed
    assert (closed.started_ns, closed.ended_ns, closed.end, closed.cause) == (2000, 3000, RunEnd.LOST, cause)
    assert (closed.counters, closed.versions) == ({"QA.events": 7}, {"STS": "1.2", "QA": "3"})
    assert closed.configurations["STS"].parameters == {"hv": 1.0, "mode": "x"}


async def test_numbers_grow_over_all_partitions_whoever_asks(shared_stand: Stand) -> None:
    doors = [await shared_stand.open() for _ in range(3)]
    asked = [doors[n % len(doors)].runs.reserve(f"P{n}", "cbm", "anna") for n in range(30)]
    numbers = [run.number for run in await asyncio.gather(*asked)]
    assert sorted(numbers) == list(range(1, 31))


async def test_a_partition_has_one_open_run(shared_stand: Stand) -> None:
    doors = [await shared_stand.open() for _ in range(2)]
    asked = [doors[n % len(doors)].runs.reserve("A", "cbm", "anna") for n in range(6)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    (given,) = [one for one in answers if isinstance(one, Run)]
    assert sum(isinstance(one, Conflict) for one in answers) == 5
    assert await doors[0].runs.open_runs() == (given,)
    await doors[0].runs.close(given.number, RunEnd.NEVER_STARTED)
    assert await doors[0].runs.open_runs("A") == ()
    assert (await doors[-1].runs.reserve("A", "cbm", "anna")).number == given.number + 1


async def test_a_run_ends_once(database: Database) -> None:
    number = (await database.runs.reserve("A", "cbm", "anna")).number
    first = await database.runs.close(number, RunEnd.STOPPED, 10, ended_by="anna")
    assert await database.runs.close(number, RunEnd.STOPPED, 20, ended_by="ben") == first
    with pytest.raises(Conflict) as refused:
        await database.runs.close(number, RunEnd.OWNER_DIED, 20)
    assert refused.value.cause.evidence == {"run": number, "end": "stopped"}
    with pytest.raises(Conflict):
        await database.runs.began(number, 20)
    for unknown in (database.runs.began(99, 1), database.runs.flag(99, "", ""), database.runs.get(99)):
        with pytest.raises(NotFound):
            await unknown


async def test_the_first_start_that_was_told_holds(database: Database) -> None:
    number = (await database.runs.reserve("A", "cbm", "anna")).number
    await database.runs.began(number, 10)
    await database.runs.began(number, 20)
    assert (await database.runs.get(number)).started_ns == 10


async def test_a_flag_is_a_note_too_and_a_comment_may_come_after_the_end(database: Database) -> None:
    number = (await database.runs.reserve("A", "cbm", "anna")).number
    await database.runs.close(number, RunEnd.STOPPED)
    for quality in ("good", "good", "bad"):
        await database.runs.flag(number, quality, "ben")
    await database.runs.note(number, RunNote(time_ns=5, kind="comment", text="noisy", author="carl", system="STS"))
    found = await database.runs.get(number)
    assert found.quality == "bad"
    assert [(note.kind, note.text, note.author) for note in found.notes] == [
        ("flag", "good", "ben"),
        ("flag", "bad", "ben"),
        ("comment", "noisy", "carl"),
    ]


@pytest.mark.parametrize("note", [("\ud800", 1), ("fine", 2**70)])
async def test_what_no_database_can_keep_is_refused_and_changes_nothing(
    database: Database, note: tuple[str, int]
) -> None:
    number = (await database.runs.reserve("A", "cbm", "anna")).number
    with pytest.raises(OutOfRange):
        await database.runs.note(number, RunNote(time_ns=note[1], kind="comment", text=note[0]))
    assert (await database.runs.get(number)).notes == ()


async def test_a_server_that_cut_every_connection_is_reached_again(server_stand: Stand) -> None:
    database = await server_stand.open()
    await database.runs.reserve("A", "cbm", "anna")
    with psycopg.connect(server_stand.url, autocommit=True) as other:
        cut = other.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert cut is not None
    assert cut[0] >= 1
    assert (await database.runs.reserve("B", "cbm", "anna")).number == 2
    assert len(await database.runs.open_runs()) == 2


async def test_runs_are_found_by_everything_that_is_known_of_them(database: Database) -> None:
    for number in range(1, 7):
        partition = "A" if number % 2 else "B"
        run = await database.runs.reserve(partition, "cbm", f"user{number}", number * 100, members=(f"S{number}",))
        assert run.number == number
        await database.runs.close(number, RunEnd.STOPPED)
    await database.runs.reserve("A", "cbm", "anna", 700, tag="Öffnung")
    await database.runs.flag(2, "good", "ben")
    await database.runs.note(3, RunNote(time_ns=1, kind="comment", text="HV at 100% of 5_V"))

    async def numbers(wanted: RunFilter) -> list[int]:
        return [run.number for run in await database.runs.find(wanted)]

    assert await numbers(RunFilter()) == [7, 6, 5, 4, 3, 2, 1]
    assert await numbers(RunFilter(partition="B")) == [6, 4, 2]
    assert await numbers(RunFilter(from_ns=200, to_ns=400)) == [3, 2]
    assert await numbers(RunFilter(quality="good")) == [2]
    assert await numbers(RunFilter(quality="", partition="B")) == [6, 4]
    assert await numbers(RunFilter(open=True)) == [7]
    assert await numbers(RunFilter(open=False, limit=2)) == [6, 5]
    assert await numbers(RunFilter(before=5, limit=2)) == [4, 3]
    assert await numbers(RunFilter(text="öFFN")) == [7]
    assert await numbers(RunFilter(text="100%")) == [3]
    assert await numbers(RunFilter(text="%")) == [3]
    assert await numbers(RunFilter(text="s5")) == [5]
    assert await numbers(RunFilter(text="user4")) == [4]
    assert await numbers(RunFilter(text="nowhere")) == []
    last = await database.runs.last("A")
    assert last is not None
    assert last.number == 7


async def test_no_number_is_given_again_after_going_back_to_a_backup(database: Database) -> None:
    assert await database.runs.last_number() == 0
    await database.runs.reserve("A", "cbm", "anna")
    assert await database.runs.skip_to(1000) == 1000
    assert await database.runs.last_number() == 1
    assert await database.runs.skip_to(5) == 1000
    assert (await database.runs.reserve("B", "cbm", "anna")).number == 1000


async def test_a_partition_whose_run_is_open_is_not_deleted(database: Database) -> None:
    await database.partitions.create("A", "cbm", "", "anna")
    number = (await database.runs.reserve("A", "cbm", "anna")).number
    with pytest.raises(Conflict):
        await database.partitions.delete("A", "anna", force=True)
    await database.runs.close(number, RunEnd.STOPPED)
    await database.partitions.delete("A", "anna")
    assert (await database.runs.get(number)).partition == "A"


def _scan(name: str, partition: str) -> RunSequence:
    return RunSequence(
        name=name,
        partition=partition,
        requested_by="anna",
        created_ns=1,
        system="STS",
        parameter="hv",
        values=(1.0, 2.0),
        limit=RunLimit(seconds=10),
    )


async def test_a_sequence_knows_how_far_it_is(database: Database) -> None:
    await database.sequences.begin(_scan("one", "A"))
    for wrong in (_scan("two", "A"), _scan("one", "B")):
        with pytest.raises(Conflict):
            await database.sequences.begin(wrong)
    await database.sequences.advance("one", 5)
    assert (await database.sequences.advance("one", 5)).runs == (5,)
    assert (await database.sequences.advance("one", 6)).runs == (5, 6)
    with pytest.raises(Conflict):
        await database.sequences.advance("one", 7)
    assert await database.sequences.going("A") == await database.sequences.get("one")
    await database.sequences.end("one", "finished")
    assert (await database.sequences.end("one", "stopped")).end == "finished"
    assert await database.sequences.going("A") is None
    await database.sequences.begin(_scan("two", "A"))
    with pytest.raises(NotFound):
        await database.sequences.get("three")
