"""A keeper that takes over, as after a reload of its section, shows nothing worse than it is."""

from __future__ import annotations

import asyncio

from countingroom.bus.port import Entry
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.fleet.states import NodeState, ServiceState, node_key, service_key
from countingroom.core.messages import decode
from tests.scenario.test_fleet_keeper import Site


async def test_a_new_keeper_looks_at_its_nodes_before_it_tells_of_them() -> None:
    site = Site()
    await prepare(site.bus)
    told: list[tuple[str, bool, int]] = []

    async def follow() -> None:
        async with site.bus.watch(subjects.STATE_BUCKET) as entries:
            async for entry in entries:
                if isinstance(entry, Entry) and entry.data and entry.key == node_key("n1"):
                    told.append(("node", decode(entry.data, NodeState).is_reachable, 0))
                elif isinstance(entry, Entry) and entry.data and entry.key == service_key("camera"):
                    state = decode(entry.data, ServiceState)
                    told.append(("service", all(one.is_known for one in state.instances), state.healthy))

    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(20)
    following = asyncio.create_task(follow())
    await site.clock.advance(0.1)
    told.clear()
    async with site.keeper():
        await site.clock.advance(5)
    following.cancel()
    assert told and all(is_known for _, is_known, _ in told), told
