"""An instance is stopped with the grace period that it was made with, not with the one described now."""

from __future__ import annotations

from countingroom.core.fleet.observed import Health, Observed, ObservedInstance, ObservedNode
from countingroom.core.fleet.record import Change, FleetRecord, Phase, SetAside
from countingroom.core.fleet.specs import InstanceId, Revision, ServiceSpec, WantedNode, WantedService
from countingroom.fleet.reconciler.actions import FleetActionKind
from countingroom.fleet.reconciler.step import step

ONE = InstanceId("daq", "n1")
SERVICE = WantedService(name="daq", spec=ServiceSpec(command=("daq",), grace_s=1.0), nodes=("n1",))
REVISIONS = {1: Revision(number=1, nodes=(WantedNode(name="n1"),), services=(SERVICE,))}
SEEN = ObservedInstance(id=ONE, digest="of an earlier spec", health=Health.HEALTHY, grace_s=60.0)
OBSERVED = Observed(nodes={"n1": ObservedNode(name="n1", is_reachable=True, instances={ONE: SEEN})})


def test_an_instance_has_its_own_grace_where_it_is_replaced_or_removed() -> None:
    record = FleetRecord(revision=1, changes={"daq": Change(target=1, phase=Phase.ROLLING)})
    (replaced,) = step(record, REVISIONS, OBSERVED, 0).actions
    assert (replaced.kind, replaced.grace_s) == (FleetActionKind.REPLACE, 60.0)
    aside = FleetRecord(
        revision=1, changes=record.changes, disabled={"daq": SetAside(reason="end", by="a", since_ns=0)}
    )
    (removed,) = step(aside, REVISIONS, OBSERVED, 0).actions
    assert (removed.kind, removed.grace_s) == (FleetActionKind.REMOVE, 60.0)
