"""Which instances of the fleet speak the actor protocol."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.fleet.record import FleetRecord
from countingroom.core.fleet.specs import InstanceId, Revision, WantedNode
from countingroom.core.fleet.talk import Speaker
from countingroom.fleet.node import Node


def speakers(
    record: FleetRecord,
    revisions: Mapping[int, Revision],
    nodes: Mapping[str, Node],
    wanted: Mapping[str, WantedNode],
) -> list[Speaker]:
    """Those that are there and those that are wanted: one that is missing is told, not passed over. In the order of the
    nodes."""
    ids = {id for node in nodes.values() for id in node.speakers()}
    drained = {name for name, one in record.cordons.items() if one.drain}
    for name, change in record.changes.items():
        revision = revisions.get(change.effective)
        if revision is None or name in record.disabled:
            continue
        for service in revision.services:
            if service.name == name and service.spec.actor:
                ids.update(id for id in service.instances() if id.node in nodes and id.node not in drained)
    order = {name: place for place, name in enumerate(nodes)}

    def place(id: InstanceId) -> tuple[int, str, int]:
        return order[id.node], id.service, id.index

    return [
        Speaker(id=id, labels=wanted[id.node].labels, is_set_aside=id.node in record.cordons)
        for id in sorted(ids, key=place)
    ]
