"""Faults in the code of a driver or behaviour. They become a Cause and affect the one device only."""

from __future__ import annotations

from typing import cast

from countingroom.core.errors import Cause
from countingroom.core.messages import HOST_STOPPED

MOST_LETTERS = 1000


def cause_of(mistake: Exception, source: str) -> Cause:
    """The Cause of an unexpected exception; of a group, that of its first."""
    if isinstance(mistake, ExceptionGroup):
        return cause_of(cast("ExceptionGroup[Exception]", mistake).exceptions[0], source)
    # A text of any length, and with letters that cannot be encoded, can come from the device.
    text = str(mistake)[:MOST_LETTERS].encode(errors="replace").decode()
    return Cause(
        code="mistake",
        message=f"the driver code failed: {type(mistake).__name__}: {text}",
        source=source,
        suggestion="check the values at the device, and report this to the author of the driver",
    )


def left(source: str, reason: str, now_ns: int) -> Cause:
    """Why a device is not served any more. `reason`: empty where its host was stopped."""
    again = "wait until it is connected again"
    stopped = "start the device host; the device itself was left as it was"
    return Cause(
        code=HOST_STOPPED,
        message=reason or "the device host was stopped",
        source=source,
        since_ns=now_ns,
        suggestion=again if reason else stopped,
    )
