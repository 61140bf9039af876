"""Instances of a restart that were not made again yet are seen as changed by hand, so that they are put right. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from countingroom.core.fleet.observed import ObservedNode
from countingroom.core.fleet.record import FleetRecord, Phase


def with_renewals(nodes: Mapping[str, ObservedNode], record: FleetRecord) -> Mapping[str, ObservedNode]:
    """The nodes, with these instances marked."""
    found = dict(nodes)
    for change in record.changes.values():
        for one in change.renewals if change.phase is Phase.ROLLING else ():
            node = found.get(one.id.node)
            seen = node.instances.get(one.id) if node else None
            if node and seen and seen.change == one.change:
                marked = msgspec.structs.replace(seen, drift=(*seen.drift, change.renewed_why))
                found[one.id.node] = msgspec.structs.replace(node, instances={**node.instances, one.id: marked})
    return found
