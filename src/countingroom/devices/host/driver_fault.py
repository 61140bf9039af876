"""Faults in the code of a driver or behaviour. They become a Cause and affect the one device only."""

from __future__ import annotations

from countingroom.core.errors import Cause


def cause_of(mistake: Exception, source: str) -> Cause:
    """The Cause of an unexpected exception."""
    return Cause(
        code="mistake",
        message=f"the driver code failed: {type(mistake).__name__}: {mistake}",
        source=source,
        suggestion="check the values at the device, and report this to the author of the driver",
    )
