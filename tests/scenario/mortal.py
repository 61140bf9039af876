"""A partition whose owner a test can end at a chosen moment: an order, a report, a write, an event."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from countingroom.bus.memory.server import MemoryListener
from countingroom.bus.port import Entry, Message
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.messages import Command, Event, decode, encode
from countingroom.core.partitions import PartitionState
from countingroom.core.systems import Order, SystemState
from countingroom.core.values import Scalar
from countingroom.runs.description import RunsSection
from countingroom.runs.planner.survey import Seen, survey
from countingroom.runs.service import RunsService
from countingroom.storage.database import Database
from tests.scenario.experiment import AtOnce, FaultyBus, World

PICTURE = subjects.partition_key("A")


class MortalWorld(World):
    """Counts orders, reports, pictures, events and transactions as they happen; at one of them the owner dies.

    It dies within the call that does it: what was given out stands, and nothing after it gets out.
    """

    def __init__(self, section: RunsSection) -> None:
        super().__init__(section)
        self.services: dict[str, RunsService] = {}
        self.dead: set[str] = set()
        self.moments: list[str] = []
        self.fatal: int | None = None
        """The owner dies at this moment; None: it does not."""
        self.died_s: float | None = None
        self.ways: dict[str, list[str]] = {}
        """System -> the common states it went through."""
        self._common: dict[str, str] = {}
        self.wanted: set[str] = set()
        """Commands whose goal was written down."""
        self.given: list[tuple[str, Order]] = []
        """Agent, and what it was told."""
        self._names = iter(f"p{number}" for number in range(1, 100_000))

    def watch(self) -> None:
        """Begin to see; the state bucket is there."""
        server = self.bus.server
        server.listeners.append(MemoryListener(link=self.bus._link, pattern=">", take=self._said))
        server.buckets[subjects.STATE_BUCKET].watchers.append(self._put)

    def begin_runs(self, name: str = "") -> None:
        name = name or next(self._names)
        self.buses[name] = bus = FaultyBus(server=self.bus.server)
        self.services[name] = service = RunsService(
            bus, self.clock, self.section, self._database_of(name), instance=name
        )
        self.begin(name, service.run)

    def _database_of(self, name: str) -> Database:
        """The one database, as a process that can die reaches it."""
        database = Database("sqlite://", clock=self.clock)
        store = database._store
        store._engine, store._writer = self.database._store._engine, AtOnce()
        store._reader = store._writer
        transaction = store._transaction

        def mortal(work: Callable[..., Any], *, writes: bool) -> Any:
            if name in self.dead:
                raise LinkError("the dead write nothing", source="storage")
            result = transaction(work, writes=writes)
            if writes:
                self._saw("transaction")
            return result

        store._transaction = mortal
        return database

    # Moments.

    def begin_anew(self, fatal: int | None) -> None:
        """Nothing was seen yet."""
        self.moments = []
        self.given = []
        self.ways = {}
        self.wanted = set()
        self.fatal = fatal
        self.died_s = None

    def _said(self, message: Message) -> None:
        subject = message.subject
        if subject.startswith("agent."):
            order = decode(message.data, Order)
            self.given.append((subject, order))
            self._saw(f"order {order.action} to {subject}")
        elif subject == subjects.event("runs", "A"):
            self._saw(f"event {decode(message.data, Event).message}")
        elif subject.startswith("command."):
            self._saw("command")

    def _put(self, entry: Entry) -> None:
        if entry.key == PICTURE and entry.data:
            shown = decode(entry.data, PartitionState)
            if shown.goal:
                self.wanted.add(shown.goal.command_id)
            self._saw(f"picture of {shown.state}")
        elif entry.key.startswith("system.") and entry.data:
            state = decode(entry.data, SystemState)
            if self._common.get(entry.key) != state.common:
                self._common[entry.key] = state.common
                self.ways.setdefault(entry.key, []).append(state.common)
            self._saw(f"{state.system} {state.common}")

    def _saw(self, what: str) -> None:
        self.moments.append(what)
        if len(self.moments) == self.fatal:
            self.strike()

    def give(self, action: str, **arguments: Scalar) -> str:
        """Give a command whose answer may never come; its id."""
        id, now_ns = f"c{next(self.ids)}", self.clock.now_ns()
        command = Command(
            id=id, action=action, arguments=arguments, issued_ns=now_ns, deadline_ns=now_ns + 10_000_000_000
        )

        async def ask() -> None:
            with suppress(LinkError):
                await self.bus.request(subjects.command("local", "runs", "A"), encode(command), timeout_s=1.0)

        self.begin("asking", ask)
        return id

    # The owner.

    @property
    def owner(self) -> str:
        """The process that owns the partition; empty: none does."""
        return next((name for name in self.services if self.owns(name)), "")

    def owns(self, name: str) -> bool:
        standby = self.services[name].standbys.get("A")
        return bool(standby and standby.owner and not standby.owner.lease.lost)

    def strike(self) -> None:
        """The owner dies now."""
        name = self.owner
        self.dead.add(name)
        self.buses[name].die()
        self.tasks[name].cancel()
        self.died_s = self.clock.monotonic()

    async def bury(self) -> None:
        """Forget the dead."""
        for name in self.dead & self.services.keys():
            del self.services[name]
            await self.end(name)

    async def is_right(self) -> bool:
        """A living owner shows what the reports on the bus prove, and of every member what it reports."""
        shown = await self.partition()
        name = shown.owner.split()[0] if shown else ""
        if shown is None or name not in self.services or name in self.dead or not self.owns(name):
            return False
        owner = self.services[name].standbys["A"].owner
        assert owner
        seen: dict[str, Seen] = {}
        for member in shown.members:
            state = await self.system(member.system, "A" if member.kind == "global" else "")
            seen[member.system] = Seen(state=state, connected=True)
        rests_in = shown.state if shown.goal is None or shown.goal.stop else ""  # a selection takes nothing down
        partition = owner.partition
        proven = survey(partition.template, partition.members, seen, run=partition.run, rests_in=rests_in)
        return shown.state == proven.state and {one.system: one.seen for one in shown.members} == proven.common
