"""A publisher stores the latest value of a key, or deletes the key."""

from __future__ import annotations

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.publisher import Publisher
from countingroom.core.messages import DeviceState, Link
from countingroom.testing.clock import FakeClock

ON = DeviceState(device="caen", state="ON", link=Link.CONNECTED, since_ns=1)


async def test_a_deleted_key_is_gone_and_comes_back_with_its_next_state() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await bus.ensure_bucket("state")
    publisher = Publisher(bus, clock, "test")
    publisher.delete("device.caen")  # it has never been there
    await publisher.flush()
    publisher.state("device.caen", ON)
    await publisher.flush()
    stored = await bus.get("state", "device.caen")
    assert stored is not None
    assert stored.data is not None
    publisher.delete("device.caen")
    await publisher.flush()
    gone = await bus.get("state", "device.caen")
    assert gone is None or gone.data is None


async def test_of_a_state_and_its_deletion_the_later_one_counts() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await bus.ensure_bucket("state")
    publisher = Publisher(bus, clock, "test")
    publisher.delete("device.caen")
    publisher.state("device.caen", ON)
    await publisher.flush()
    stored = await bus.get("state", "device.caen")
    assert stored is not None
    assert stored.data is not None
