"""Repeats an action until it works, and reports a failure once.

`Retry` repeats an action with pauses. It reports through an `EdgeReport`, which passes on only the first failure and
the first success after it, so a bus that is away for an hour leaves two lines in a log.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError, LinkError

T = TypeVar("T")


class EdgeReport:
    """A condition that fails and works again. Each change is reported once, a lasting failure is not repeated."""

    def __init__(self, began: Callable[[Cause], None], ended: Callable[[], None], *, each_reason: bool = False) -> None:
        """`each_reason`: a failure with another message than the last one counts as a new one."""
        self._began = began
        self._ended = ended
        self._each_reason = each_reason
        self._reason: str | None = None
        self.failures = 0
        """Failed attempts, ever."""

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._reason is not None

    def failed(self, cause: Cause) -> None:
        """Take in that an attempt failed."""
        self.failures += 1
        before = self._reason
        self._reason = cause.message
        if before is None or (self._each_reason and before != cause.message):
            self._began(cause)

    def worked(self) -> None:
        """Take in that an attempt worked."""
        if self._reason is not None:
            self._reason = None
            self._ended()


def edge_log(
    log: logging.Logger, failing: str, working: str, *, level: int = logging.WARNING, each_reason: bool = False
) -> EdgeReport:
    """Reports to the log: `failing` with the cause, and `working`, at INFO, when it works again."""
    return EdgeReport(
        lambda cause: log.log(level, "%s: %s", failing, cause),
        lambda: log.info("%s", working),
        each_reason=each_reason,
    )


class Retry:
    """Repeats an action until it succeeds. It never gives up: cancel it, or put a deadline around it."""

    def __init__(
        self,
        clock: Clock,
        report: EdgeReport,
        *,
        pause_s: float,
        longest_s: float = 0.0,
        on: type[CountingRoomError] = LinkError,
    ) -> None:
        """`pause_s`: the pause between two attempts; it doubles up to `longest_s` if that is longer. `on`: errors that
        may pass by themselves; all others end the repetition."""
        self._clock = clock
        self.report = report
        self._pause_s = pause_s
        self._longest_s = max(pause_s, longest_s)
        self._on = on

    async def run(self, action: Callable[[], Awaitable[T]]) -> T:
        """The result of the first attempt that succeeds."""
        pause_s = self._pause_s
        while True:
            try:
                result = await action()
            except self._on as error:
                self.report.failed(error.cause)
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, self._longest_s)
            else:
                self.report.worked()
                return result

    async def forever(self, action: Callable[[], Awaitable[object]]) -> NoReturn:
        """Run the action again whenever it ends or fails, until cancelled. An action that runs for long must call
        `report.worked` itself as soon as it works: `run` would report it only at its end."""
        while True:
            await self.run(action)
