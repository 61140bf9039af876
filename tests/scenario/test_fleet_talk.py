"""Commands to the actors of a fleet, over the bus, with time standing still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.actor.messages import ActorCommand, MessageCode
from countingroom.core.errors import Cause
from countingroom.core.fleet.specs import InstanceId, WantedNode
from countingroom.core.fleet.talk import TalkOutcome, TalkState, talk_key
from countingroom.core.messages import Event, EventKind
from countingroom.core.values import Scalar
from countingroom.fleet.actors.link import ActorLink
from countingroom.fleet.description import FleetSection
from countingroom.fleet.node import Node
from countingroom.testing.fake_actor import FakeActor
from tests.scenario.test_fleet_keeper import NODES, Site

SPEAKS = {"actor": {"port": 19991}, "update": {"healthy_for": 0, "max_parallel": 3}, "nodes": ["*"]}


class ActorSite(Site):
    """Three nodes with a camera on each."""

    def __init__(self) -> None:
        super().__init__()
        self.cameras = {name: FakeActor(name) for name in NODES}
        for one in self.cameras.values():
            one.does = expose
        self.described = FleetSection.model_validate(
            {
                "nodes": {name: {"address": name, "category": "gfa" if name < "n3" else "fvc"} for name in NODES},
                "services": {"camera": {**SPEAKS, "command": ["camera"]}},
            }
        )

    def node(self, one: WantedNode, changed: asyncio.Event, line: Callable[[str], None]) -> Node:
        async def dial(host: str, port: int) -> ActorLink:
            return await self.cameras[host].dial(host, port)

        return Node(self.clock, one.name, one.address, self.engines[one.name], changed, line, dial=dial)

    async def talk(self, command: str, wait_s: float = 3.0, /, **arguments: Scalar) -> TalkState:
        """The state of the talk after a time."""
        reply = await self.give("talk", command=command, **arguments)
        assert reply.accepted, reply.cause
        await self.clock.advance(wait_s)
        return await self.state(talk_key(reply.id), TalkState)

    async def refused(self, **arguments: Scalar) -> Cause:
        reply = await self.give("talk", **arguments)
        assert reply.cause
        return reply.cause

    async def end_of(self, talk: TalkState) -> Event:
        (end,) = [
            one
            for one in await self.events()
            if one.command_id == talk.id and one.kind in (EventKind.DONE, EventKind.FAILED)
        ]
        return end


def expose(command: ActorCommand, actor: FakeActor) -> None:
    """What a camera does: `expose` and `fail`; all else hangs."""
    if command.body.startswith("expose"):
        actor.reply(command, MessageCode.STARTED)
        actor.reply(command, MessageCode.INFO, filename={"camera": actor.name, "filename": f"/data/{actor.name}.fits"})
        actor.reply(command, MessageCode.DONE)
    elif command.body == "fail":
        actor.reply(command, MessageCode.FAILED, error="no CCD")


@pytest.fixture
async def site() -> AsyncGenerator[ActorSite]:
    made = ActorSite()
    await prepare(made.bus.client())
    async with made.keeper():
        assert (await made.give("apply")).accepted
        await made.clock.advance(10.0)
        assert (await made.service()).healthy == 3
        yield made


async def test_every_actor_gets_the_command_and_the_replies_are_merged(site: ActorSite) -> None:
    talk = await site.talk("expose 2 --dark")
    assert talk.is_over and talk.cause is None and talk.by == "anna"
    assert [(one.node, one.outcome) for one in talk.actors] == [(name, TalkOutcome.DONE) for name in NODES]
    assert talk.files == tuple(f"/data/{name}.fits" for name in NODES)
    assert sorted((one.node, one.code) for one in talk.replies) == sorted((n, c) for n in NODES for c in ">i:")
    end = await site.end_of(talk)
    assert end.kind is EventKind.DONE and end.principal == "anna"
    assert [end.data[name] for name in ("actors", "done", "files", "command")] == [3, 3, 3, "expose 2 --dark"]


async def test_some_actors_are_chosen_and_unknown_names_are_refused(site: ActorSite) -> None:
    chosen: tuple[tuple[dict[str, Scalar], str], ...] = (
        ({"nodes": "n1,n3"}, "n1 n3"),
        ({"nodes": "n[12]", "category": "gfa"}, "n1 n2"),
        ({"where": "category=fvc"}, "n3"),
        ({"services": "cam*"}, "n1 n2 n3"),
    )
    for arguments, nodes in chosen:
        talk = await site.talk("expose 1", 3.0, **arguments)
        assert " ".join(one.node for one in talk.actors) == nodes
    for arguments, code, said in (
        ({"nodes": "n1,n9"}, "not_found", "no actor has the node n9"),
        ({"services": "lamp"}, "not_found", "no actor has the service lamp"),
        ({"category": "spec"}, "not_found", "no actor is meant"),
        ({"policy": "most"}, "out_of_range", "'most' is no policy"),
        ({"where": "gfa"}, "out_of_range", "'gfa' is no label"),
        ({"deadline_s": 0}, "out_of_range", "a deadline of 0 s"),
    ):
        cause = await site.refused(command="ping", **arguments)
        assert (cause.code, said in cause.message) == (code, True), cause
    assert (await site.refused(command='say "abc')).code == "unterminated_quote"


async def test_a_talk_ends_when_an_actor_fails_dies_or_hangs_and_says_so(site: ActorSite) -> None:
    site.cameras["n1"].does = lambda command, actor: actor.die()
    site.cameras["n2"].hangs = True
    talk = await site.talk("expose 2", 6.0, deadline_s=5)
    assert talk.is_over
    outcomes = [one.outcome for one in talk.actors]
    assert outcomes == [TalkOutcome.LOST, TalkOutcome.LATE, TalkOutcome.DONE]
    end = await site.end_of(talk)
    assert end.kind is EventKind.FAILED and end.cause and end.cause.code == "talk_failed"
    assert "2 of 3 actors did not do it, and all had to: n1 lost, n2 late" in end.cause.message
    assert [cause.source for cause in end.cause.causes] == ["camera@n1", "camera@n2"]
    assert (await site.talk("expose 2", 6.0, deadline_s=5, policy="any")).cause is None
    assert (await site.talk("expose 2", 6.0, deadline_s=5, policy="majority")).cause

    site.cameras["n1"].is_dead = site.cameras["n2"].hangs = False
    site.cameras["n1"].does = expose
    assert (await site.talk("expose 1")).cause is None
    failed = await site.talk("fail", nodes="n1")
    assert failed.cause and failed.actors[0].cause and failed.actors[0].cause.message == "no CCD"


async def test_a_talk_that_is_stopped_ends_at_once_and_its_actors_can_be_asked_again(site: ActorSite) -> None:
    site.cameras["n1"].does = lambda command, actor: None
    site.cameras["n2"].does = lambda command, actor: actor.reply(command, MessageCode.STARTED)
    talk = await site.talk("expose 900", 1.0, deadline_s=1000)
    assert not talk.is_over
    assert (await site.give("stop_talk", talk=talk.id)).accepted
    await site.clock.advance(0.2)
    talk = await site.state(talk_key(talk.id), TalkState)
    assert talk.is_over and talk.stopped_by == "anna"
    assert [one.outcome for one in talk.actors] == [TalkOutcome.STOPPED, TalkOutcome.STOPPED, TalkOutcome.DONE]
    end = await site.end_of(talk)
    assert end.cause and (end.cause.code, end.kind) == ("talk_stopped", EventKind.FAILED)
    assert end.cause.message == "anna stopped it: what became of the command is not known of n1, n2"
    for camera in site.cameras.values():
        camera.does = expose
    assert (await site.talk("expose 1")).cause is None
    for gone in (talk.id, "nothing"):
        reply = await site.give("stop_talk", talk=gone)
        assert reply.cause and reply.cause.message == f"no talk {gone} runs"


async def test_an_actor_that_does_not_run_is_told_and_a_cordoned_node_is_left_out(site: ActorSite) -> None:
    site.engines["n2"].end(InstanceId("camera", "n2"), 1)
    await site.clock.advance(0.1)
    talk = await site.talk("expose 1", 0.2)
    assert [one.outcome for one in talk.actors] == [TalkOutcome.DONE, TalkOutcome.FAILED, TalkOutcome.DONE]
    assert talk.actors[1].cause and talk.actors[1].cause.code == "not_running"
    await site.clock.advance(30)
    assert (await site.give("cordon", node="n3", reason="new fan")).accepted
    assert [one.node for one in (await site.talk("expose 1")).actors] == ["n1", "n2"]
    assert [one.node for one in (await site.talk("expose 1", nodes="n3")).actors] == ["n3"]
    assert (await site.refused(command="expose 1", category="fvc")).code == "set_aside"


async def test_replies_are_published_while_it_runs_and_only_the_last_are_kept(site: ActorSite) -> None:
    def chatter(command: ActorCommand, actor: FakeActor) -> None:
        for number in range(3000):
            actor.reply(command, MessageCode.INFO, number=number, text="x" * 50)
        actor.reply(command, MessageCode.INFO, image="x" * 100_000)

    site.cameras["n1"].does = chatter
    talk = await site.talk("status", 1.0, nodes="n1", deadline_s=5)
    assert not talk.is_over and talk.left_out + len(talk.replies) == 3001 and talk.left_out > 500
    assert talk.replies[-1].keywords["text"].endswith("bytes is not kept here")
    await site.clock.advance(5.0)
    assert (await site.state(talk_key(talk.id), TalkState)).is_over


async def test_a_keeper_that_ends_ends_its_talks_and_the_next_one_forgets_them() -> None:
    site = ActorSite()
    await prepare(site.bus.client())
    async with site.keeper():
        assert (await site.give("apply")).accepted
        await site.clock.advance(10.0)
        talk = await site.talk("hang", deadline_s=100)
        assert not talk.is_over
    end = await site.end_of(talk)
    assert end.kind is EventKind.FAILED and end.cause and end.cause.code == "talk_failed"
    assert "n1 lost, n2 lost, n3 lost" in end.cause.message
    async with site.keeper():
        entry = await site.bus.get(subjects.STATE_BUCKET, talk_key(talk.id))
        assert entry is None or entry.data is None
        site.cameras["n1"].does = expose
        assert (await site.talk("expose 1", nodes="n1")).cause is None


async def test_the_states_of_old_talks_are_deleted(site: ActorSite) -> None:
    first = await site.talk("expose 1", 0.2)
    for _ in range(20):
        await site.talk("expose 1", 0.2)
    entry = await site.bus.get(subjects.STATE_BUCKET, talk_key(first.id))
    assert entry is None or entry.data is None


def test_a_talk_has_one_key_whatever_its_id() -> None:
    assert talk_key("c1") == "talk.c1"
    assert talk_key("a b.c").startswith("talk.") and "." not in talk_key("a b.c")[5:]
