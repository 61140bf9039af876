"""Law: a mistake in the code of one kind of device is a Cause like any other, and ends nothing but what it spoils."""

from __future__ import annotations

from countingroom.core.errors import Cause


def cause_of(mistake: Exception, source: str) -> Cause:
    """What to tell people about an exception that should not have come."""
    return Cause(
        code="mistake",
        message=f"the code of this kind of device failed: {type(mistake).__name__}: {mistake}",
        source=source,
        suggestion="look at the values and act by hand; report it to the author of the driver",
    )
