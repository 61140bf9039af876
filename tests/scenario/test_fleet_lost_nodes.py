"""Nodes that are lost while an instance is replaced there: whether it runs is not known then."""

from __future__ import annotations

import pytest

from countingroom.bus.streams import prepare
from countingroom.core.fleet.record import Phase
from countingroom.fleet.engines.port import EngineFacts
from tests.scenario.test_fleet_keeper import NODES, Site, services


@pytest.fixture
async def site() -> Site:
    made = Site()
    await prepare(made.bus)
    return made


@pytest.mark.parametrize("how", ["back", "cordoned"])
async def test_a_change_holds_while_a_node_is_lost_in_a_replacement(how: str, site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        site.described = services(camera={"command": ["camera-2"]})
        site.engines["n1"].takes_s = 1.0
        await site.give("apply")
        await site.clock.advance(0.5)  # n1 is being changed
        site.engines["n1"].away = True
        site.engines["n1"].tell()
        await site.clock.advance(60)
        state = await site.service()
        assert state.phase is Phase.ROLLING and list(site.running().values()) == ["camera-1"] * 3
        assert "n2: n1 may be without it: the change goes on when that node answers or is set aside" in state.waiting
        if how == "back":
            site.engines["n1"].away = False
        else:
            await site.give("cordon", node="n1", reason="broken")
        await site.clock.advance(60)
        is_new = {"n1": how == "back", "n2": True, "n3": True}
        assert site.running() == {name: f"camera-{2 if is_new[name] else 1}" for name in NODES}
        assert (await site.service()).phase is Phase.DONE


async def test_a_new_keeper_changes_nothing_more_before_it_has_seen_a_slow_node(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        site.described = services(camera={"command": ["camera-2"]})
        site.engines["n1"].takes_s = 3.0
        await site.give("apply")
        await site.clock.advance(0.5)  # n1 is being changed
    connect = site.engines["n1"].connect

    async def slow() -> EngineFacts:
        await site.clock.sleep(10)  # it brings there in order what the keeper before has left
        return await connect()

    monkeypatch.setattr(site.engines["n1"], "connect", slow)
    async with site.keeper():
        await site.clock.advance(8)
        assert list(site.running().values()) == ["camera-1"] * 3
        await site.clock.advance(60)
        assert list(site.running().values()) == ["camera-2"] * 3


async def test_a_new_keeper_takes_no_instance_for_unhealthy_before_its_first_check_has_answered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        assert (await site.service()).healthy == 3

    async def slow(*_: object) -> tuple[int, str]:
        await site.clock.sleep(1.5)
        return 0, ""

    for engine in site.engines.values():
        monkeypatch.setattr(engine, "execute", slow)
    async with site.keeper():  # 1 s of it has passed
        assert (await site.service()).healthy == 3
        await site.clock.advance(1)
        assert (await site.service()).healthy == 3
