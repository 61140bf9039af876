"""The service of the fleet: its keeper, its commands and its questions, in the one process that holds the lease."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from uuid import uuid4

from countingroom.bus.command_server import CommandServer
from countingroom.bus.election import Election, Leadership, holder_name
from countingroom.bus.port import Bus, Current, Entry
from countingroom.bus.presence import heartbeat
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.commands.fleet import TARGET
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.fleet.specs import WantedNode
from countingroom.core.fleet.states import FLEET_KEY, FleetState, NodeState, ServiceState
from countingroom.core.fleet.talk import TalkState
from countingroom.core.fleet.usage import DRIVER, device_of
from countingroom.core.messages import Catalogue, EventKind, Malformed, decode
from countingroom.fleet.actors.talks import Talks, forget_talks
from countingroom.fleet.keeper import DescribedFleet, FleetStore, Keeper, MakeNode
from countingroom.fleet.node import Node
from countingroom.fleet.power import PowerSwitch
from countingroom.fleet.power_cuts import finish_power_cuts, remember_in
from countingroom.fleet.reboot import MakeMachine, Reboots, Switch, by_ssh
from countingroom.fleet.target import Describe, FleetTarget
from countingroom.fleet.watch import Watch, WatchSettings

DEPARTMENT = "fleet"
LEASE_S = 10.0
ASK_AGAIN_S = 1.0
_FORGET_S = 10.0
_BAD = 2
"""Severity of the event of a change that failed."""


class FleetService:
    """Runs until cancelled."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        store: FleetStore,
        node: MakeNode,
        fleet: DescribedFleet,
        describe: Describe,
        watch: WatchSettings | None = None,
        machine: MakeMachine | None = None,
    ) -> None:
        """`node`: makes a node with its engine. `describe`: reads what is wanted now. `watch`: how nodes are measured;
        None: they are not. `machine`: makes the way by which a node is restarted; default: ssh."""
        self._bus = bus
        self._clock = clock
        self._store = store
        self._node = node
        self._fleet = fleet
        self._describe = describe
        self._watch = watch
        self._machine = machine or by_ssh(fleet.directory)
        self._boot = uuid4().hex
        self._holder = holder_name("fleet", self._boot)
        self._targets: list[str] = []
        """What this process serves: the fleet while it is its keeper."""

    async def run(self) -> None:
        """Keep the fleet as the only process that does, as soon as no other one does."""
        async with asyncio.TaskGroup() as group:
            while True:
                election = Election(
                    self._bus,
                    self._clock,
                    DEPARTMENT,
                    holder=self._holder,
                    ttl_s=LEASE_S,
                    ask_s=ASK_AGAIN_S,
                    source=DEPARTMENT,
                )
                # One that waits beats under its own name: the keeper alone tells that it keeps the fleet.
                waiting = group.create_task(self._beat(f"standby-{self._boot[:8]}"))

                async def lead(leadership: Leadership, waiting: asyncio.Task[None] = waiting) -> None:
                    waiting.cancel()
                    async with asyncio.TaskGroup() as parts:
                        beating = parts.create_task(self._beat("main"))
                        await self._lead(leadership)
                        beating.cancel()

                try:
                    await election.lead(lead)
                finally:
                    waiting.cancel()

    async def _beat(self, instance: str) -> None:
        await heartbeat(
            self._bus, self._clock, role=DEPARTMENT, instance=instance, boot=self._boot, targets=self._targets
        )

    async def _lead(self, leadership: Leadership) -> None:
        publisher = Publisher(self._bus, self._clock, DEPARTMENT)
        server: CommandServer | None = None

        def publish(key: str, state: NodeState | ServiceState | FleetState | TalkState | None) -> None:
            if state is None:
                publisher.delete(key)
            else:
                publisher.state(key, state)

        def tell(name: str, sentence: str, cause: Cause | None) -> None:
            if server:
                server.record(
                    EventKind.NOTE,
                    sentence,
                    action="fleet",
                    severity=_BAD if cause else 0,
                    cause=cause,
                    data={"service": name} if name else {},
                )

        async def watch(node: Node) -> None:
            device = device_of(node.name)
            if self._watch:
                if device not in self._targets:
                    self._targets.append(device)
                await Watch(self._bus, self._clock, publisher, node, self._watch, self._boot).run()

        keeper = Keeper(
            self._clock,
            self._store,
            self._node,
            self._fleet,
            publish,
            tell,
            name=self._holder,
            watch=watch,
            may_act=lambda: leadership.is_held,
        )

        def switch(node: WantedNode, by: str) -> Switch:
            if node.power is None:
                raise LookupError(f"{node.name} has no power")
            return PowerSwitch(self._bus, self._clock, node.power, f"restart of {node.name} by {by}")

        talks = Talks(self._clock, keeper.speakers, keeper.actor, publish)
        reboots = Reboots(self._clock, self._machine, switch, remember_in(keeper))
        target = FleetTarget(self._clock, keeper, self._describe, publisher, talks, reboots, self._fleet.directory)
        server = CommandServer(self._bus, self._clock, DEPARTMENT, TARGET, target, publisher)
        async with asyncio.TaskGroup() as group:
            publishing = group.create_task(publisher.run())
            group.create_task(forget_talks(self._bus, self._clock, talks, publisher))
            group.create_task(finish_power_cuts(keeper, reboots, tell))
            try:
                async with AsyncExitStack() as stack:
                    for what, handler in (
                        ("plan", target.answer_plan),
                        ("logs", target.answer_logs),
                        ("log_lines", target.answer_log_lines),
                        ("registry", target.answer_registry),
                    ):
                        subject = subjects.query(DEPARTMENT, what)
                        await stack.enter_async_context(self._bus.respond(subject, handler, concurrency=128))
                    await stack.enter_async_context(server.serving())
                    self._targets.append(FLEET_KEY)
                    await self._forget_nodes(publisher)
                    await keeper.run()
            finally:
                self._targets.clear()
                await target.close()
                # The events of the end are still published.
                await publisher.flush()
                publishing.cancel()

    async def _forget_nodes(self, publisher: Publisher) -> None:
        """Delete the catalogues of nodes that are described no more: nothing would give them values."""
        described = {device_of(one.name) for one in self._fleet.nodes}
        with suppress(CountingRoomError, TimeoutError):
            async with (
                within(self._clock, _FORGET_S),
                self._bus.watch(subjects.STATE_BUCKET, "catalogue.*") as items,
            ):
                async for item in items:
                    match item:
                        case Entry(data=bytes() as data):
                            with suppress(Malformed):
                                one = decode(data, Catalogue)
                                if one.driver == DRIVER and one.device not in described:
                                    publisher.delete(item.key)
                        case Current():
                            return
                        case _:
                            pass
