"""When reports of the public store are made, and that a failure is told and tried again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from countingroom.app.mirror_report_schedule import FIRST_S, ReportSchedule, report_in_child
from countingroom.app.roles import Setting
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.report_section import ReportSection
from countingroom.mirror.store.store import PublicStore
from countingroom.testing.clock import FakeClock

_HOUR = 3600


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is read at once, so that the clock alone decides what happens."""

    async def at_once(work: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        return work(*arguments, **more)

    monkeypatch.setattr(asyncio, "to_thread", at_once)


class Reports:
    """A schedule whose reports are empty files, or fail."""

    def __init__(self, section: ReportSection, folder: Path, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.failure = ""
        self.made: list[float] = []
        self.folder = folder
        self.schedule = ReportSchedule(section, folder, self.clock, self._make)

    async def _make(self, folder: Path) -> str:
        self.made.append(self.clock.monotonic())
        if not self.failure:
            path = folder / f"report-production-1-{len(self.made)}.pdf"
            path.touch()
            os.utime(path, ns=(self.clock.now_ns(), self.clock.now_ns()))
        return self.failure

    async def hours(self, hours: float) -> None:
        for _ in range(round(hours * 4)):
            await self.clock.advance(900)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(work)
    yield
    task.cancel()


pytestmark = pytest.mark.usefixtures("no_threads")


async def test_reports_come_at_their_times_and_old_ones_go(tmp_path: Path) -> None:
    one = Reports(ReportSection(every=6 * _HOUR, keep=3), tmp_path / "reports")
    async with running(one.schedule.run()):
        await one.clock.advance(FIRST_S + 1)
        assert len(one.made) == 1
        await one.hours(31)
        assert len(one.made) == 6
        assert sorted(path.name for path in one.folder.iterdir()) == [f"report-production-1-{n}.pdf" for n in (4, 5, 6)]
    again = Reports(ReportSection(every=6 * _HOUR), one.folder, one.clock)
    async with running(again.schedule.run()):
        await again.hours(1)
        assert again.made == [], "the last one is not old enough"


async def test_with_times_of_day_the_first_one_waits_for_its_time(tmp_path: Path) -> None:
    one = Reports(ReportSection(at="0 7 * * *"), tmp_path)
    async with running(one.schedule.run()):
        await one.hours(48)
        assert len(one.made) == 2


async def test_a_failure_is_told_and_tried_again(tmp_path: Path) -> None:
    one = Reports(ReportSection(every=24 * _HOUR), tmp_path)
    one.failure = "no space"
    async with running(one.schedule.run()):
        await one.clock.advance(FIRST_S + 1)
        assert list(one.schedule.warnings()) == ["the report over the last runs was not made: no space"]
        one.failure = ""
        await one.hours(1)
        assert (len(one.made), list(one.schedule.warnings()), list(one.schedule.troubles())) == (2, [], [])


async def test_without_times_nothing_is_made(tmp_path: Path) -> None:
    await Reports(ReportSection(), tmp_path).schedule.run()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"report": {"every": "1 d", "at": "0 7 * * 1"}}, "give every or at"),
        ({"report": {"at": "7 o'clock"}}, "field"),
        ({"report": {"folder": "here"}}, "absolute path"),
        ({"report": {"every": "1 d"}}, "not written here"),
        ({"report": {"every": "1 d"}, "feed": {"to": "https://x.org", "token": {"env": "T"}}}, "not written here"),
    ],
)
def test_what_does_not_fit_is_told(given: dict[str, Any], says: str) -> None:
    section = MirrorSection.model_validate(given)
    assert any(says in text for path, text in section.problems() if path[0] == "report")


@pytest.mark.server
async def test_a_child_makes_the_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'public.sqlite'}"
    section = MirrorSection.model_validate({"store": {"url": url}, "report": {"every": "1 d", "html": True}})
    make = report_in_child(section, cast(Setting, SimpleNamespace(data=tmp_path)))
    assert "there is no public store" in await make(tmp_path)
    store = PublicStore(url, FakeClock())
    await store.open()
    await store.close()
    assert await make(tmp_path) == ""
    assert {path.suffix for path in tmp_path.glob("report-*")} == {".pdf", ".html"}
