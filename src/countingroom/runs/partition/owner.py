"""Law: who owns a partition begins with what is written and what is reported, and touches nothing while it looks.

What is wanted stands on the bus before anything is done for it, so the next owner goes on where this one was ended.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack

import msgspec

from countingroom.bus.port import Lease
from countingroom.bus.publisher import Recorder
from countingroom.core import subjects
from countingroom.core.clock import within
from countingroom.core.errors import Cause, LinkError, NotFound
from countingroom.core.messages import EventKind, decode
from countingroom.core.partitions import Goal, PartitionState
from countingroom.core.policy import Principal
from countingroom.core.run_book import Run, RunEnd
from countingroom.core.systems import SystemKind
from countingroom.runs.access.command_server import Reception
from countingroom.runs.access.control_lease import ControlDesk
from countingroom.runs.context import Office, assembled
from countingroom.runs.partition.commands import PartitionWords
from countingroom.runs.partition.configuration_selection import Choice
from countingroom.runs.partition.hook_runner import Hooks
from countingroom.runs.partition.move_hold import Holding
from countingroom.runs.partition.order_sender import Orders
from countingroom.runs.partition.run_book_writer import Book
from countingroom.runs.partition.run_lifecycle import RunLife
from countingroom.runs.partition.run_sequence import Sequence
from countingroom.runs.partition.state_publisher import Board, picture
from countingroom.runs.partition.stop_conditions import Limits
from countingroom.runs.planner import events as happened
from countingroom.runs.planner.events import Effect, Fact
from countingroom.runs.planner.legality import refusals
from countingroom.runs.planner.partition import Partition
from countingroom.runs.planner.step import step, wake_ns

_log = logging.getLogger(__name__)

LOOK_S = 1.8
"""A new owner waits so long for word of every member."""

RETRY_S = 0.2


class Tenure:
    """One ownership of one partition, from its lease to its loss."""

    def __init__(self, office: Office, name: str, lease: Lease) -> None:
        self.office, self.name, self.lease = office, name, lease
        self.source = f"runs.{name}"
        self.recorder = Recorder(office.bus, office.clock, self.source)
        self.book = Book(office.database, office.clock, self.source)
        self.control = ControlDesk(office.bus, office.clock, name, self._control_changed)
        self.holding, self.life, choice = Holding(self), RunLife(self), Choice(self)
        self.limits, self.sequence = Limits(self, self.life), Sequence(self, self.life, choice)
        self.words = PartitionWords(self, self.life, choice, self.holding, self.sequence)
        self.reception = Reception(
            office.bus,
            office.clock,
            name,
            self.words,
            recorder=self.recorder,
            control=self.control,
            people=self._principal,
        )
        self.partition: Partition
        self.orders, self.hooks = Orders(office, lease, name, self.tell), Hooks(office, name, self.tell)
        self.board = Board(office, name, lease, self._picture)
        self._inbox: list[Fact] = []
        self._news, self._stale = asyncio.Event(), asyncio.Event()
        self._changes: set[asyncio.Event] = set()
        self._actions: dict[str, str] = {}
        self._heard = ExitStack()
        self._group: asyncio.TaskGroup

    def now_ns(self) -> int:
        """The time."""
        return self.office.clock.now_ns()

    def tell(self, fact: Fact) -> None:
        """Something happened."""
        self._inbox.append(fact)
        self._news.set()

    async def run(self) -> None:
        """Until cancelled, which is at once when the lease is lost."""
        try:
            await self._load()
            async with asyncio.TaskGroup() as self._group:
                desks = self.recorder, self.book, self.control, self.reception
                for part in (*desks, self.holding, self.board, self.limits, self.sequence):
                    self._group.create_task(part.run())
                self._group.create_task(self._keep_up())
                await self._live()
        finally:
            self._heard.close()

    # What is kept and what is wanted.

    async def _load(self) -> None:
        office = self.office
        while True:
            try:
                record = await office.database.partitions.get(self.name)
                runs = await office.database.runs.open_runs(self.name)
                entry = await office.bus.get(subjects.STATE_BUCKET, subjects.partition_key(self.name))
                await self.control.load()
                break
            except LinkError as error:
                _log.warning("%s: cannot be taken on yet: %s", self.source, error.cause)
                await office.clock.sleep(RETRY_S)
        last = _decoded(entry.data) if entry and entry.data else None
        self.board.revision = entry.revision if entry else 0
        self.life.open = opened = runs[0] if runs else None
        template = office.template(record.template)
        now_ns = office.clock.now_ns()
        known = last is not None and last.state in template.chart().states
        self.partition = Partition(
            name=self.name,
            template=template,
            state=last.state if last and known else template.idle,
            since_ns=last.since_ns if last and known else now_ns,
            goal=last.goal if last else None,
            run=opened.number if opened else 0,
            began=bool(opened and opened.started_ns),
            joining=frozenset(one.system for one in last.members if one.joining) if last else frozenset(),
            locked=record.locked,
        )
        self.holding.locked = record.locked
        await self.muster(tell=False)
        await office.reports.settled(member.system for member in self.partition.members)
        self.partition = msgspec.structs.replace(
            self.partition, look_until_ns=office.clock.now_ns() + round(LOOK_S * 1e9)
        )
        for member in self.partition.members:
            self._inbox.extend(office.reports.facts(member.system, self._at(member.kind)))

    async def muster(self, *, tell: bool = True) -> None:
        """Read anew who is a member, who is included, and what is wanted."""
        office, before = self.office, {member.system for member in self.partition.members} if tell else set[str]()
        record = await office.database.partitions.get(self.name)
        wanted = await office.database.partitions.wanted(self.name)
        members = assembled(self.partition.template, record, wanted.systems, office.section)
        self._heard.close()
        self._heard.enter_context(
            office.reports.followed(self.tell, [(member.system, self._at(member.kind)) for member in members])
        )
        if not tell:
            self.partition = msgspec.structs.replace(self.partition, members=members, tag=record.tag)
            return
        self.tell(happened.MembersSet(members=members, tag=record.tag))
        for member in members:
            if member.system not in before:
                for fact in office.reports.facts(member.system, self._at(member.kind)):
                    self.tell(fact)

    def look_anew(self) -> None:
        """Something that is kept may have changed."""
        self._stale.set()

    async def _keep_up(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self.muster()
            except LinkError:
                self._stale.set()
                await self.office.clock.sleep(RETRY_S)
            except NotFound:
                return  # it is being deleted

    def _at(self, kind: SystemKind) -> str:
        return self.name if kind is SystemKind.GLOBAL else ""

    # What happens.

    async def _live(self) -> None:
        clock = self.office.clock
        while not self.lease.lost:
            self._news.clear()
            batch, self._inbox = self._inbox, []
            before = self.partition
            self.life.heard(batch)
            self.partition, effects = step(before, batch, now_ns=clock.now_ns())
            if self.partition.goal != before.goal and self.partition.goal is not None:
                await self.board.show()
                if self.lease.lost:
                    return
            self._carry_out(effects)
            if batch or effects or self.partition is not before:
                self.board.changed()
                for change in self._changes:
                    change.set()
            await self._more()

    async def _more(self) -> None:
        now_ns = self.office.clock.now_ns()
        wake = wake_ns(self.partition)
        if self._inbox:
            await asyncio.sleep(0)
        elif wake is None or wake <= now_ns:
            await self._news.wait()
        else:
            try:
                async with within(self.office.clock, (wake - now_ns) / 1e9):
                    await self._news.wait()
            except TimeoutError:
                return

    async def changed(self) -> None:
        """Return at the next change."""
        change = asyncio.Event()
        self._changes.add(change)
        try:
            await change.wait()
        finally:
            self._changes.discard(change)

    def goal(self, goal: Goal | None, action: str, *, run: Run | None = None, end: RunEnd = RunEnd.STOPPED) -> None:
        """Want it there."""
        if goal:
            self._actions[goal.command_id] = action
        if run:
            self.life.open = run
        self.life.ending_by = goal.requested_by if goal else ""
        self.tell(happened.GoalSet(goal=goal, run=run.number if run else 0, end=end))

    def _carry_out(self, effects: tuple[Effect, ...]) -> None:
        self.orders.send(self._group, [one for one in effects if isinstance(one, happened.SendOrder)])
        for effect in effects:
            match effect:
                case happened.Moved(rows=rows, cause=cause):
                    for before, event, after in rows:
                        self._moved(before, event, after, cause)
                case happened.RunBegan(run=run):
                    self.life.began(run)
                case happened.RunOver(run=run, end=end, cause=cause):
                    self.life.over(run, end, cause)
                case happened.RunHook():
                    self.hooks.begin(self._group, effect)
                case happened.Excluded(system=system, cause=cause):
                    self.life.excluded(system, cause)
                case happened.GoalMet(goal=goal):
                    self._ended(goal, None)
                case happened.GoalFailed(goal=goal, cause=cause):
                    self._ended(goal, cause)
                case happened.SendOrder():
                    pass

    def _moved(self, before: str, event: str, after: str, cause: Cause | None) -> None:
        goal = self.partition.goal
        self.reception.tell(
            EventKind.STATE,
            f"{before} → {after} ({event})",
            by=goal.requested_by if goal else "",
            command_id=goal.command_id if goal else "",
            action=event,
            before=before,
            after=after,
            cause=cause,
            severity=2 if cause else 0,
        )

    def _ended(self, goal: Goal, cause: Cause | None) -> None:
        action = self._actions.pop(goal.command_id, "goal")
        if goal.command_id:
            self.reception.ended(goal.command_id, action, goal.requested_by, cause, goal=goal.state)
        elif cause:
            self.reception.tell(
                EventKind.NOTE, f"{goal.state} is not reached: {cause.message}", cause=cause, severity=3
            )

    # What is shown.

    def _picture(self) -> PartitionState:
        shown = refusals(self.partition)
        return picture(self.partition, shown, owner=self.office.holder, boot=self.office.boot)

    def _control_changed(self, message: str, by: str) -> None:
        self.reception.tell(EventKind.NOTE, message, by=by, action="control")

    async def _principal(self, user: str) -> Principal:
        return await self.office.people.principal(user, subjects.partition_key(self.name))


def _decoded(data: bytes) -> PartitionState | None:
    try:
        return decode(data, PartitionState)
    except msgspec.DecodeError as error:
        _log.warning("what was written of a partition is not understood: %s", error)
        return None
