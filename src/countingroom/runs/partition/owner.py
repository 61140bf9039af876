"""The owner of a partition: its loop feeds events to the planner's `step` and carries out the effects.

A new owner starts from the database and the reported states, and sends no order while it collects them. A goal is
published before anything is done for it, so the next owner goes on where this one ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import ExitStack

import msgspec

from countingroom.bus.command_server import CommandServer
from countingroom.bus.election import Leadership
from countingroom.bus.port import Entry
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.clock import monotonic_ns, within
from countingroom.core.errors import Cause, Conflict, LinkError, NotFound
from countingroom.core.messages import EventKind
from countingroom.core.partitions import Goal, PartitionState
from countingroom.core.placement import PartitionRecord
from countingroom.core.retry import Retry, edge_log
from countingroom.core.run_book import Run, RunEnd
from countingroom.core.systems import SystemKind
from countingroom.runs.access.control_lease import ControlLease
from countingroom.runs.context import RunControlContext, members_of
from countingroom.runs.partition.command_policy import PartitionPolicy
from countingroom.runs.partition.commands import PartitionCommands
from countingroom.runs.partition.configuration_selection import ConfigurationSelection
from countingroom.runs.partition.flag_keeper import FlagKeeper
from countingroom.runs.partition.former_recorders import find_former_recorders, why_former, with_former
from countingroom.runs.partition.hook_runner import Hooks
from countingroom.runs.partition.move_hold import MoveHold
from countingroom.runs.partition.order_sender import Orders
from countingroom.runs.partition.run_lifecycle import RunLifecycle
from countingroom.runs.partition.run_sequence import Sequence
from countingroom.runs.partition.stand_in import stand_in, why_missing
from countingroom.runs.partition.start_permission import StartPermission
from countingroom.runs.partition.state_publisher import StatePublisher, published, snapshot
from countingroom.runs.partition.stop_conditions import StopConditions
from countingroom.runs.planner import events
from countingroom.runs.planner.causes import CONFIGURATION_CHANGED
from countingroom.runs.planner.events import Effect, Fact
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.recorders import with_recorders
from countingroom.runs.planner.step import step, wake_ns
from countingroom.runs.run_book_writer import PartitionBook

_log = logging.getLogger(__name__)

LOOK_S = 1.8
"""Time in which a new owner collects the reports of all members before it acts."""

SETTLE_S = 0.3
"""Time for the last orders of a former owner to take effect. A lease is free at once when its holder dies, and an order
that the holder has just sent would be sent twice."""
RETRY_S = 0.2
_FEW = 16
_REST = 4.0
"""While more than _FEW orders are under way, the main loop rests this many times as long as its last step took. Each
step looks at all members: with a thousand of them a step for every five reports takes a third of a configuration."""
_MOST_REST_S = 0.1


class PartitionOwner:
    """One ownership of one partition, from its lease to its loss."""

    def __init__(self, context: RunControlContext, name: str, lease: Leadership) -> None:
        self.context = context
        self.name = name
        self.lease = lease
        self.source = f"runs.{name}"
        self.publisher = Publisher(context.bus, context.clock, self.source)
        self.book = PartitionBook(context.run_book, context.clock, name)
        self.control = ControlLease(context.bus, context.clock, name, self._control_changed)
        self.move_hold = MoveHold(self)
        self.life = RunLifecycle(self)
        selection = ConfigurationSelection(self)
        self.flags = FlagKeeper(self, self.life)
        self.stop_conditions = StopConditions(self, self.life)
        self.start_permission = StartPermission(context, name, self.tell)
        self.sequence = Sequence(self, self.life, selection)
        self.handlers = PartitionCommands(self, self.life, selection, self.move_hold, self.sequence)
        self.command_server = CommandServer(
            context.bus,
            context.clock,
            "runs",
            name,
            self.handlers,
            self.publisher,
            policy=PartitionPolicy(self, self.life.accepted),
        )
        self.partition: PartitionModel
        self._template_name = ""
        self._has_former = False
        """Recorders that the template no longer names are stopped with the run that they record."""
        self.orders = Orders(context, lease, name, self.tell, lambda: self.start_permission.forbids(self.partition))
        self.hooks = Hooks(context, name, self.tell)
        self.state_publisher = StatePublisher(context, name, lease, self._snapshot)
        self.life.accepted.changed = self.state_publisher.changed
        self._inbox: list[Fact] = []
        self._news = asyncio.Event()
        self._stale = asyncio.Event()
        self._changes: set[asyncio.Event] = set()
        self._actions: dict[str, tuple[str, str]] = {}
        """Id of a command -> its action and its user."""
        self._heard = ExitStack()
        self._group: asyncio.TaskGroup

    def now_ns(self) -> int:
        """The present time, ns since the epoch."""
        return self.context.clock.now_ns()

    def tell(self, fact: Fact) -> None:
        """Put an event into the queue of the main loop."""
        self._inbox.append(fact)
        self._news.set()

    def upcoming(self) -> PartitionModel:
        """The partition with all that the main loop has not taken from its queue yet. A command is checked against this
        one: in `partition` a stop of the same moment is still missing, and the command would take its place."""
        if not self._inbox:
            return self.partition
        after, _ = step(self.partition, self._inbox, now_ns=monotonic_ns(self.context.clock), wall_ns=self.now_ns())
        return after

    async def run(self) -> None:
        """Run until cancelled. While the lease is lost it does nothing; the standby cancels it when another process may
        have owned the partition since."""
        try:
            await self.context.clock.sleep(SETTLE_S)
            await self._load()
            async with asyncio.TaskGroup() as self._group:
                servers = self.publisher, self.control, self.command_server
                watches = self.stop_conditions, self.flags.conditions, self.start_permission
                for part in (*servers, self.move_hold, self.state_publisher, *watches, self.sequence):
                    self._group.create_task(part.run())
                self._group.create_task(self._keep_up())
                self._group.create_task(self._report_ownership())
                await self._live()
        finally:
            if self.lease.ended:
                message = f"no longer owned by {self.context.holder}: {self.lease.ended.message}"
                self.command_server.record(EventKind.NOTE, message, cause=self.lease.ended, severity=2)
            self._heard.close()
            await self.publisher.drain()

    # Takeover: the stored and published state of the partition.

    async def _load(self) -> None:
        context = self.context
        report = edge_log(_log, f"{self.source}: the takeover waits", f"{self.source}: the takeover goes on")
        record, runs, entry = await Retry(context.clock, report, pause_s=RETRY_S).run(self._read)
        last = published(entry.data) if entry and entry.data else None
        self.state_publisher.revision = entry.revision if entry else 0
        # The run that a dead owner left open. The first `step` closes it as OWNER_DIED, unless the systems still
        # record it.
        opened = runs[0] if runs else None
        self.life.took_over(opened)
        unexplained = None
        if record.template in context.section.templates:
            template = context.template(record.template)
            if former := await find_former_recorders(context, template, record, opened):
                template, self._has_former = with_former(template, former), True
                self.command_server.record(EventKind.NOTE, why_former(record, former), severity=2)
        else:
            template = await stand_in(context, record, opened)
            unexplained = why_missing(record, context.section.templates, context.clock.now_ns())
            self.command_server.record(EventKind.NOTE, unexplained.message, cause=unexplained, severity=2)
        known = last is not None and last.state in template.chart().states
        self.partition = PartitionModel(
            name=self.name,
            template=template,
            state=last.state if last and known else template.idle,
            since_ns=last.since_ns if last and known else context.clock.now_ns(),
            goal=last.goal if last else None,
            run=opened.number if opened else 0,
            began=bool(opened and opened.started_ns),
            joining=frozenset(one.system for one in last.members if one.joining) if last else frozenset(),
            locked=record.locked,
            forbidden=self.start_permission.cause(),
            unexplained=unexplained,
        )
        self._template_name = record.template
        self.move_hold.locked = record.locked
        await self.reload_members(tell=False)
        await context.system_states.settled(member.system for member in self.partition.members)
        self.partition = msgspec.structs.replace(
            self.partition, look_until_ns=monotonic_ns(context.clock) + round(LOOK_S * 1e9)
        )
        for member in self.partition.members:
            self._inbox.extend(context.system_states.facts(member.system, self._at(member.kind)))

    async def _read(self) -> tuple[PartitionRecord, tuple[Run, ...], Entry | None]:
        context = self.context
        # The end of a run may still wait for the database: such a run is over, and its owner did not die.
        await context.run_book.settled()
        ended = context.run_book.ends()
        record = await context.database.partitions.get(self.name)
        runs = tuple(one for one in await context.database.runs.open_runs(self.name) if one.number not in ended)
        entry = await context.bus.get(subjects.STATE_BUCKET, subjects.partition_key(self.name))
        await self.control.load()
        return record, runs, entry

    async def reload_members(self, *, tell: bool = True) -> None:
        """Reload members, exclusions and selected configurations from the database."""
        context, before = self.context, {member.system for member in self.partition.members} if tell else set[str]()
        record = await context.database.partitions.get(self.name)
        if record.template != self._template_name:
            # Ends this ownership; the next one begins with the new template.
            raise Conflict(f"{self.name} has another template now: {record.template}", source=self.source)
        wanted = await context.database.partitions.wanted(self.name)
        chosen = {} if self.partition.unexplained else wanted.systems
        members = members_of(self.partition.template, record, chosen, context.section)
        self._heard.close()
        self._heard.enter_context(
            context.system_states.followed(self.tell, [(member.system, self._at(member.kind)) for member in members])
        )
        if not tell:
            template = with_recorders(self.partition.template, members)
            self.partition = msgspec.structs.replace(self.partition, members=members, tag=record.tag, template=template)
            return
        self.tell(events.MembersSet(members=members, tag=record.tag))
        for member in members:
            if member.system not in before:
                for fact in context.system_states.facts(member.system, self._at(member.kind)):
                    self.tell(fact)

    def look_anew(self) -> None:
        """Reload the members soon, because stored data may have changed."""
        self._stale.set()

    async def _keep_up(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self.reload_members()
            except LinkError:
                self._stale.set()
                await self.context.clock.sleep(RETRY_S)
            except NotFound:
                return  # it is being deleted

    def _at(self, kind: SystemKind) -> str:
        return self.name if kind is SystemKind.GLOBAL else ""

    # The main loop.

    async def _live(self) -> None:
        clock = self.context.clock
        while True:
            await self.lease.held()
            self._news.clear()
            begin_s = clock.monotonic()
            batch, self._inbox, before = self._inbox, [], self.partition
            self.life.heard(batch)
            self.partition, effects = step(before, batch, now_ns=monotonic_ns(clock), wall_ns=clock.now_ns())
            took_s = clock.monotonic() - begin_s
            if self.partition.goal != before.goal and self.partition.goal is not None:
                # The goal is published before the first order for it. If this process dies in between, the next owner
                # reads the goal and continues. The write may wait for the bus, so the lease is checked again after it.
                await self.state_publisher.show()
                await self.lease.held()
            self._carry_out(effects)
            self.flags.look()
            if batch or effects or self.partition is not before:
                self.state_publisher.changed()
                for change in self._changes:
                    change.set()
            await self._more()
            if len(self.partition.attempts.pending) - len(self._inbox) > _FEW:
                await clock.sleep(min(_REST * took_s, _MOST_REST_S))

    async def _more(self) -> None:
        now_ns = monotonic_ns(self.context.clock)
        wake = wake_ns(self.partition)
        if self._inbox:
            # A full inbox never suspends: the other tasks of the process would wait until it is empty.
            await asyncio.sleep(0)
        elif wake is None or wake <= now_ns:
            await self._news.wait()
        else:
            try:
                async with within(self.context.clock, (wake - now_ns) / 1e9):
                    await self._news.wait()
            except TimeoutError:
                return

    async def settle(self) -> Mapping[str, int]:
        """Publish the state after all events so far; returns the revisions to wait for. Entries of the run book are
        kept then: a stop that is told as done is not forgotten if this process is killed after it."""
        if self._inbox:
            await self.changed()
        await self.state_publisher.settle()
        await self.book.safe()
        return {"state": max(self.state_publisher.revision, self.control.revision)}

    async def changed(self) -> None:
        """Wait for the next change of the partition."""
        change = asyncio.Event()
        self._changes.add(change)
        try:
            await change.wait()
        finally:
            self._changes.discard(change)

    def goal(self, goal: Goal | None, action: str, *, run: Run | None = None, end: RunEnd = RunEnd.STOPPED) -> None:
        """Set a goal, or none; `run` is the reserved run for it, `end` the reason if it ends a run."""
        if goal:
            self._actions[goal.command_id] = action, goal.requested_by
        if run:
            self.life.open = run
        present = self.partition.goal
        if not (goal and present and present.is_same(goal)):  # a goal that joins the present one changes nothing
            self.life.ending_by = goal.requested_by if goal else ""
        self.tell(events.GoalSet(goal=goal, run=run.number if run else 0, end=end))

    def _carry_out(self, effects: tuple[Effect, ...]) -> None:
        self.orders.send(self._group, [one for one in effects if isinstance(one, events.SendOrder)])
        for effect in effects:
            match effect:
                case events.PartitionMoved(rows=rows, cause=cause):
                    for before, event, after in rows:
                        self._moved(before, event, after, cause)
                case events.RunBegan(run=run):
                    self.flags.began(run)
                case events.RunOver():
                    self.flags.over(effect)
                    self._drop_former_recorders()
                case events.RunHook():
                    self.hooks.begin(self._group, effect)
                case events.Excluded(system=system, cause=cause):
                    self.life.excluded(system, cause)
                case events.GoalMet(goal=goal):
                    self._ended(goal, None)
                case events.GoalFailed(goal=goal, cause=cause):
                    self._ended(goal, cause)
                case events.SendOrder():
                    pass

    def _drop_former_recorders(self) -> None:
        if not self._has_former:
            return
        self._has_former = False
        present = self.partition
        # The next start may come before the members are read again.
        own = with_recorders(self.context.template(present.template.name), present.members)
        self.partition = msgspec.structs.replace(present, template=own)
        self.look_anew()  # the members are those of the template again

    def _moved(self, before: str, event: str, after: str, cause: Cause | None) -> None:
        goal = self.partition.goal
        self.command_server.record(
            EventKind.STATE,
            f"{before} → {after} ({event})",
            principal=goal.requested_by if goal else "",
            command_id=goal.command_id if goal else "",
            action=event,
            before=before,
            after=after,
            cause=cause,
            severity=2 if cause and cause.code != CONFIGURATION_CHANGED else 0,
        )

    def _ended(self, goal: Goal, cause: Cause | None) -> None:
        shown = {"state": self.state_publisher.revision}  # a picture in which the goal still stands
        commands = [command for command in (goal.command_id, *goal.joined) if command]
        for command in commands:
            action, by = self._actions.pop(command, ("goal", goal.requested_by))
            self.command_server.ended(command, action, by, cause, shown, goal=goal.state)
        if cause and not commands:
            self.command_server.record(
                EventKind.NOTE, f"{goal.state} is not reached: {cause.message}", cause=cause, severity=3
            )

    # The published state.

    def _snapshot(self) -> PartitionState:
        return snapshot(self.partition, self.handlers.shown(), owner=self.context.holder, boot=self.context.boot)

    def _control_changed(self, message: str, by: str) -> None:
        self.command_server.record(EventKind.NOTE, message, principal=by, action="control")

    async def _report_ownership(self) -> None:
        self.command_server.record(EventKind.NOTE, f"owned by {self.context.holder}", action="owner")
        while True:
            await self.lease.wait_lost()
            self.command_server.record(
                EventKind.NOTE, "the lease was renewed too late; nothing is done until it is held again", severity=2
            )
            await self.lease.held()
            self.command_server.record(EventKind.NOTE, f"the lease is held again by {self.context.holder}")
