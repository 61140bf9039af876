"""Merges the states of an interlock in the database and on the bus for an engine that takes over. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.core.interlocks.states import InterlockState


def merged(one: InterlockState, other: InterlockState) -> InterlockState:
    """The state that changed last, with the trips of the other one that no reset has ended.

    The newer state need not continue the older one: an engine without the database and with an empty bus began with an
    initial state. That state must not end a trip that the engine did not know of.
    """
    newer, older = (one, other) if one.changed_ns > other.changed_ns else (other, one)
    reset_ns = newer.reset_ns or 0
    open_trips = {
        cause.name: cause
        for cause in older.causes
        if older.latch and cause.tripped_ns is not None and cause.tripped_ns > reset_ns
    }
    seen = [ns for ns in (one.seen_ns, other.seen_ns) if ns is not None]
    newer = replace(
        newer,
        trip=max(newer.trip, older.trip),
        proof=newer.proof or older.proof,
        seen_ns=min(seen, default=None),
    )
    if not open_trips:
        return newer
    if not newer.is_tripped:
        newer = replace(newer, tripped_ns=older.tripped_ns, first_out=older.first_out, effects=older.effects)
    known = {cause.name for cause in newer.causes}
    causes = [
        replace(cause, tripped_ns=open_trips[cause.name].tripped_ns)
        if cause.tripped_ns is None and cause.name in open_trips
        else cause
        for cause in newer.causes
    ]
    return replace(newer, causes=(*causes, *(cause for name, cause in open_trips.items() if name not in known)))
