"""The keeper of the fleet: brings the nodes to what is wanted. One process does this at a time (lease `fleet`).

It decides with `reconciler.step` and remembers in the database before it acts. It never touches an instance only
because the keeper itself begins or ends: services run on without it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.core.clock import Clock, within
from countingroom.core.errors import Conflict, LinkError, NotFound
from countingroom.core.fleet.observed import Observed
from countingroom.core.fleet.plan import FleetPlan
from countingroom.core.fleet.record import Change, FleetRecord, Phase, Renewal
from countingroom.core.fleet.resolver import Resolvers
from countingroom.core.fleet.specs import InstanceId, Revision, WantedNode
from countingroom.core.fleet.talk import Speaker
from countingroom.core.retry import Retry, edge_log
from countingroom.fleet.actors.client import ActorClient
from countingroom.fleet.actors.speakers import speakers
from countingroom.fleet.engines.lease_guard import MayAct, check_lease
from countingroom.fleet.keeper_states import KeeperStates, Publish, Tell
from countingroom.fleet.node import Node, first_look
from countingroom.fleet.reconciler.actions import Delay
from countingroom.fleet.reconciler.apply import apply
from countingroom.fleet.reconciler.plan import plan
from countingroom.fleet.reconciler.renewals import with_renewals
from countingroom.fleet.reconciler.step import step

_log = logging.getLogger(__name__)

SAVE_S = 10.0
RETRY_S = 2.0
_LOOK_S = 0.2
"""Between two steps: news that come together are answered together."""


class FleetStore(Struct, frozen=True, kw_only=True):
    """What the keeper needs of the database (storage/fleet.py)."""

    record: Callable[[], Awaitable[tuple[int, FleetRecord]]]
    save: Callable[[FleetRecord, int], Awaitable[int]]
    add: Callable[[Revision], Awaitable[Revision]]
    revision: Callable[[int], Awaitable[Revision]]


class DescribedFleet(Struct, frozen=True, kw_only=True):
    """What the description has at present."""

    nodes: Sequence[WantedNode]
    titles: Mapping[str, str] = {}
    directory: Path = Path()
    """Its folder, for relative paths."""


MakeNode = Callable[[WantedNode, asyncio.Event, Callable[[str], None]], Node]
"""Makes a node with its engine: from what is wanted, the event to set when something changed, and a taker of sentences
about what was done."""


class Keeper:
    """Keeps the fleet. `run` works until cancelled; the other methods are its commands."""

    def __init__(
        self,
        clock: Clock,
        store: FleetStore,
        node: MakeNode,
        fleet: DescribedFleet,
        publish: Publish,
        tell: Tell,
        *,
        name: str,
        watch: Callable[[Node], Coroutine[Any, Any, None]] | None = None,
        may_act: MayAct = lambda: True,
    ) -> None:
        """`name`: of this process, for the state. `watch`: measures a node until cancelled. `may_act`: whether this
        process has the lease at this moment: a process that stood still may find that another one keeps the fleet."""
        self._watch = watch
        self._resolvers = Resolvers()
        self._clock = clock
        self._store = store
        self._fleet = fleet
        self._may_act = may_act
        self._states = KeeperStates(clock, publish, tell, fleet.titles, self._resolvers, name=name)
        self._changed = asyncio.Event()
        self._make_node = node
        self.wanted_nodes: dict[str, WantedNode] = {}
        """How each node is reached."""
        self._nodes: dict[str, Node] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup
        self._version = 0
        self._record = FleetRecord()
        self._revisions: dict[int, Revision] = {}
        self._turn = asyncio.Lock()
        """Held while the record is changed: a command and a step never work on the same one."""
        self._loaded = asyncio.Event()
        self._waiting: tuple[Delay, ...] = ()
        self._saves = edge_log(_log, "fleet: the database does not take what is remembered", "fleet: it does again")

    @property
    def record(self) -> FleetRecord:
        """What is remembered now."""
        return self._record

    async def run(self) -> None:
        """Keep the fleet until cancelled."""
        await self._load()
        async with asyncio.TaskGroup() as self._group:
            present = self._revisions.get(self._record.revision)
            # Those of the description in force come last: how a node is reached now is said there.
            self._follow_nodes(present.nodes if present else ())
            self._follow_nodes(self._fleet.nodes)
            self._loaded.set()
            await first_look(self._clock, self._nodes.values(), self._changed)
            await self._keep()

    async def ready(self) -> None:
        """Wait until what is remembered has been read. LinkError where that takes too long."""
        try:
            async with within(self._clock, SAVE_S):
                await self._loaded.wait()
        except TimeoutError:
            raise LinkError(
                "what is remembered of the fleet could not be read yet",
                source="fleet",
                suggestion="look at the database, then try again",
            ) from None

    def observed(self) -> Observed:
        """The fleet as it is seen now."""
        nodes = {name: node.observed() for name, node in self._nodes.items()}
        return Observed(
            nodes=with_renewals(nodes, self._record),
            busy=frozenset(id for node in self._nodes.values() for id in node.busy),
            interrupted=frozenset(id for node in self._nodes.values() for id in node.interrupted),
            pulling=frozenset((node.name, image) for node in self._nodes.values() for image in node.pulling),
            failed_pulls={
                (node.name, image): one for node in self._nodes.values() for image, one in node.failed_pulls.items()
            },
            failed_actions={id: one for node in self._nodes.values() for id, one in node.failed_actions.items()},
        )

    def plan(self, revision: Revision) -> FleetPlan:
        """What would happen if this revision were applied now."""
        return plan(self._record, revision, self._revisions, self.observed(), self._clock.now_ns(), self._resolvers)

    def check_node(self, name: str) -> None:
        """NotFound where there is no such node."""
        if name not in self._nodes:
            raise NotFound(
                f"there is no node {name!r}", source="fleet", suggestion=f"choose from {', '.join(self._nodes)}"
            )

    async def revision(self, number: int) -> Revision:
        """A kept revision. NotFound."""
        return self._revisions.get(number) or await self._store.revision(number)

    # Commands.

    async def apply(self, revision: Revision) -> Revision:
        """Keep a revision and begin to bring the fleet to it."""
        async with self._turn:
            made = await self._store.add(revision)
            await self._save(apply(self._record, made, self._clock.now_ns()), {**self._revisions, made.number: made})
            self._follow_nodes(made.nodes)
            for node in self._nodes.values():
                node.forget_failures()
        for service in self._record.changes:
            self._states.note(service, f"r{made.number} applied by {made.by}")
        return made

    async def change(self, changed: Callable[[FleetRecord], FleetRecord]) -> None:
        """Change what is remembered, as a command says."""
        async with self._turn:
            await self._save(changed(self._record), self._revisions)

    async def restart(self, service: str, nodes: tuple[str, ...], by: str) -> int:
        """Make the instances of a service again; how many."""
        async with self._turn:
            change = self._record.changes.get(service)
            if change is None:
                raise NotFound(f"there is no service {service!r}", source="fleet")
            if change.phase in (Phase.ROLLING, Phase.ROLLING_BACK):
                raise Conflict(
                    f"{service} is being changed",
                    source="fleet",
                    code="is_changing",
                    suggestion="wait, or halt it first",
                )
            for node in nodes:
                self.check_node(node)
            found = [
                one
                for node in self.observed().nodes.values()
                for one in node.instances.values()
                if one.id.service == service and (not nodes or node.name in nodes) and node.is_reachable
            ]
            if not found:
                raise NotFound(f"{service} runs on none of these nodes", source="fleet")
            # What a user names must be there: a part of it, without a word about the rest, would look like all.
            if silent := sorted({*nodes} - {one.id.node for one in found}):
                raise NotFound(
                    f"{service} does not run on {', '.join(silent)}, or that node does not answer",
                    source="fleet",
                    suggestion="see where it runs: countingroom fleet status",
                )
            # Without a revision to go back to: where the same thing fails now, an earlier one is no remedy.
            again = Change(
                target=change.effective,
                since_ns=self._clock.now_ns(),
                renewals=tuple(Renewal(one.id, one.change) for one in found),
                renewed_why=f"restart by {by}",
            )
            changes = {**self._record.changes, service: again}
            await self._save(msgspec.structs.replace(self._record, changes=changes), self._revisions)
        self._states.note(service, f"restart of {len(found)} by {by}")
        return len(found)

    def node(self, name: str) -> Node:
        """NotFound where there is no such node."""
        self.check_node(name)
        return self._nodes[name]

    def speakers(self) -> list[Speaker]:
        """The actors of the fleet."""
        return speakers(self._record, self._revisions, self._nodes, self.wanted_nodes)

    def actor(self, id: InstanceId) -> ActorClient:
        """The client of an instance. DeviceError where it does not run."""
        return self._nodes[id.node].actor(id)

    def _follow_nodes(self, wanted: Sequence[WantedNode]) -> None:
        """Follow these nodes too, as they are wanted now."""
        for one in wanted:
            if self.wanted_nodes.get(one.name) == one:
                continue
            if before := self._following.pop(one.name, None):
                before.cancel()
            self.wanted_nodes[one.name] = one
            self._nodes[one.name] = node = self._make_node(one, self._changed, self._states.line)
            node.guard(self._may_act)
            self._following[one.name] = self._group.create_task(self._run_node(node))

    async def _run_node(self, node: Node) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(node.run())
            if self._watch:
                group.create_task(self._watch(node))

    # The loop.

    async def _load(self) -> None:
        report = edge_log(_log, "fleet: what is remembered cannot be read", "fleet: what is remembered is read")
        await Retry(self._clock, report, pause_s=RETRY_S).run(self._read)

    async def _read(self) -> None:
        version, record = await self._store.record()
        self._revisions = await self._named(record)
        self._version = version
        self._record = record

    async def _named(self, record: FleetRecord) -> dict[int, Revision]:
        """The revisions that a record names."""
        numbers = {record.revision, *(n for one in record.changes.values() for n in (one.target, one.fallback))}
        return {number: await self.revision(number) for number in numbers if number}

    async def _keep(self) -> None:
        while True:
            self._changed.clear()
            due_ns: int | None = None
            try:
                due_ns = await self._step()
            except (Conflict, LinkError) as error:
                if self._may_act():
                    self._states.publish_fleet(self._record, self._revisions, error.cause)
                due_ns = self._clock.now_ns() + int(RETRY_S * 1e9)
            await self._clock.sleep(_LOOK_S)
            with suppress(TimeoutError):
                if due_ns is None:
                    await self._changed.wait()
                else:
                    async with within(self._clock, max((due_ns - self._clock.now_ns()) / 1e9, 0.0) + 0.01):
                        await self._changed.wait()

    async def _step(self) -> int | None:
        async with self._turn:
            check_lease(self._may_act, "fleet")
            made = step(self._record, self._revisions, self.observed(), self._clock.now_ns(), self._resolvers)
            if made.record != self._record:
                before = self._record
                await self._save(made.record, self._revisions)
                self._states.phases(before, made.record)
            for action in made.actions:
                self._nodes[action.node].begin(action)
            self._waiting = made.waiting
        self.publish()
        return made.due_ns

    async def _save(self, record: FleetRecord, revisions: Mapping[int, Revision]) -> None:
        """Remember it, then go by it."""
        check_lease(self._may_act, "fleet")
        try:
            async with within(self._clock, SAVE_S):
                self._version = await self._store.save(record, self._version)
        except TimeoutError:
            error = LinkError(f"the database did not answer within {SAVE_S:g} s", source="fleet", code="timeout")
            self._saves.failed(error.cause)
            raise error from None
        except LinkError as error:
            self._saves.failed(error.cause)
            raise
        except Conflict as error:
            # The lease says that this is the keeper: what another process left there holds, and is gone on from.
            _log.warning("fleet: what is remembered is read anew: %s", error)
            with suppress(TimeoutError):
                async with within(self._clock, SAVE_S):
                    await self._read()
            self._changed.set()
            raise
        self._saves.worked()
        self._record = record
        named = {record.revision, *(n for one in record.changes.values() for n in (one.target, one.fallback))}
        self._revisions = {number: one for number, one in revisions.items() if number in named}
        self._changed.set()

    def publish(self) -> None:
        """Publish the states that have changed."""
        self._states.publish(
            self._record, self._revisions, self.observed(), self._nodes, self.wanted_nodes, self._waiting
        )
