"""Starts that were accepted and whose goal is not set yet: the number of their run is being reserved.

A stop or an abort that comes meanwhile finds no run that it could end. It ends these starts, or the run would begin
after it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from countingroom.core.errors import Cause


class AcceptedStart:
    """One of them: a command that starts a run, or a sequence of runs."""

    ended_by: str = ""
    """The user or interlock that has stopped it; empty: none."""

    def cause(self, source: str) -> Cause | None:
        """Why no run may begin by it any more; None: it may."""
        if not self.ended_by:
            return None
        return Cause(
            code="stopped",
            message=f"{self.ended_by} has stopped it before the run began",
            source=source,
            suggestion="see why it was stopped, then start again",
        )


class StartsUnderWay:
    """Those of one partition."""

    def __init__(self) -> None:
        self._open: set[AcceptedStart] = set()

    def __bool__(self) -> bool:
        return bool(self._open)

    def add(self) -> AcceptedStart:
        """A further one; to be removed when its goal is set, or it has failed."""
        start = AcceptedStart()
        self._open.add(start)
        return start

    def remove(self, start: AcceptedStart) -> None:
        """A stop finds its run from now on."""
        self._open.discard(start)

    @contextmanager
    def accepted(self) -> Generator[AcceptedStart]:
        """A further one, while entered."""
        start = self.add()
        try:
            yield start
        finally:
            self.remove(start)

    def end(self, by: str) -> None:
        """A stop or an abort has come."""
        for start in self._open:
            start.ended_by = start.ended_by or by
