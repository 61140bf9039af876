"""Keeps the flags of the open run: compares what is wrong now with what is recorded, and records the difference."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from countingroom.core import run_flags
from countingroom.core.errors import Cause
from countingroom.core.messages import EventKind
from countingroom.core.run_book import Run, RunEnd, RunFlag
from countingroom.runs.partition.conditions import Conditions
from countingroom.runs.partition.port import OwnerPort
from countingroom.runs.partition.run_lifecycle import RunLifecycle
from countingroom.runs.planner.events import RunOver
from countingroom.runs.planner.run_troubles import is_watched, troubles
from countingroom.runs.planner.survey import UNSEEN
from countingroom.storage.run_entries import FlagsEntry


class FlagKeeper:
    """The flags of the open run of one partition."""

    def __init__(self, owner: OwnerPort, life: RunLifecycle) -> None:
        self._owner = owner
        self._life = life
        self.conditions = Conditions(owner, life, self.look)
        self._counted: set[str] = set()
        """Recorders that have reported counters in the open run."""

    def look(self) -> None:
        """Flag the open run for what is wrong now."""
        partition, run = self._owner.partition, self._life.open
        if run is None or run.number != partition.run or not is_watched(partition):
            return
        if self._life.continues == run.number:
            self._life.continues = 0
            run = self._keep(run, run_flags.continued(run.flags, self._owner.now_ns()))
        self._counted |= {name for name in partition.template.recorders if self._counters(name)}
        took_part = {*run.members, *self._life.took_part}
        present = {**troubles(partition, took_part), **self.conditions.troubles()}
        self._keep(run, run_flags.followed(run.flags, present, self._owner.now_ns()))

    def began(self, run: int) -> None:
        """Record the start of a run with its conditions."""
        self._life.began(run, self.conditions.present())

    def over(self, end: RunOver) -> None:
        """Record the end of a run with its flags and its conditions."""
        flags = self._at_end(end.run, end.end, end.cause, end.missing)
        self._life.over(end.run, end.end, end.cause, flags=flags, conditions=self.conditions.present())

    def _at_end(
        self, number: int, end: RunEnd, cause: Cause | None, missing: Mapping[str, str]
    ) -> tuple[RunFlag, ...] | None:
        """The flags of a run at its end; None: they are not known, and stay as they are recorded."""
        run = self._life.open
        gone = {name: f"the counters of {name} are missing" for name in self._counted if not self._counters(name)}
        self._counted.clear()
        if run is None or run.number != number:
            return None
        missing, reason = {**gone, **missing}, cause.message if cause else ""
        found = run_flags.ended(run.flags, end, reason=reason, missing=missing, now_ns=self._owner.now_ns())
        self._tell(run, found)
        return found

    def _counters(self, system: str) -> bool:
        seen = self._owner.partition.seen.get(system, UNSEEN)
        return seen.state is not None and bool(seen.state.counters)

    def _keep(self, run: Run, flags: tuple[RunFlag, ...]) -> Run:
        if flags == run.flags:
            return run
        self._tell(run, flags)
        self._life.open = run = msgspec.structs.replace(run, flags=flags)
        self._owner.book.write(FlagsEntry(run=run.number, flags=flags))
        return run

    def _tell(self, run: Run, flags: tuple[RunFlag, ...]) -> None:
        for flag in flags[len(run.flags) :]:
            self._owner.command_server.record(
                EventKind.NOTE,
                f"run {run.number} is {flag.flag.value}: {flag.what}",
                action="run_flag",
                data={"run": run.number, "flag": flag.flag.value},
            )
