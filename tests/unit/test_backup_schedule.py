"""When backups are made, that a failed or missed one is told, a clock that was wrong, and backups that do not end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from countingroom.app.backup_schedule import FIRST_S, BackupSchedule
from countingroom.backup import folder
from countingroom.backup.description import BackupSection
from countingroom.core.messages import Event, EventKind
from countingroom.testing.clock import FakeClock

START = datetime(2026, 11, 30, tzinfo=UTC)
_S = 10**9
OWN = "0a1b2c3d"
FAILED, LATE = "backup.failed", "backup.late"
NOW_NS = 1_900_000_000 * _S


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is read at once, so that the clock alone decides what happens."""

    async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", at_once)


class Stand:
    """A schedule whose backups are files that are made at once, or that fail."""

    def __init__(self, section: BackupSection, tmp_path: Path) -> None:
        self.clock = FakeClock(int(START.timestamp()) * 10**9)
        self.failure = ""
        self.made: list[float] = []
        self.events: list[Event] = []
        self._folder = tmp_path
        self.schedule = BackupSchedule(
            section, "bench", tmp_path, self.clock, self._make, self.events.append, lambda: OWN
        )

    async def _make(self) -> str:
        self.made.append(self.clock.monotonic())
        if not self.failure:
            (self._folder / folder.name("bench", OWN, self.clock.now_ns(), encrypted=False)).touch()
        return self.failure

    async def hours(self, hours: int) -> None:
        for _ in range(hours * 4):
            await self.clock.advance(900)


async def test_a_backup_is_made_each_time_and_a_failure_is_told_and_tried_again(tmp_path: Path) -> None:
    stand = Stand(BackupSection(every=86_400), tmp_path)
    running = asyncio.create_task(stand.schedule.run())
    await stand.clock.advance(FIRST_S)
    await stand.hours(25)
    assert len(stand.made) == 2
    assert stand.schedule.warnings() == []
    stand.failure = "the disk is full"
    await stand.hours(24)
    assert len(stand.made) > 3
    assert stand.schedule.warnings() == ["the last backup failed: the disk is full"]
    assert stand.events[-1].kind is EventKind.FAILED
    assert stand.events[-1].severity == 2
    await stand.hours(26)
    assert stand.schedule.warnings()[1].startswith("the last backup is 2 d")
    stand.failure = ""
    await stand.hours(1)
    assert stand.schedule.warnings() == []
    assert stand.events[-1].kind is EventKind.DONE
    running.cancel()


async def test_times_of_cron_are_kept(tmp_path: Path) -> None:
    stand = Stand(BackupSection(at="30 3 * * *"), tmp_path)
    running = asyncio.create_task(stand.schedule.run())
    await stand.clock.advance(FIRST_S)
    await stand.hours(28)
    assert [round(one / 3600, 1) for one in stand.made] == [3.5, 27.5]
    running.cancel()


def test_without_a_schedule_nothing_is_late(tmp_path: Path) -> None:
    stand = Stand(BackupSection(), tmp_path)
    stand.clock.step(1e7)
    assert stand.schedule.warnings() == []


async def test_a_backup_with_a_time_of_the_future_does_not_end_the_schedule(tmp_path: Path) -> None:
    clock = FakeClock(NOW_NS)
    (tmp_path / folder.name("bench", OWN, NOW_NS + 10**7 * _S, encrypted=False)).touch()
    made: list[int] = []

    async def make() -> str:
        made.append(clock.now_ns())
        (tmp_path / folder.name("bench", OWN, clock.now_ns(), encrypted=False)).touch()
        return ""

    schedule = BackupSchedule(
        BackupSection(every=3600), "bench", tmp_path, clock, make, lambda event: None, lambda: OWN
    )
    running = asyncio.create_task(schedule.run())
    await clock.advance(FIRST_S)
    assert len(made) == 1
    clock.step(-7200.0)  # and the clock is set back
    await clock.advance(3600)
    assert len(made) == 2
    running.cancel()
    await asyncio.wait([running])


async def test_a_backup_that_never_ends_is_ended_and_told(tmp_path: Path) -> None:
    clock = FakeClock(NOW_NS)
    events: list[Event] = []

    async def make() -> str:
        await asyncio.Event().wait()
        return ""

    schedule = BackupSchedule(BackupSection(every=3600), "bench", tmp_path, clock, make, events.append, lambda: OWN)
    running = asyncio.create_task(schedule.run())
    await clock.advance(FIRST_S)
    await clock.advance(6 * 3600 + 1)
    await clock.advance(1)
    assert "the last backup failed: it did not end within 6 h" in schedule.warnings()[0]
    assert "did not end" in events[0].message
    running.cancel()
    await asyncio.wait([running])


async def test_after_a_start_it_is_not_told_that_the_last_backup_was_good_before_it_is_known(tmp_path: Path) -> None:
    stand = Stand(BackupSection(every=86_400), tmp_path)
    assert stand.schedule.conditions() == {}
    stand.failure = "the disk is full"
    running = asyncio.create_task(stand.schedule.run())
    await stand.clock.advance(1)
    assert stand.schedule.conditions() == {LATE: ""}
    await stand.clock.advance(FIRST_S)
    assert stand.schedule.conditions() == {FAILED: "the last backup failed: the disk is full", LATE: ""}
    running.cancel()


async def test_after_a_start_a_backup_after_which_none_was_due_counts_as_the_last_one(tmp_path: Path) -> None:
    stand = Stand(BackupSection(every=86_400), tmp_path)
    (tmp_path / folder.name("bench", "ffffffff", stand.clock.now_ns() - 60 * _S, encrypted=False)).touch()
    (tmp_path / folder.name("bench", OWN, stand.clock.now_ns() - 3600 * _S, encrypted=False)).touch()
    running = asyncio.create_task(stand.schedule.run())
    await stand.clock.advance(1)
    assert stand.schedule.conditions() == {FAILED: "", LATE: ""}
    stand.clock.step(2.5 * 86_400)
    assert stand.schedule.conditions()[LATE] == "the last backup is 2 d 13 h old"  # not that of another data folder
    running.cancel()


async def test_a_backup_that_is_made_by_hand_after_a_failure_counts_and_no_other_one_is_made(tmp_path: Path) -> None:
    stand = Stand(BackupSection(every=86_400), tmp_path)
    stand.failure = "the disk is full"
    running = asyncio.create_task(stand.schedule.run())
    await stand.clock.advance(FIRST_S + 1)
    assert stand.schedule.conditions()[FAILED]
    (tmp_path / folder.name("bench", OWN, stand.clock.now_ns(), encrypted=False)).touch()
    stand.failure = ""
    await stand.clock.advance(900)
    assert stand.schedule.conditions() == {FAILED: "", LATE: ""}
    assert len(stand.made) == 1
    running.cancel()
