"""Scripts of fliswarm at a door: what they command happens to the fleet, by the rights of the door, and is audited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from countingroom.bus.port import Message
from countingroom.bus.presence import heartbeat
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.commands.fleet import TARGET
from countingroom.core.fleet.states import NodeState, node_key
from countingroom.core.messages import Command, EventKind, Reply, decode, encode
from countingroom.fleet.description import FleetSection
from tests.scenario.test_fleet_keeper import Site
from tests.unit.door_stand import DoorStand, doors, opened

EXPERT = {"role": "expert"}
DONE = ["> ", ": "]


@pytest.fixture
async def site() -> Site:
    made = Site()
    await prepare(made.bus)
    return made


@asynccontextmanager
async def at_work(site: Site, **given: dict[str, Any]) -> AsyncGenerator[DoorStand]:
    """A fleet of which all works, and its doors."""
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        async with opened(site.clock, site.bus, given or {"fliswarm": EXPERT}) as stand:
            await site.clock.advance(1)
            yield stand


async def test_disabled_nodes_are_cordoned_by_the_door_and_are_left_out(site: Site) -> None:
    async with at_work(site, fliswarm=EXPERT | {"reason": "at the telescope"}) as stand:
        client = await stand.client()
        assert await client.ask_over_time(site.clock, "disable n1 n2") == DONE
        aside = (await site.state(node_key("n1"), NodeState)).cordon
        assert aside and (aside.reason, aside.by, aside.drain) == ("at the telescope", "doors.fliswarm", False)
        assert (await client.ask("status"))[1] == "i enabledNodes=n3"
        assert 'f error="Disabled: n1: at the telescope, by doors.fliswarm."' in await client.ask("reconnect -n n1")
        assert await client.ask_over_time(site.clock, "enable --all") == DONE
        assert (await client.ask("status"))[1] == "i enabledNodes=n1,n2,n3"
        assert [(one.who, one.what, one.outcome) for one in stand.audit] == [
            *[("doors.fliswarm", "cordon", "accepted")] * 2,
            *[("doors.fliswarm", "uncordon", "accepted")] * 2,
        ]
        assert stand.audit[0].arguments["asked"] == "disable n1 n2" and stand.audit[0].origin == "door 127.0.0.1"


async def test_a_drained_node_stays_drained_when_it_is_disabled(site: Site) -> None:
    async with at_work(site) as stand:
        await site.give("drain", node="n1", reason="fan")
        client = await stand.client()
        assert await client.ask_over_time(site.clock, "disable n1") == DONE
        aside = (await site.state(node_key("n1"), NodeState)).cordon
        assert aside and aside.drain


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("disable n1 zz", "Cannot find node zz."),
        ("enable zz", "Cannot find node zz."),
        ("disable", "No node is named."),
        ("reconnect -n zz", "Cannot find node zz."),
        ("reconnect -c gf", "No node has the category gf."),
        ("reboot -n zz", "Cannot find node zz."),
    ],
)
async def test_an_unknown_name_fails_and_nothing_is_done(site: Site, line: str, error: str) -> None:
    async with at_work(site) as stand:
        client = await stand.client()
        assert (await client.ask(line))[-1] == f'f error="{error}"'
        assert not stand.audit and not site.fleet.kept.cordons


async def test_status_tells_the_volumes_of_containers_as_fliswarm_does(site: Site) -> None:
    options = {"type": "nfs", "o": "addr=sdss-hub,rw", "device": ":/data"}
    volumes = [
        {"source": "data", "target": "/data", "driver": "local", "options": options},
        {"source": "home", "target": "/home", "options": {"device": ":/home/{node}"}},
        {"source": "/opt", "target": "/opt"},
    ]
    docker = {"engine": "docker", "url": "unix:///run/docker.sock"}
    camera = {
        "image": "camera:1",
        "nodes": ["*"],
        "volumes": volumes,
        "update": {"healthy_for": 0.1, "max_parallel": 2},
    }
    given = {"nodes": {"n1": docker, "n2": docker}, "services": {"camera": camera}}
    site.described = FleetSection.model_validate(given)
    for engine in site.engines.values():
        engine.stock.add("camera:1")
    async with at_work(site) as stand:
        replies = await (await stand.client()).ask("status")
        assert [one for one in replies if one.startswith("d volume=n1")] == [
            "d volume=n1,data,T,:/data",
            "d volume=n1,home,T,NA",
        ]


async def test_reconnect_makes_what_does_not_work_again_and_with_force_all(site: Site) -> None:
    async with at_work(site) as stand:
        client = await stand.client()
        made = {name: list(engine.present) for name, engine in site.engines.items()}
        replies = await client.ask_over_time(site.clock, "reconnect")
        assert 'd text="n1: camera is running already."' in replies and replies[-1] == ": "
        assert {name: list(engine.present) for name, engine in site.engines.items()} == made
        before = (await site.service()).since_ns
        replies = await client.ask_over_time(site.clock, "reconnect -f -n n2")
        assert [one[:15] for one in replies] == ["> ", "i node=n2,local", "d container=n2,", ": "]
        assert (await site.service()).since_ns > before and (await site.service()).healthy == 3
        assert [(one.what, one.arguments["nodes"]) for one in stand.audit] == [("restart", "n2")]


async def test_reconnect_fails_where_a_node_is_lost_or_a_service_does_not_work(site: Site) -> None:
    async with at_work(site) as stand:
        client = await stand.client()
        site.engines["n2"].unhealthy.add("camera-1")
        site.engines["n3"].away = True
        site.engines["n3"].tell()
        await site.clock.advance(40)
        replies = await client.ask_over_time(site.clock, "reconnect")
        assert any("Node n3 is not pinging back" in one for one in replies)
        assert any("w text=" in one and "camera: " in one for one in replies)
        assert replies[-1] == 'f error="Failed to reconnect one or more nodes."'


async def test_without_the_right_nothing_is_sent_and_the_refusal_is_an_event(site: Site) -> None:
    async with at_work(site, fliswarm={}) as stand:
        client = await stand.client()
        replies = await client.ask_over_time(site.clock, "disable n1")
        why = "doors.fliswarm is viewer on _experiment; operate needs shifter"
        assert replies[-1] == f'f error="{why}"' and any("ask a user with the role shifter" in one for one in replies)
        assert [(one.what, one.outcome) for one in stand.audit] == [("cordon", "refused")]
        await site.clock.advance(1)
        [event] = [one for one in await site.events() if one.department == "doors"]
        assert (event.kind, event.principal, event.message) == (
            EventKind.REFUSED,
            "doors.fliswarm",
            f"disable refused: {why}",
        )
        assert not site.fleet.kept.cordons


async def test_without_a_keeper_commands_fail_and_status_says_so(site: Site) -> None:
    async with at_work(site) as stand:
        client = await stand.client()
    async with opened(site.clock, site.bus, {"fliswarm": EXPERT}) as stand:
        await site.clock.advance(10)
        client = await stand.client()
        assert "No keeper of the fleet runs" in (await client.ask("status"))[1]
        assert (await client.ask_over_time(site.clock, "disable n1"))[-1].startswith("f error=")
        assert stand.door().open_commands == 0


@pytest.mark.parametrize("next_keeper", [False, True])
async def test_a_command_whose_keeper_is_killed_ends_with_it(next_keeper: bool, site: Site) -> None:
    async def accept(message: Message) -> bytes:
        return encode(Reply(id=decode(message.data, Command).id, accepted=True))

    def beats(boot: str) -> asyncio.Task[None]:
        return asyncio.create_task(heartbeat(site.bus, site.clock, role="fleet", instance="main", boot=boot))

    tasks = [beats("first"), asyncio.create_task(heartbeat(site.bus, site.clock, role="fleet", instance="s", boot="s"))]
    async with opened(site.clock, site.bus, {"fliswarm": EXPERT}) as stand:
        await site.bus.put(subjects.STATE_BUCKET, node_key("n1"), encode(NodeState(node="n1", is_reachable=True)))
        async with site.bus.respond(subjects.command("doors.fliswarm", "fleet", TARGET), accept):
            await site.clock.advance(2)
            client = await stand.client()
            asking = asyncio.create_task(client.ask_over_time(site.clock, "reboot -n n1", seconds=60))
            while not stand.audit:  # it has been accepted
                await asyncio.sleep(0)
            tasks[0].cancel()
            began_s = site.clock.monotonic()
            if next_keeper:
                tasks.append(beats("second"))
            error = "The keeper of the fleet ended before reboot did: what became of it is not known."
            replies = await asking
            assert any(error in one for one in replies) and replies[-1].startswith("f "), replies
            assert site.clock.monotonic() - began_s < 10 and not stand.door().open_commands
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_client_that_leaves_does_not_end_what_it_began(site: Site) -> None:
    async with at_work(site) as stand:
        client, other = await stand.client(), await stand.client()
        await client.lines(4)
        client.send("7 reconnect -f", "8 disable n1")
        assert len(await client.lines(2)) == 2
        client.writer.transport.abort()
        for _ in range(200):
            if not stand.door().open_commands and "n1" in site.fleet.kept.cordons:
                break
            await site.clock.advance(0.5)
        assert not stand.door().open_commands and "n1" in site.fleet.kept.cordons
        assert (await other.ask("ping"))[-1] == ": text=Pong."


async def test_a_command_that_does_not_end_fails_at_the_deadline(site: Site) -> None:
    async with at_work(site, fliswarm=EXPERT | {"deadline": "5 s"}) as stand:
        client = await stand.client()
        site.engines["n2"].unhealthy.add("camera-1")
        replies = await client.ask_over_time(site.clock, "reconnect -f")
        assert replies[-1] == 'f error="Command timed out after 5 seconds."'


async def test_simulate_names_files_of_its_folder_for_enabled_nodes_until_it_is_stopped(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.fits", "b.fits"):
        (images / name).touch()
    (tmp_path / "secret.fits").touch()
    async with doors(fliswarm=EXPERT | {"images": str(images)}) as stand:
        client, other = await stand.client(), await stand.client()
        await client.lines(4)
        path = "fliswarm-command-parser_simulate"
        for pattern in (f"{tmp_path}/*.fits", "../*.fits", "/etc/*"):
            assert (await client.ask(f"simulate {pattern}"))[-1] == 'f error="No images found."'
        assert (await client.ask("simulate"))[-1].startswith('f error="A valid path pattern is required')
        assert (await client.ask("simulate --stop"))[-1] == f'f error="Cannot find running command {path}."'
        client.send(f"7 simulate {images}/*.fits --delay 2")
        first = await client.lines(4)
        assert [one.split("=")[1].split(",")[:2] for one in first[1:]] == [[n, n] for n in ("gfa1", "gfa2", "gfa10")]
        assert (await other.ask("simulate a.fits"))[-1] == f'f error="Another command {path} is already running."'
        await stand.clock.advance(2)
        assert len(await client.lines(3)) == 3
        assert (await other.ask("simulate --stop"))[-1] == ': text="Command has been scheduled for cancellation."'
        assert await client.line() == '1 7 f error="This command has been cancelled."'
        assert {one.what for one in stand.audit} == {"simulate"}
    async with doors(fliswarm={"images": str(images)}) as stand:
        client = await stand.client()
        assert "needs expert" in (await client.ask("simulate a.fits"))[-1]
