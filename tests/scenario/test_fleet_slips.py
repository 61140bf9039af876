"""Slips of users at the fleet: what names nothing, or asks for what is not there, is refused and changes nothing."""

from __future__ import annotations

import pytest

from countingroom.bus.streams import prepare
from countingroom.core.fleet.record import Phase
from tests.scenario.test_fleet_keeper import NODES, Site, services


@pytest.fixture
async def site() -> Site:
    made = Site()
    await prepare(made.bus)
    return made


async def test_a_restart_with_one_wrong_node_restarts_none(site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        site.engines["n3"].away = True
        site.engines["n3"].tell()
        await site.clock.advance(2)
        for nodes, said in (("n1,n9", "there is no node 'n9'"), ("n1,n3", "camera does not run on n3, or that node")):
            reply = await site.give("restart", service="camera", nodes=nodes)
            assert reply.cause and said in reply.cause.message
        await site.clock.advance(30)
        assert [len(site.engines[name].made) for name in NODES] == [1, 1, 1]
        assert not (await site.give("restart", service="camera", nodes="n1,n2")).cause


async def test_a_halt_of_what_is_not_being_changed_is_refused(site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        reply = await site.give("halt", service="camera")
        assert reply.cause and "camera is not being changed: there is nothing to halt" in reply.cause.message
        site.described = services(camera={"command": ["camera-2"]})
        await site.give("apply")
        await site.clock.advance(1)
        for _ in range(2):
            assert not (await site.give("halt", service="camera")).cause
        await site.clock.advance(1)
        assert (await site.service()).phase is Phase.HELD
