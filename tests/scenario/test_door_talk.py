"""`talk` at a door: what cameras say reaches the client in the words of fliswarm, and it always ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from countingroom.bus.streams import prepare
from countingroom.core.actor.messages import ActorCommand, MessageCode
from countingroom.testing.fake_actor import FakeActor
from tests.scenario.test_fleet_keeper import NODES
from tests.scenario.test_fleet_talk import ActorSite
from tests.unit.door_stand import Client, DoorStand, opened

EXPERT: dict[str, Any] = {"role": "expert", "deadline": "5 s"}


@pytest.fixture
async def site() -> AsyncGenerator[ActorSite]:
    made = ActorSite()
    await prepare(made.bus.client())
    async with made.keeper():
        assert (await made.give("apply")).accepted
        await made.clock.advance(10.0)
        yield made


@pytest.fixture
async def stand(site: ActorSite) -> AsyncGenerator[DoorStand]:
    async with opened(site.clock, site.bus, {"fliswarm": EXPERT, "watcher": {}}) as made:
        await site.clock.advance(1)
        yield made


@pytest.fixture
async def client(stand: DoorStand) -> Client:
    return await stand.client()


async def test_replies_of_cameras_are_told_with_their_nodes_and_files_are_bundled(
    site: ActorSite, client: Client
) -> None:
    replies = await client.ask_over_time(site.clock, "talk expose 2 --dark -c gfa")
    assert replies[0] == "> " and replies[-1] == ": "
    assert sorted(replies[1:-2]) == [f"i filename={name},{name},/data/{name}.fits" for name in ("n1", "n2")]
    assert replies[-2] == "i filename_bundle=/data/n1.fits,/data/n2.fits"
    assert not site.cameras["n3"].received


async def test_help_of_cameras_is_told_line_by_line(site: ActorSite, client: Client) -> None:
    def tell_help(command: ActorCommand, actor: FakeActor) -> None:
        actor.reply(command, MessageCode.DONE, help=["Usage: camera", "  --help"])

    site.cameras["n1"].does = tell_help
    replies = await client.ask_over_time(site.clock, "talk -n n1 help")
    assert replies == ["> ", "i help=n1", 'i help="Usage: camera"', 'i help="  --help"', ": "]


async def test_it_fails_and_ends_where_a_camera_fails_dies_or_hangs(site: ActorSite, client: Client) -> None:
    site.cameras["n1"].does = lambda command, actor: actor.die()
    site.cameras["n2"].hangs = True
    replies = await client.ask_over_time(site.clock, "talk expose 2")
    assert "i filename=n3,n3,/data/n3.fits" in replies and "i filename_bundle=/data/n3.fits" in replies
    assert 'w text="Failed connecting to n1."' in replies
    assert replies[-1].startswith('f error="2 of 3 actors did not do it')
    site.cameras["n2"].hangs = False
    replies = await client.ask_over_time(site.clock, "talk fail -n n3")
    assert any(one.startswith("w error=n3,") and "no CCD" in one for one in replies)
    assert replies[-1].startswith('f error="1 of 1 actors did not do it')


async def test_a_disabled_camera_and_an_unknown_one_are_refused(site: ActorSite, client: Client) -> None:
    assert (await client.ask_over_time(site.clock, "disable n2"))[-1] == ": "
    replies = await client.ask_over_time(site.clock, "talk expose 1")
    assert "i filename_bundle=/data/n1.fits,/data/n3.fits" in replies and replies[-1] == ": "
    assert (await client.ask("talk expose -n n2"))[-1].startswith('f error="Disabled: n2')
    assert (await client.ask("talk expose -n n1,n9"))[-1] == 'f error="Cannot find node n9."'
    assert (await client.ask("talk"))[-1] == 'f error="No command for the cameras is given."'


async def test_a_door_without_the_right_sends_nothing(site: ActorSite, stand: DoorStand) -> None:
    client = await stand.client("watcher")
    replies = await client.ask_over_time(site.clock, "talk expose 1")
    assert replies[-1].startswith('f error="doors.watcher is viewer')
    assert not any(site.cameras[name].received for name in NODES)
