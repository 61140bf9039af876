"""The keeper of the fleet over engines in memory, with time standing still: changes, losses, commands, two keepers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import msgspec
import pytest

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.commands.fleet import TARGET
from countingroom.core.errors import Conflict, LinkError, NotFound
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.queries import FleetPlanAnswer, FleetPlanQuery, LogAnswer, LogQuery
from countingroom.core.fleet.record import FleetRecord, Phase
from countingroom.core.fleet.specs import InstanceId, Revision, WantedNode
from countingroom.core.fleet.states import FLEET_KEY, FleetState, NodeState, ServiceState, node_key, service_key
from countingroom.core.messages import Command, Event, EventKind, MessageDecoder, Reply, decode, encode
from countingroom.core.series import QueryRefusal
from countingroom.core.values import Scalar
from countingroom.fleet.description import FleetSection
from countingroom.fleet.keeper import DescribedFleet, FleetStore
from countingroom.fleet.node import Node, ReadUsb
from countingroom.fleet.reboot import MakeMachine
from countingroom.fleet.service import FleetService
from countingroom.fleet.wanted import wanted
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_engine import FakeEngine

NODES = ("n1", "n2", "n3")
T = TypeVar("T")
_plans: MessageDecoder[FleetPlanAnswer | QueryRefusal] = MessageDecoder(FleetPlanAnswer | QueryRefusal)
_logs: MessageDecoder[LogAnswer | QueryRefusal] = MessageDecoder(LogAnswer | QueryRefusal)


class MemoryFleet:
    """What the database keeps. It outlives a keeper."""

    def __init__(self) -> None:
        self.version = 0
        self.kept = FleetRecord()
        self.revisions: dict[int, Revision] = {}
        self.away = False

    def store(self) -> FleetStore:
        return FleetStore(record=self.record, save=self.save, add=self.add, revision=self.revision)

    async def record(self) -> tuple[int, FleetRecord]:
        self._answer()
        return self.version, self.kept

    async def save(self, record: FleetRecord, version: int) -> int:
        self._answer()
        if version != self.version:
            raise Conflict("another process has saved", source="fleet")
        self.version, self.kept = version + 1, record
        return self.version

    async def add(self, revision: Revision) -> Revision:
        self._answer()
        made = msgspec.structs.replace(revision, number=len(self.revisions) + 1)
        self.revisions[made.number] = made
        return made

    async def revision(self, number: int) -> Revision:
        self._answer()
        if number not in self.revisions:
            raise NotFound(f"there is no revision {number}", source="fleet")
        return self.revisions[number]

    def _answer(self) -> None:
        if self.away:
            raise LinkError("the database does not answer", source="storage")


class Site:
    """Three nodes, a bus and a database, which outlive keepers."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.fleet = MemoryFleet()
        self.engines = {name: FakeEngine(self.clock) for name in NODES}
        self.usb: dict[str, ReadUsb] = {}
        self.machine: MakeMachine | None = None
        self.ids = itertools.count(1)
        self.described = services(camera={"command": ["camera-1"]})

    def node(self, one: WantedNode, changed: asyncio.Event, line: Callable[[str], None]) -> Node:
        return Node(self.clock, one.name, one.address, self.engines[one.name], changed, line, self.usb.get(one.name))

    @asynccontextmanager
    async def keeper(self) -> AsyncGenerator[None]:
        async def describe() -> Revision:
            return wanted(self.described)

        service = FleetService(
            self.bus.client(),
            self.clock,
            self.fleet.store(),
            self.node,
            DescribedFleet(nodes=wanted(self.described).nodes, titles={"camera": "Cameras"}),
            describe,
            machine=self.machine,
        )
        task = asyncio.create_task(service.run())
        await self.clock.advance(1.0)
        try:
            yield
        finally:
            task.cancel()
            for _ in range(40):
                await self.clock.advance(0.1)
                if task.done():
                    break
            with suppress(asyncio.CancelledError):
                await task

    async def give(self, action: str, **arguments: Scalar) -> Reply:
        now_ns = self.clock.now_ns()
        command = Command(
            id=f"c{next(self.ids)}", action=action, arguments=arguments, issued_ns=now_ns, deadline_ns=now_ns + 10**10
        )
        asking = asyncio.create_task(
            self.bus.request(subjects.command("anna", "fleet", TARGET), encode(command), timeout_s=5)
        )
        await self.clock.advance(0.1)
        return decode((await asking).data, Reply)

    async def plan(self, revision: int = 0) -> FleetPlanAnswer | QueryRefusal:
        question = encode(FleetPlanQuery(revision=revision))
        asking = asyncio.create_task(self.bus.request(subjects.query("fleet", "plan"), question, timeout_s=5))
        await self.clock.advance(0.1)
        return decode((await asking).data, _plans)

    async def service(self, name: str = "camera") -> ServiceState:
        return await self.state(service_key(name), ServiceState)

    async def state(self, key: str, kind: type[T]) -> T:
        entry = await self.bus.get(subjects.STATE_BUCKET, key)
        assert entry and entry.data
        return decode(entry.data, kind)

    async def events(self) -> list[Event]:
        async with self.bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
            return [decode(one.data, Event) async for one in stored]

    def running(self) -> dict[str, str]:
        """Node -> the program that runs there."""
        return {
            name: " ".join(one.spec.command)
            for name, engine in self.engines.items()
            for one in engine.present.values()
            if one.is_running
        }


def services(**given: dict[str, object]) -> FleetSection:
    update = {"healthy_for": 5}
    common = {"nodes": ["*"], "update": update, "health": {"exec": ["check"], "interval": 1}, "start_period": 1}
    return FleetSection.model_validate(
        {"nodes": {name: {} for name in NODES}, "services": {name: common | one for name, one in given.items()}}
    )


@pytest.fixture
async def site() -> Site:
    made = Site()
    await prepare(made.bus)
    return made


async def test_nothing_is_touched_before_a_revision_is_applied(site: Site) -> None:
    async with site.keeper():
        assert (await site.state(FLEET_KEY, FleetState)).revision == 0
        assert (await site.state(node_key("n1"), NodeState)).is_reachable
        answer = await site.plan()
        assert isinstance(answer, FleetPlanAnswer) and [one.kind for one in answer.plan.changes] == ["create"] * 3
        await site.clock.advance(60)
    assert site.running() == {}


async def test_a_revision_reaches_all_nodes_and_an_update_goes_one_by_one(site: Site) -> None:
    async with site.keeper():
        assert (await site.give("apply", comment="first")).accepted
        await site.clock.advance(12)
        assert site.running() == dict.fromkeys(NODES, "camera-1")
        assert (await site.service()).phase is Phase.DONE and (await site.service()).healthy == 3
        site.described = services(camera={"command": ["camera-2"]})
        await site.give("apply")
        await site.clock.advance(4)
        assert list(site.running().values()) == ["camera-2", "camera-1", "camera-1"]
        await site.clock.advance(30)
        assert site.running() == dict.fromkeys(NODES, "camera-2")
        state = await site.service()
        assert (state.phase, state.target, state.revision, state.title) == (Phase.DONE, 2, 2, "Cameras")


async def test_an_unhealthy_instance_brings_the_revision_before_back_with_its_cause(site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        site.described = services(camera={"command": ["camera-2"]})
        site.engines["n2"].unhealthy.add("camera-2")
        await site.give("apply")
        await site.clock.advance(60)
        state = await site.service()
        assert (state.phase, state.target, state.revision) == (Phase.ROLLED_BACK, 2, 1)
        assert state.cause and "camera@n2" in state.cause.message and "no camera with serial" in state.cause.message
        assert site.running() == dict.fromkeys(NODES, "camera-1") and state.healthy == 3
        told = [one for one in await site.events() if one.cause]
        assert [one.message for one in told] == ["camera: r2 failed; going back to r1"]
        # The revision before works on in the next change.
        site.engines["n2"].unhealthy.clear()
        await site.give("apply")
        await site.clock.advance(60)
        assert site.running() == dict.fromkeys(NODES, "camera-2")


async def test_a_plan_that_no_longer_holds_is_refused(site: Site) -> None:
    async with site.keeper():
        seen = await site.plan()
        assert isinstance(seen, FleetPlanAnswer)
        site.described = services(camera={"command": ["camera-2"]})
        reply = await site.give("apply", plan=seen.mark)
        assert reply.cause and reply.cause.code == "plan_changed" and not site.fleet.revisions
        await site.give("apply")
        await site.clock.advance(12)
        reply = await site.give("rollback", revision=1, plan=seen.mark)
        assert reply.cause and reply.cause.code == "plan_changed" and len(site.fleet.revisions) == 1


async def test_a_plan_tells_what_keeps_the_change_from_harm(site: Site) -> None:
    async with site.keeper():
        seen = await site.plan()
        assert isinstance(seen, FleetPlanAnswer)
        (gate,) = seen.plan.gates
        assert (gate.service, gate.instances, gate.max_parallel, gate.min_healthy) == ("camera", 3, 1, 2)
        assert (gate.healthy_for_s, gate.start_period_s, gate.failures, gate.rollback) == (5.0, 1.0, 3, True)
        await site.give("apply", plan=seen.mark)
        await site.clock.advance(12)
        after = await site.plan()
        assert isinstance(after, FleetPlanAnswer) and (after.plan.changes, after.plan.gates) == ((), ())


async def test_a_keeper_that_takes_over_goes_on_with_the_change(site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        site.described = services(camera={"command": ["camera-2"]})
        await site.give("apply")
        await site.clock.advance(3)
    assert sorted(site.running().values()) == ["camera-1", "camera-1", "camera-2"]
    await site.clock.advance(30)
    assert sorted(site.running().values()) == ["camera-1", "camera-1", "camera-2"]  # and without one nothing changes
    async with site.keeper(), site.keeper():
        await site.clock.advance(60)
        assert site.running() == dict.fromkeys(NODES, "camera-2")
        assert all(len(engine.made) == 2 for engine in site.engines.values())


async def test_a_lost_node_is_left_alone_and_changed_when_it_is_back(site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        site.engines["n2"].away = True
        site.engines["n2"].tell()
        await site.clock.advance(2)
        node = await site.state(node_key("n2"), NodeState)
        assert not node.is_reachable and node.cause and node.cause.message == "no answer"
        site.described = services(camera={"command": ["camera-2"]})
        await site.give("apply")
        await site.clock.advance(60)
        state = await site.service()
        assert state.phase is Phase.DONE and [one.is_known for one in state.instances] == [True, False, True]
        site.engines["n2"].away = False
        await site.clock.advance(60)
        assert site.running() == dict.fromkeys(NODES, "camera-2")


async def test_a_link_that_is_lost_is_no_fault_of_an_adapter(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.keeper():
        site.engines["n2"].away = True
        site.engines["n2"].tell()
        await site.clock.advance(0.5)
        cause = (await site.state(node_key("n2"), NodeState)).cause
        assert cause and (cause.code, cause.message) == ("link_lost", "no answer")
        assert not [record for record in caplog.records if record.exc_info]


async def test_nothing_is_begun_that_the_database_does_not_take(site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        site.fleet.away = True
        reply = await site.give("cordon", node="n1", reason="fan")
        assert reply.cause and not reply.accepted
        site.engines["n1"].end(InstanceId("camera", "n1"), 1)
        await site.clock.advance(5)
        assert len(site.running()) == 3  # what ends is started again: that needs no database
        site.fleet.away = False
        assert (await site.give("cordon", node="n1", reason="fan")).accepted


async def test_the_state_that_a_command_led_to_can_be_read_as_soon_as_it_is_done(site: Site) -> None:
    async with site.keeper():
        for node in NODES:  # faster than the keeper looks
            await site.give("cordon", node=node, reason="fan")
            assert (await site.state(node_key(node), NodeState)).cordon
        done = [one for one in await site.events() if one.kind is EventKind.DONE]
        assert len(done) == len(NODES)


async def test_a_record_that_was_changed_elsewhere_is_read_anew(site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        site.fleet.version += 1  # as after a restore of the database, or by a keeper that was thought dead
        reply = await site.give("cordon", node="n1", reason="fan")
        assert not reply.accepted
        await site.clock.advance(5)
        assert (await site.give("cordon", node="n1", reason="fan")).accepted


async def test_a_node_is_cordoned_and_drained_for_a_time(site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        await site.give("drain", node="n3", reason="new fan", for_s=600.0)
        await site.clock.advance(5)
        assert sorted(site.running()) == ["n1", "n2"]
        cordon = (await site.state(node_key("n3"), NodeState)).cordon
        assert cordon and (cordon.by, cordon.reason, cordon.drain) == ("anna", "new fan", True)
        await site.clock.advance(610)
        assert sorted(site.running()) == ["n1", "n2", "n3"]
        assert (await site.give("cordon", node="n9", reason="x")).cause
        await site.give("disable", service="camera", reason="beam")
        await site.clock.advance(5)
        assert site.running() == {}
        await site.give("enable", service="camera")
        await site.clock.advance(20)
        assert sorted(site.running()) == ["n1", "n2", "n3"]


async def test_a_restart_makes_the_instances_again_one_by_one(site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        before = {name: next(iter(engine.present.values())).engine_id for name, engine in site.engines.items()}
        assert (await site.give("restart", service="camera", nodes="n1,n2")).accepted
        await site.clock.advance(4)
        assert sum(len(engine.made) for engine in site.engines.values()) == 4
        await site.clock.advance(30)
        after = {name: next(iter(engine.present.values())).engine_id for name, engine in site.engines.items()}
        assert [after[name] != before[name] for name in NODES] == [True, True, False]
        assert (await site.service()).phase is Phase.DONE
        assert (await site.give("restart", service="nothing")).cause


async def test_a_rollback_makes_an_earlier_revision_anew(site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(12)
        site.described = services(writer={"command": ["writer"]})
        await site.give("apply")
        await site.clock.advance(12)
        assert site.running() == dict.fromkeys(NODES, "writer")
        await site.give("rollback", revision=1)
        await site.clock.advance(30)
        assert site.running() == dict.fromkeys(NODES, "camera-1") and len(site.fleet.revisions) == 3
        assert (await site.give("rollback", revision=9)).cause


async def test_an_instance_that_keeps_ending_waits_longer_each_time(site: Site) -> None:
    site.described = services(camera={"command": ["camera-1"], "health": {}, "update": {"healthy_for": 0}})
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(5)
        starts: list[float] = []
        id = InstanceId("camera", "n1")
        for _ in range(5):
            site.engines["n1"].end(id, 7)
            ended_s = site.clock.monotonic()
            while not site.engines["n1"].present[id].is_running:
                await site.clock.advance(0.5)
            starts.append(site.clock.monotonic() - ended_s)
        assert starts == pytest.approx([2, 4, 8, 16, 32], abs=1.0)
        state = (await site.service()).instances[0]
        assert (state.crashes, state.exit_status, state.health) == (5, 7, Health.HEALTHY)


async def test_logs_are_asked_over_the_bus(site: Site) -> None:
    async with site.keeper():
        await site.give("apply")
        await site.clock.advance(5)
        subject = subjects.query("fleet", "logs")
        answer = await site.bus.request(subject, encode(LogQuery(service="camera", node="n1")), timeout_s=5)
        told = decode(answer.data, _logs)
        assert isinstance(told, LogAnswer) and told.lines == ("camera-1",) and all(told.times_ns)
        answer = await site.bus.request(subject, encode(LogQuery(service="camera", node="n9")), timeout_s=5)
        assert isinstance(decode(answer.data, _logs), QueryRefusal)
        done = [one.message for one in await site.events() if one.kind is EventKind.NOTE]
        assert "camera@n1: made, r1 wants it" in done
