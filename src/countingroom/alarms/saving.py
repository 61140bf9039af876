"""Saves in the database within a deadline: one that hangs must not stop the alarm department."""

from __future__ import annotations

from collections.abc import Awaitable

from countingroom.core.clock import Clock, within
from countingroom.core.errors import LinkError
from countingroom.core.retry import EdgeReport


async def save_within(clock: Clock, seconds: float, report: EdgeReport, saving: Awaitable[None]) -> None:
    """Wait for a save and report to `report` whether it worked. LinkError if the database does not answer within
    `seconds` or refuses the save. All other errors of the save pass through, and are not reported."""
    try:
        async with within(clock, seconds):
            await saving
    except TimeoutError:
        error = LinkError(
            f"the database did not answer within {seconds:g} s",
            source="alarms",
            code="timeout",
            suggestion="look at the database and its disk, then send the command again",
        )
        report.failed(error.cause)
        raise error from None
    except LinkError as error:
        report.failed(error.cause)
        raise
    report.worked()
