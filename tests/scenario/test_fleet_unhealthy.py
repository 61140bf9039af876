"""What is done with an instance that runs and does not work, on the keeper over engines in memory."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from countingroom.bus.streams import prepare
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.record import Phase
from countingroom.core.fleet.specs import InstanceId
from tests.scenario.test_fleet_keeper import NODES, Site, services


@pytest.fixture
async def site() -> Site:
    made = Site()
    await prepare(made.bus)
    return made


def described(site: Site, health: Mapping[str, object], command: str = "camera-1") -> None:
    check = {"exec": ["look"], "interval": "1 s", "failures": 2, **health}
    site.described = services(camera={"command": [command], "health": check})


async def test_without_restart_after_an_unhealthy_instance_is_told_and_left(site: Site) -> None:
    described(site, {})
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(20)
        site.engines["n2"].unhealthy.add("camera-1")
        await site.clock.advance(600)
        state = await site.service()
        assert [one.health for one in state.instances] == [Health.HEALTHY, Health.UNHEALTHY, Health.HEALTHY]
        assert all(len(engine.made) == 1 for engine in site.engines.values())


async def test_an_instance_that_is_unhealthy_for_too_long_is_made_again_until_it_works(site: Site) -> None:
    described(site, {"restart_after": "30 s"})
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(20)
        for name in NODES[1:]:
            site.engines[name].unhealthy.add("camera-1")
        await site.clock.advance(20)
        assert all(len(engine.made) == 1 for engine in site.engines.values())
        await site.clock.advance(30)
        assert [len(site.engines[name].made) for name in NODES] == [1, 2, 2]
        state = await site.service()
        assert state.phase is Phase.DONE and any("unhealthy for 30 s: look ended" in line for line in state.log)
        await site.clock.advance(40)
        assert [len(site.engines[name].made) for name in NODES] == [1, 3, 3]
        for name in NODES[1:]:
            site.engines[name].unhealthy.clear()
        await site.clock.advance(300)
        assert [one.health for one in (await site.service()).instances] == [Health.HEALTHY] * 3
        assert [len(site.engines[name].made) for name in NODES] == [1, 3, 3]


async def test_what_is_set_aside_lost_or_being_changed_is_not_made_again(site: Site) -> None:
    described(site, {"restart_after": "30 s"})
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(20)
        await site.give("cordon", node="n2", reason="fan")
        site.engines["n2"].unhealthy.add("camera-1")
        site.engines["n3"].unhealthy.add("camera-1")
        await site.clock.advance(10)
        site.engines["n3"].away = True
        site.engines["n3"].tell()
        await site.clock.advance(120)
        assert all(len(engine.made) == 1 for engine in site.engines.values())
        site.engines["n3"].away = False
        await site.clock.advance(20)
        assert InstanceId("camera", "n3") in site.engines["n3"].present
        site.engines["n3"].unhealthy.clear()
        described(site, {"restart_after": "30 s"}, "camera-2")
        site.engines["n3"].unhealthy.add("camera-2")
        await site.give("apply")
        await site.clock.advance(100)
        assert (await site.service()).phase is Phase.ROLLED_BACK
