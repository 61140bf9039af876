"""Law: a mistake in the code of one kind of device is a Cause like any other, and ends nothing but what it spoils."""

from __future__ import annotations

from countingroom.core.errors import Cause, RequestError


def cause_of(mistake: Exception, source: str) -> Cause:
    """What to tell people about an exception that should not have come."""
    return Cause(
        code="mistake",
        message=f"the code of this kind of device failed: {type(mistake).__name__}: {mistake}",
        source=source,
        suggestion="look at the values and act by hand; report it to the author of the driver",
    )


class DriverFault(RequestError):
    """A request that cannot be judged because of such a mistake."""

    def __init__(self, mistake: Exception, source: str) -> None:
        super().__init__(str(mistake))
        self.cause = cause_of(mistake, source)
