"""A small experiment with partitions on the memory bus: what run control and agents would say, the test says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import httpx
import msgspec
from fastapi import FastAPI
from msgspec import Struct

from countingroom.bus.port import Message
from countingroom.console.app import create
from countingroom.core import partitions, subjects
from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Cause
from countingroom.core.messages import Command, Event, EventKind, Presence, Reply, decode, encode
from countingroom.core.partitions import MemberState, PartitionState, Plan, Step
from countingroom.core.policy import Control
from countingroom.core.run_queries import MoveAnswer, MoveEffect, MoveQuery, PlanAnswer, PlanQuery
from countingroom.core.series import QueryRefusal
from countingroom.core.systems import Action, Placement, SystemKind, SystemState
from countingroom.storage.database import Database
from tests.console.stage import Stage, stage

CHART = Chart(
    name="cbm",
    rows=(
        Row("Idle", "configure", "Configuring_TFC"),
        Row("Configuring_TFC", "success", "TFC_Active"),
        Row("TFC_Active", "abort", "Idle"),
        Row("TFC_Active", "start_recording", "Recording"),
        Row("Recording", "stop_recording", "TFC_Active"),
    ),
    initial="Idle",
)
NOT_NOW = Cause(code="not_allowed", message="stop is not allowed in TFC_Active; allowed: start", source="runs.mCBM")


def member(system: str, *, kind: SystemKind = SystemKind.DETECTOR, seen: str = "Active", **more: object) -> MemberState:
    """A member that is well."""
    told = {"own": seen, "tag": "physics", "wanted_tag": "physics", "right": True, "critical": True, "included": True}
    level = "TFC" if kind is SystemKind.GLOBAL else "Detectors"
    return MemberState(system=system, kind=kind, level=level, seen=seen, **(told | more))  # type: ignore[arg-type]


MEMBERS = (member("TFC", kind=SystemKind.GLOBAL), member("STS"), member("<b>TOF</b>", critical=False))


def partition(name: str = "mCBM", state: str = "TFC_Active", **more: object) -> PartitionState:
    """A partition that is well."""
    told = {
        "members": MEMBERS,
        "tag": "physics",
        "refusals": {"configure": None, "start": None, "stop": NOT_NOW, "abort": None, "goal": None},
        "since_ns": 1_000_000_000,
    }
    return PartitionState(partition=name, template="cbm", state=state, chart=CHART, **(told | more))  # type: ignore[arg-type]


class RunsStage:
    """Run control as the test plays it."""

    def __init__(self, devices: Stage, database: Database) -> None:
        self.devices = devices
        self.bus = devices.bus
        self.clock = devices.clock
        self.database = database
        self.asked: list[tuple[str, Command]] = []
        self.refuse: Cause | None = None

    async def say(self, key: str, word: Struct) -> None:
        """Put a word of run control where everybody reads it."""
        await self.bus.put(subjects.STATE_BUCKET, key, encode(word))

    async def partition(self, name: str = "mCBM", state: str = "TFC_Active", **more: object) -> None:
        """Say how a partition stands."""
        await self.say(subjects.partition_key(name), partition(name, state, **more))

    async def beat(self, *partitions: str, boot: str = "boot1", leaving: bool = False) -> None:
        """One heartbeat of run control, which owns these."""
        beat = Presence(
            role="runs",
            instance="main",
            boot=boot,
            host="here",
            pid=1,
            interval_s=1.0,
            sent_ns=self.clock.now_ns(),
            targets=tuple(map(subjects.partition_key, partitions)),
            leaving=leaving,
        )
        await self.bus.publish(subjects.presence("runs", "main"), encode(beat))

    async def places(self, **detectors: str) -> None:
        """Say who is where."""
        await self.say(subjects.MAPPING_KEY, Placement(partitions=("mCBM", "lab"), detectors=detectors))

    async def control(self, name: str, holder: str) -> None:
        """Say who is in control."""
        until = self.clock.now_ns() + 10**12
        await self.say(subjects.control_key(name), Control(holder=holder, token=1, until_ns=until))

    async def system(self, system: str, partition: str = "", *, kind: SystemKind = SystemKind.DETECTOR) -> None:
        """Say how a system stands."""
        key = subjects.system_key(system, partition if kind is SystemKind.GLOBAL else "")
        told = SystemState(
            system=system,
            partition=partition,
            kind=kind,
            state="Active",
            common="Active",
            sequence=1,
            boot="b",
            since_ns=1,
            counters={"events": 12},
        )
        await self.say(key, told)

    async def event(self, source: str, kind: EventKind = EventKind.NOTE, **more: object) -> None:
        """Something happened to a partition."""
        told = Event(
            id=uuid4().hex,
            kind=kind,
            time_ns=self.clock.now_ns(),
            department="runs",
            source=source,
            **({"message": "it happened"} | more),  # type: ignore[arg-type]
        )
        await self.bus.append(subjects.event("runs", source), encode(told))

    async def answer(self, message: Message) -> bytes:
        """What run control answers to a command."""
        command = decode(message.data, Command)
        self.asked.append((message.subject, command))
        if self.refuse:
            return encode(Reply(id=command.id, accepted=False, cause=self.refuse))
        target = message.subject.rpartition(".")[2]
        await self.event(target, EventKind.DONE, command_id=command.id, action=command.action)
        return encode(Reply(id=command.id, accepted=True))

    async def plan(self, message: Message) -> bytes:
        """How it would get there."""
        asked = msgspec.msgpack.decode(message.data, type=PlanQuery)
        if asked.goal == "Nowhere":
            return encode(QueryRefusal(cause=Cause(code="not_found", message="there is no state Nowhere")))
        action = Action.RECONFIGURE if asked.reconfigure else Action.CONFIGURE
        step = Step(system="STS", action=action, reason="it is not configured", expected_s=2.0, deadline_s=30)
        plan = Plan(
            partition=asked.partition,
            goal=asked.goal,
            tag=asked.tag,
            stages=(partitions.Stage(title="Detectors", steps=(step,), expected_s=2.0),),
            kept={"TFC": "it has physics already"},
            expected_s=2.0,
        )
        return encode(PlanAnswer(plan=plan))

    async def move(self, message: Message) -> bytes:
        """What a move would change."""
        asked = msgspec.msgpack.decode(message.data, type=MoveQuery)
        if "XYZ" in asked.detectors:
            return encode(QueryRefusal(cause=Cause(code="not_found", message="there is no detector XYZ")))
        effect = MoveEffect(partition=asked.to, before="QA_Active", after="TFC_Active", joins=asked.detectors)
        return encode(MoveAnswer(effects=(effect,)))


@asynccontextmanager
async def runs_stage(devices: Stage, *, owned: bool = True) -> AsyncGenerator[RunsStage]:
    """Two partitions, a detector that is in none, and a database with configurations, tags and one run. Without
    `owned` no process answers to commands."""
    database = Database("sqlite://", clock=devices.clock)
    await database.open()
    here = RunsStage(devices, database)
    for system in ("TFC", "STS", "TOF"):
        for tag in ("default", "physics"):
            await database.configurations.save(system, tag, {"threshold": 47 if tag == "physics" else 40}, "m.rossi")
    await database.tags.save("physics", {"TFC": "physics", "STS": "physics"}, "m.rossi")
    await database.tags.save("default", {"TFC": "default", "STS": "default"}, "m.rossi")
    await here.places(STS="mCBM", TRD="")
    await here.partition("mCBM")
    await here.partition("lab", "Idle", members=(member("TFC", kind=SystemKind.GLOBAL), member("STS")))
    await here.system("TFC", "mCBM", kind=SystemKind.GLOBAL)
    await here.system("STS", "mCBM")
    await here.control("mCBM", "m.rossi")
    bus = here.bus.client()
    async with AsyncExitStack() as answering:
        if owned:
            await answering.enter_async_context(bus.respond(subjects.commands_to("runs"), here.answer))
        await answering.enter_async_context(bus.respond(subjects.query("runs", "plan"), here.plan))
        await answering.enter_async_context(bus.respond(subjects.query("runs", "move"), here.move))
        yield here
    await database.close()


@asynccontextmanager
async def runs_served(here: RunsStage) -> AsyncGenerator[tuple[FastAPI, httpx.AsyncClient]]:
    """The console over all of that, current, and a client of it."""
    app = create(here.bus.client(), here.clock, title="Test hall", version="0.0.1", tick_s=0.2, database=here.database)
    async with app.router.lifespan_context(app):
        await app.state.context.latest.ready()
        await app.state.context.recent_events.ready()
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield app, client


__all__ = ["RunsStage", "member", "partition", "runs_served", "runs_stage", "stage"]
