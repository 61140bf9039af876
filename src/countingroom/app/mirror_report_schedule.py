"""Makes reports over the last runs at their times, in the role `mirror`: the process that writes the public store and
has the description. The public site has neither, and may run on another computer that must not write.

A report is a process of its own at low priority, the command `countingroom mirror report`: counting 100,000 runs must
not hold up the grabber, and no memory is taken between two reports.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from countingroom.app.child_command import run_command
from countingroom.core.clock import Clock, within
from countingroom.core.times import duration
from countingroom.mirror.report_section import ReportSection

if TYPE_CHECKING:
    from countingroom.app.roles import Setting
    from countingroom.mirror.description import MirrorSection

_log = logging.getLogger(__name__)
FIRST_S = 60.0
"""After the start, before a report that is due already: the grabber reads first what came meanwhile."""
_AGAIN_S = 900.0
"""After a failure."""
_LONGEST_S = 3600.0
"""The clock may be set meanwhile, so a long wait is several."""
_MOST_S = 3600.0
_NICE = 10

MakeReport = Callable[[Path], Awaitable[str]]
"""Makes a report in a folder: empty, or why it failed."""


class ReportSchedule:
    """The reports of one public store."""

    def __init__(self, section: ReportSection, folder: Path, clock: Clock, make: MakeReport) -> None:
        self._section = section
        self._folder = folder
        self._clock = clock
        self._make = make
        self._failure = ""

    def troubles(self) -> Iterator[str]:
        """None: the public store is right without a report."""
        yield from ()

    def warnings(self) -> Iterator[str]:
        """Why the last report was not made."""
        if self._failure:
            yield f"the report over the last runs was not made: {self._failure}"

    async def run(self) -> None:
        """Until cancelled; returns at once where no times are given."""
        if not self._section.is_scheduled:
            return
        last_ns = await asyncio.to_thread(self._newest_ns)
        await self._clock.sleep(FIRST_S)
        since_ns = self._clock.now_ns()
        while True:
            now_ns = self._clock.now_ns()
            last_ns = min(last_ns, now_ns)  # one of the future was made while the clock was wrong
            begin_ns = last_ns or min(since_ns, now_ns)
            # Without one before, the first is made at once with `every`, and at the next time with `at`.
            due_ns = now_ns if not last_ns and self._section.every else self._section.next_ns(begin_ns)
            if (wait_s := (due_ns - now_ns) / 1e9) > 0:
                await self._clock.sleep(min(wait_s, _LONGEST_S))
                continue
            self._failure = await self._made()
            if self._failure:
                _log.warning("the report over the last runs was not made: %s", self._failure)
                await self._clock.sleep(_AGAIN_S)
                continue
            last_ns = self._clock.now_ns()

    async def _made(self) -> str:
        try:
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
            async with within(self._clock, _MOST_S):
                failure = await self._make(self._folder)
            if not failure:
                await asyncio.to_thread(self._prune)
        except TimeoutError:
            return f"it did not end within {duration(_MOST_S)}"
        except OSError as error:
            return f"{self._folder}: {error.strerror}"
        return failure

    def _found(self) -> list[Path]:
        """Reports of this set, the newest first."""
        found = [one for end in ("pdf", "html") for one in self._folder.glob(f"report-{self._section.set}-*.{end}")]
        return sorted(found, key=lambda one: (one.stat().st_mtime_ns, one.name), reverse=True)

    def _newest_ns(self) -> int:
        with contextlib.suppress(OSError):
            return next((one.stat().st_mtime_ns for one in self._found()), 0)
        return 0

    def _prune(self) -> None:
        for one in self._found()[self._section.keep :]:
            one.unlink(missing_ok=True)


def report_in_child(section: MirrorSection, setting: Setting) -> MakeReport:
    """Makes reports by the command, in a child that ends with this process."""
    report = section.report

    async def make(folder: Path) -> str:
        where = ["--title", report.title, "--out", str(folder), *(["--html", str(folder)] if report.html else [])]
        return await run_command(
            ["mirror", "report", "--last", str(report.runs), "--set", report.set, *where],
            environment={"COUNTINGROOM_MIRROR_STORE": section.store.address(setting.data)},  # may hold a password
            niceness=_NICE,
        )

    return make
