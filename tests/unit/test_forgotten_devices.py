"""A device host that starts removes former devices from the bus, and those of nodes of the fleet stay."""

from __future__ import annotations

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.fleet.states import node_key
from countingroom.devices.host.forget import forget
from countingroom.testing.clock import FakeClock


async def test_the_values_of_nodes_of_the_fleet_outlive_a_restart_of_the_device_host() -> None:
    bus = MemoryBus(FakeClock())
    await prepare(bus)
    for name in ("node-n1", "node-gone", "former", "chiller"):
        await bus.put(subjects.STATE_BUCKET, subjects.catalogue_key(name), b"{}")
    await bus.put(subjects.STATE_BUCKET, node_key("n1"), b"{}")
    assert set(await forget(bus, {"chiller"})) == {"former", "node-gone"}
    assert await bus.get(subjects.STATE_BUCKET, subjects.catalogue_key("node-n1"))
