"""Commands that were accepted and have not set their goal yet: they wait for their turn, the database or the bus.

A stop or an abort that comes meanwhile finds no goal of theirs that it could take the place of. It ends these commands,
or what was asked before the stop would be done after it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from countingroom.core.errors import Cause


class AcceptedCommand:
    """One of them, or a sequence of runs."""

    def __init__(self, *, is_start: bool) -> None:
        self.is_start = is_start
        """A run is to begin by it."""
        self.ended_by = ""
        """The user or interlock that has stopped it; empty: none."""

    def cause(self, source: str) -> Cause | None:
        """Why it may not act any more; None: it may."""
        if not self.ended_by:
            return None
        before = "before the run began" if self.is_start else "before it had begun"
        return Cause(
            code="stopped",
            message=f"{self.ended_by} has stopped it {before}",
            source=source,
            suggestion="see why it was stopped, then give it again",
        )


class AcceptedCommands:
    """Those of one partition."""

    def __init__(self) -> None:
        self._open: set[AcceptedCommand] = set()
        self._by_id: dict[str, AcceptedCommand] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called when `is_starting` may have changed, which the partition shows."""

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def is_starting(self) -> bool:
        """A run is to begin by one of them."""
        return any(one.is_start for one in self._open)

    def add_start(self) -> AcceptedCommand:
        """A further start; to be removed when its goal is set, or it has failed."""
        start = AcceptedCommand(is_start=True)
        self._open.add(start)
        self.changed()
        return start

    def remove(self, command: AcceptedCommand) -> None:
        """A stop finds its goal from now on."""
        self._open.discard(command)
        self.changed()

    @contextmanager
    def accepted(self, command_id: str, *, is_start: bool) -> Generator[None]:
        """A further command, while entered."""
        command = AcceptedCommand(is_start=is_start)
        self._open.add(command)
        self._by_id[command_id] = command
        self.changed()
        try:
            yield
        finally:
            del self._by_id[command_id]
            self.remove(command)

    def why_ended(self, command_id: str, source: str) -> Cause | None:
        """Why this command may not act any more; None: it may."""
        command = self._by_id.get(command_id)
        return command.cause(source) if command else None

    def end(self, by: str) -> None:
        """A stop or an abort has come."""
        for command in self._open:
            command.ended_by = command.ended_by or by
