"""Limits audit entries about refused requests, so that neither a user nor clients without a login can fill the audit.

A user has a rate of its own; clients without a login have one for each address and one together. Entries beyond a rate
are counted, and `summaries` gives one entry with their number. Accepted actions, and actions of users that failed, are
never limited. Pure: the time is given.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from countingroom.console.auth.rate_limit import Pace, RateLimit, network_of
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.errors import Cause
from countingroom.core.times import format_time

OF_USER = Pace(burst=100, every_s=2.0)
"""Entries about refused requests of one user."""
FROM_ADDRESS = Pace(burst=100, every_s=0.5)
"""Entries about requests without a login from one address."""
OF_STRANGERS = Pace(burst=500, every_s=1.0)
"""Entries about requests without a login from all addresses together: at most 86,900 in a day."""

_STRANGERS = ""
"""The user of an entry about a request without a login."""


class _Omitted(Struct):
    number: int
    first_ns: int
    last: AuditEntry


class RefusalLimits:
    """Decides which entries are written, and counts the others."""

    def __init__(self) -> None:
        self._users = RateLimit(OF_USER)
        self._addresses = RateLimit(FROM_ADDRESS)
        self._strangers = RateLimit(OF_STRANGERS)
        self._omitted: dict[str, _Omitted] = {}

    def allow(self, entry: AuditEntry, *, now_s: float) -> bool:
        """Whether to write this entry; else it is counted."""
        if not self._wait_s(entry, now_s):
            return True
        before = self._omitted.get(entry.who)
        number, first_ns = (before.number, before.first_ns) if before else (0, entry.time_ns)
        self._omitted[entry.who] = _Omitted(number + 1, first_ns, entry)
        return False

    def summaries(self) -> list[AuditEntry]:
        """One entry for each user with omitted entries, and one for all clients without a login. They count anew."""
        told = [_summary(one) for one in self._omitted.values()]
        self._omitted.clear()
        return told

    def _wait_s(self, entry: AuditEntry, now_s: float) -> float:
        if entry.who != _STRANGERS:
            return self._users.wait_s(entry.who, now_s) if entry.outcome == Outcome.REFUSED else 0.0
        if entry.outcome == Outcome.ACCEPTED:
            return 0.0
        return self._addresses.wait_s(network_of(entry.origin), now_s) or self._strangers.wait_s(_STRANGERS, now_s)


def _summary(one: _Omitted) -> AuditEntry:
    whose = f"of {one.last.who}" if one.last.who else "without a login"
    span = f"from {format_time(one.first_ns)} to {format_time(one.last.time_ns)}"
    cause = Cause(
        code="more_refused",
        message=f"{one.number} more refused requests {whose} {span}",
        source="audit",
        evidence={"requests": one.number},
        suggestion="the last one had the target and the address of this entry",
    )
    return msgspec.structs.replace(one.last, what="record", arguments={}, outcome=Outcome.REFUSED, cause=cause)
