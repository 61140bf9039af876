"""The nodes of the fleet are in no navigation of devices, so that they make no page outdated."""

from __future__ import annotations

from countingroom.console.present.device_rows import DeviceRows
from countingroom.core.fleet.usage import catalogue
from countingroom.core.messages import Catalogue


def test_what_a_node_runs_makes_no_page_outdated() -> None:
    rows = DeviceRows()
    rows.learn(Catalogue(device="chiller", title="", driver="julabo", group="", points=()))
    before = dict(rows.digests())
    assert rows.learn(catalogue("n1", (), "b1"))
    assert rows.digests() == before and set(before) == {"chiller"}
