"""Makes backups at their times while an experiment is up, and tells when the last one is too old or has failed.

`up` runs this. A backup is a process of its own that ends with it, the command `countingroom backup`, at the lowest
priority: neither a process nor memory is taken between two backups.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

from countingroom.app.child_command import run_command
from countingroom.backup import folder
from countingroom.backup.description import BackupSection
from countingroom.core.alarms import identity
from countingroom.core.clock import Clock, within
from countingroom.core.messages import Event, EventKind
from countingroom.core.times import duration

DEPARTMENT = "backup"
FIRST_S = 60.0
"""After the start of the experiment, before a backup that is due already."""
_AGAIN_S = 900.0
"""After a backup that failed."""
_LONGEST_S = 3600.0
"""The clock may be set meanwhile, so a long wait is several."""
_LATE_NS = 3600 * 10**9
"""So long after the second missed time the last backup counts as too old."""

_MOST_S = 6 * 3600.0
"""A backup that takes longer is ended: the disk of its folder does not answer, for example."""

Make = Callable[[], Awaitable[str]]
"""Makes a backup: empty, or why it failed."""


class BackupSchedule:
    """The backups of one experiment."""

    def __init__(
        self,
        section: BackupSection,
        experiment: str,
        to: Path,
        clock: Clock,
        make: Make,
        tell: Callable[[Event], None],
        identity: Callable[[], str],
    ) -> None:
        """`to`: the folder of the backups. `identity`: that of the data folder; OSError."""
        self._section = section
        self._experiment = experiment
        self._to = to
        self._clock = clock
        self._make = make
        self._tell = tell
        self._identity = identity
        self._since_ns = clock.now_ns()
        self._last_ns = 0
        self._looked = False
        self._failure: str | None = None
        """Why the last backup failed; empty: it did not; None: it is not known, after a start."""
        self._was_late = False

    def warnings(self) -> list[str]:
        """Why the experiment is not well backed up, one sentence each."""
        return [text for text in self.conditions().values() if text]

    def conditions(self) -> dict[str, str]:
        """The same by alarm, with an empty text where nothing is wrong; without those that are not known yet."""
        if not self._section.is_scheduled or not self._looked:
            return {}
        age = duration((self._clock.now_ns() - self._last_ns) / 1e9)
        late = f"the last backup is {age} old" if self._last_ns else "there is no backup"
        found = {identity.BACKUP_LATE: late if self.is_late else ""}
        if self._failure is None:
            return found
        failed = f"the last backup failed: {self._failure}" if self._failure else ""
        return {identity.BACKUP_FAILED: failed, **found}

    @property
    def is_late(self) -> bool:
        """Whether the last backup is too old: two times of the schedule have passed since it."""
        began_ns = self._last_ns or self._since_ns
        second_ns = self._section.next_ns(self._section.next_ns(began_ns))
        return self._clock.now_ns() > second_ns + min(_LATE_NS, second_ns - began_ns)

    async def run(self) -> None:
        """Until cancelled."""
        if not self._section.is_scheduled:
            return
        await self._look()
        if self._last_ns and self._section.next_ns(self._last_ns) > self._clock.now_ns():
            self._failure = ""  # no other one was due since
        await self._clock.sleep(FIRST_S)
        while True:
            if max(self._last_ns, self._since_ns) > (now_ns := self._clock.now_ns()):  # the clock was set back
                self._since_ns = min(self._since_ns, now_ns)
                await self._look()
            due_ns = self._section.next_ns(self._last_ns) if self._last_ns else self._first_ns()
            if (wait_s := (due_ns - self._clock.now_ns()) / 1e9) > 0:
                await self._clock.sleep(min(wait_s, _LONGEST_S))
                continue
            known_ns = self._last_ns
            await self._look()
            if self._last_ns > known_ns:  # one was made by hand
                self._failure = ""
                continue
            self._failure = await self._made()
            await self._look()
            self._tell_outcome()
            if self._failure:
                await self._clock.sleep(_AGAIN_S)

    async def _made(self) -> str:
        try:
            async with within(self._clock, _MOST_S):
                return await self._make()
        except TimeoutError:
            return f"it did not end within {duration(_MOST_S)}"

    def _first_ns(self) -> int:
        """Where there is no backup: at once with `every`, at the next time with `at`."""
        return self._section.next_ns(self._since_ns) if self._section.at else self._since_ns

    async def _look(self) -> None:
        with contextlib.suppress(OSError):
            found = await asyncio.to_thread(self._found)
            now_ns = self._clock.now_ns()  # one of the future was made while the clock was wrong
            self._last_ns = max((one.made_ns for one in found if one.made_ns <= now_ns), default=0)
        self._looked = True

    def _found(self) -> list[folder.FoundBackup]:
        return folder.backups(self._to, self._experiment, self._identity())

    def _tell_outcome(self) -> None:
        now_ns = self._clock.now_ns()
        self._tell(
            Event(
                id=uuid4().hex,
                kind=EventKind.FAILED if self._failure else EventKind.DONE,
                time_ns=now_ns,
                department=DEPARTMENT,
                source="backup",
                message=f"the backup failed: {self._failure}" if self._failure else f"a backup is made in {self._to}",
                severity=2 if self._failure else 0,
                action="backup",
            )
        )


async def make_in_child(description: Path, data: Path) -> str:
    """Run the command `backup` for an experiment that is up. Why it failed; empty: it did not."""
    return await run_command(["backup", "--wait", "--experiment", str(description), "--data", str(data)])
