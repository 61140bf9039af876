"""Flags that run control gives to a run by itself: what was wrong while it recorded and how it ended. Pure.

Users judge a run with its `quality`; flags follow from rules alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from countingroom.core.run_book import RunEnd, RunFlag, RunFlagKind
from countingroom.core.systems import ACTIVE, RECORDING
from countingroom.core.values import Quality, Reading


class RunTrouble(Struct, frozen=True, kw_only=True):
    """Something that a run is flagged for as long as it lasts."""

    flag: RunFlagKind
    subject: str
    """A system or a point."""


AGAIN_NS = 60_000_000_000
"""A trouble that comes again within this time goes on: a value at its limit would fill the run book with flags."""
MOST = 200
"""Flags of one run. Further troubles are not added."""
OWNER = "owner"
"""Subject of the flag of a run that another owner has continued."""
RUN = "run"
"""Subject of the flag for the end of a run."""

_ENDS = {
    RunEnd.LOST: "a system was lost",
    RunEnd.ABORTED: "the run was aborted",
    RunEnd.OWNER_DIED: "the owner of the partition died",
}
"""The ends that interrupt a run. One that never started has recorded nothing, so that nothing was interrupted."""


def member_trouble(system: str, common: str, *, included: bool, cause: str = "") -> str:
    """Why a system that takes part in a run degrades it, as text; empty: it does not.

    `common` is its common state as its partition sees it, `cause` the message of its cause.
    """
    if not included:
        return f"{system} is excluded"
    if common in (ACTIVE, RECORDING) and not cause:
        return ""
    state = f"{system} is in {common}" if common not in (ACTIVE, RECORDING) else f"{system} reports a failure"
    return f"{state}: {cause}" if cause else state


def condition_trouble(
    point: str, reading: Reading | None, *, low: float | None = None, high: float | None = None
) -> str:
    """Why the reading of a point degrades a run, as text; empty: it does not. `low` and `high` are in the unit of the
    point; None: no limit."""
    if reading is None:
        return f"there is no reading of {point}"
    if reading.quality > Quality.UNCERTAIN:
        return f"{point} is {reading.quality.name}" + (f": {reading.reason}" if reading.reason else "")
    if isinstance(reading.value, str | None):
        return ""
    if high is not None and reading.value > high:
        return f"{point} is {reading.value:g}, above {high:g}"
    if low is not None and reading.value < low:
        return f"{point} is {reading.value:g}, below {low:g}"
    return ""


def followed(flags: tuple[RunFlag, ...], present: Mapping[RunTrouble, str], now_ns: int) -> tuple[RunFlag, ...]:
    """The flags with those of new troubles added, and those of troubles that are over closed."""
    found: list[RunFlag] = []
    latest: dict[RunTrouble, int] = {}
    for flag in flags:
        trouble = RunTrouble(flag=flag.flag, subject=flag.subject)
        is_over = flag.until_ns is None and trouble not in present
        latest[trouble] = len(found)
        found.append(msgspec.structs.replace(flag, until_ns=now_ns) if is_over else flag)
    for trouble, what in present.items():
        at = latest.get(trouble)
        until_ns = found[at].until_ns if at is not None else 0
        if until_ns is None:
            continue
        if at is not None and now_ns - until_ns < AGAIN_NS:
            found[at] = msgspec.structs.replace(found[at], until_ns=None)
        elif len(found) < MOST:
            found.append(RunFlag(flag=trouble.flag, subject=trouble.subject, what=what, since_ns=now_ns))
    return tuple(found)


def continued(flags: tuple[RunFlag, ...], now_ns: int) -> tuple[RunFlag, ...]:
    """The flags of a run that a new owner continues: what happened while there was none is not known."""
    flag = RunFlag(
        flag=RunFlagKind.DEGRADED,
        subject=OWNER,
        what="the partition had no owner for a time; another one continued the run",
        since_ns=now_ns,
        until_ns=now_ns,
    )
    return (*flags, flag)


def ended(
    flags: tuple[RunFlag, ...], end: RunEnd, *, reason: str, missing: Mapping[str, str], now_ns: int
) -> tuple[RunFlag, ...]:
    """The flags of a run that is over. `reason`: the message of the cause of its end; `missing`: recorder -> why its
    data or counters may not be complete. What lasts until the end stays without an end time."""
    found = list(flags)
    if end in _ENDS:
        what = f"{_ENDS[end]}: {reason}" if reason else _ENDS[end]
        found.append(RunFlag(flag=RunFlagKind.INTERRUPTED, subject=RUN, what=what, since_ns=now_ns))
    found += [
        RunFlag(flag=RunFlagKind.INCOMPLETE, subject=system, what=why, since_ns=now_ns)
        for system, why in missing.items()
    ]
    return tuple(found)
