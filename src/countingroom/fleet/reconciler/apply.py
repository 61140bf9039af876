"""Makes a revision the wanted one. Pure."""

from __future__ import annotations

import msgspec

from countingroom.core.errors import Conflict, NotFound
from countingroom.core.fleet.record import Change, FleetRecord, Phase
from countingroom.core.fleet.specs import Revision


def apply(record: FleetRecord, revision: Revision, now_ns: int) -> FleetRecord:
    """The record with which the keeper begins to change the fleet to this revision. Services that the revision does not
    have any more are ended."""
    names = {service.name for service in revision.services} | record.changes.keys()
    changes = {
        name: Change(target=revision.number, fallback=last_good(record.changes.get(name)), since_ns=now_ns)
        for name in names
    }
    return msgspec.structs.replace(record, revision=revision.number, changes=changes)


def last_good(change: Change | None) -> int:
    """The revision that the service was last known to work with; 0: none."""
    if change is None:
        return 0
    return change.target if change.phase is Phase.DONE else change.fallback


def halt(record: FleetRecord, service: str, now_ns: int) -> FleetRecord:
    """The change of a service is halted where it is; a user must resume it or apply a revision. Conflict where there is
    none: a user who is told that it is done would believe that nothing more is changed."""
    change = record.changes.get(service)
    if change and change.phase not in (Phase.ROLLING, Phase.HELD):
        what = "goes back to the revision before" if change.phase is Phase.ROLLING_BACK else "is not being changed"
        raise Conflict(f"{service} {what}: there is nothing to halt", source="fleet", code="not_changing")
    return _phase(record, service, {Phase.ROLLING}, Phase.HELD, now_ns)


def resume(record: FleetRecord, service: str, now_ns: int) -> FleetRecord:
    """A halted change goes on."""
    return _phase(record, service, {Phase.HELD}, Phase.ROLLING, now_ns)


def _phase(record: FleetRecord, service: str, present: set[Phase], then: Phase, now_ns: int) -> FleetRecord:
    change = record.changes.get(service)
    if change is None:
        raise NotFound(f"there is no service {service!r}", source="fleet")
    if change.phase not in present:
        return record
    changed = msgspec.structs.replace(change, phase=then, since_ns=now_ns)
    return msgspec.structs.replace(record, changes={**record.changes, service: changed})
