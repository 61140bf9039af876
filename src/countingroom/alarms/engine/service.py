"""The process of the alarm department. One process is active, by lease; any number of others stand by.

The active process loads the saved alarms, evaluates all conditions again from the bus, and continues from there: an
alarm that was announced is not announced again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from functools import partial
from uuid import uuid4

from countingroom.alarms.description import AlarmHistorySection
from countingroom.alarms.engine.answers import AlarmAnswers
from countingroom.alarms.engine.book import AlarmBook
from countingroom.alarms.engine.described_alarms import DescribedAlarms
from countingroom.alarms.engine.follow import BusFollower
from countingroom.alarms.engine.keeper import SAVE_S, AlarmKeeper, AlarmStore
from countingroom.alarms.engine.known import Defines, KnownAlarms
from countingroom.alarms.engine.records import DEPARTMENT
from countingroom.alarms.engine.requests import AlarmCommands, AlarmPolicy
from countingroom.alarms.engine.suppression import Suppression
from countingroom.alarms.engine.takeover import Begun, Carried, Takeover
from countingroom.alarms.interlocks.interlock_keeper import InterlockStore
from countingroom.alarms.interlocks.interlock_service import InterlockService
from countingroom.alarms.notify.gone_channels import delete_gone
from countingroom.alarms.notify.service import NotifyDatabase, NotifyService
from countingroom.alarms.rules.rule_engine import RuleEngine, RuleParts
from countingroom.alarms.rules.rule_runner import Tell
from countingroom.bus.command_server import CommandServer
from countingroom.bus.election import Election, Leadership, holder_name
from countingroom.bus.port import Bus
from countingroom.bus.presence import heartbeat
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.alarms.queries import EngineFigures
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Conflict, LinkError
from countingroom.core.policy import Principal
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)

LEASE = "alarms"
LEASE_S = 5.0
"""Another process takes over from an engine that lost the bus after this time. An engine that hangs renews its lease
for 3 s more, until its event loop counts as stuck. The lease of an engine that ended is free at once."""
ASK_AGAIN_S = 0.1
RETRY_S = 0.25
DISCARD_S = 600.0
"""The pause between two deletions of old history."""


class AlarmService:
    """The role `alarms`."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        store: AlarmStore,
        definitions: Defines,
        principal: Callable[[str, str], Awaitable[Principal]],
        *,
        roles: Sequence[str] = (),
        perhaps: Sequence[str] = (),
        partitions: Callable[[], Awaitable[Collection[str]]] | None = None,
        devices: Collection[str] | None = None,
        instance: str = "main",
        history: AlarmHistorySection | None = None,
        outbox: NotifyDatabase | None = None,
        experiment: str = "",
        rules: RuleParts | None = None,
        interlocks: InterlockStore | None = None,
    ) -> None:
        """`principal`: (user, target) -> the principal with its roles. `roles`: the processes that the experiment needs
        in addition to this one. `perhaps`: processes of which this one cannot know whether they are needed.
        `partitions`: returns all that exist; None: unknown. `devices`: the described devices; None: unknown. `history`:
        how much history is kept. `outbox`: stores messages to people; None: no messages. `experiment`: its name in
        messages. `rules`: None: no rules. `interlocks`: their saved states; None: interlocks are not evaluated."""
        self._bus = bus
        self._clock = clock
        self._store = store
        self._definitions = definitions
        self._principal = principal
        self._roles = tuple(roles)
        self._perhaps = tuple(perhaps)
        self._partitions = partitions
        self._devices = devices
        self._instance = instance
        self._history = history or AlarmHistorySection()
        self._interlocks = InterlockService(bus, clock, definitions.section.interlocks, interlocks, principal)
        self._outbox = outbox
        self._experiment = experiment
        self._notify: NotifyService | None = None
        self._rule_parts = rules
        self._rules: RuleEngine | None = None
        self._boot = uuid4().hex
        self._follower: BusFollower | None = None
        self._keeper: AlarmKeeper | None = None
        self._problems: list[str] = []

    async def run(self) -> None:
        """Until cancelled."""
        election = Election(
            self._bus,
            self._clock,
            LEASE,
            holder=holder_name(self._instance, self._boot),
            ttl_s=LEASE_S,
            ask_s=ASK_AGAIN_S,
            source=DEPARTMENT,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(
                heartbeat(
                    self._bus,
                    self._clock,
                    role=DEPARTMENT,
                    instance=self._instance,
                    boot=self._boot,
                    targets=_Active(self),
                    troubles=self._troubles,
                    warnings=self.warnings,
                )
            )
            while True:
                await election.lead(self._serve)

    @property
    def is_active(self) -> bool:
        """Whether this process is the active one and has taken over."""
        return self._keeper is not None

    def _troubles(self) -> list[str]:
        if self._follower is None or self._keeper is None:
            return []
        told = self._notify.troubles() if self._notify else []
        rules = self._rules.troubles() if self._rules else []
        return [*self._follower.troubles(), *self._keeper.troubles(), *told, *rules, *self._interlocks.troubles()]

    def warnings(self) -> list[str]:
        """Problems that do not make the department unready, one sentence each."""
        return [*self._problems, *self._interlocks.warnings(), *(self._notify.warnings() if self._notify else [])]

    async def _serve(self, leadership: Leadership) -> None:
        carried = Carried()
        while True:
            carried = await self._serve_once(leadership, carried)

    async def _serve_once(self, leadership: Leadership, carried: Carried) -> Carried:
        """Serve until cancelled. If the database did not answer at the begin, serve until it does, and return what this
        engine decided without it."""
        publisher = Publisher(self._bus, self._clock, DEPARTMENT)
        known = KnownAlarms(self._definitions, self._roles, self._devices, perhaps=self._perhaps)
        book = AlarmBook(known.define, known.rules)
        report = edge_log(_log, "alarms: the takeover waits", "alarms: taken over")
        begin = partial(self._begin, book, known, publisher, carried)
        begun = await Retry(self._clock, report, pause_s=RETRY_S).run(begin)
        rules, writer = await self._make_rules(begun.writer, publisher, known)
        self._notify = notify = self._notification(book, known, writer, publisher, begun, leadership)
        keeper = AlarmKeeper(
            book,
            self._store,
            writer,
            publisher,
            self._clock,
            after_save=notify.notifier.saved if notify else None,
            after_failure=notify.notifier.unsaved if notify else None,
            pause_s=begun.pause_s,
        )
        keeper.save_soon(begun.unsaved, begun.rows)
        interlocks = await Retry(self._clock, report, pause_s=RETRY_S).run(
            partial(self._interlocks.take_over, writer, publisher, keeper.find)
        )
        section = self._definitions.section
        described = DescribedAlarms(
            section.custom,
            {name: one.when for name, one in section.suppress.items()},
            known.customs(),
            known.point,
            book.held,
            self._clock.now_ns(),
        )
        self._problems = [*described.problems, *(rules.problems if rules else [])]
        suppression = Suppression({name: one.reason for name, one in section.suppress.items()})

        def suppress(active: frozenset[str], all_known: bool) -> None:
            suppression.update(active, all_known=all_known)
            keeper.give(lambda book: suppression.events(known.suppressible(), book))
            for one in interlocks if all_known else ():
                one.complete(self._clock.now_ns())

        follower = BusFollower(
            self._bus,
            self._clock,
            keeper.find,
            known,
            described,
            suppress,
            held=book.held,
            roles=self._roles,
            perhaps=self._perhaps,
            listeners=[*interlocks, *([rules] if rules else [])],
            devices=self._devices or (),
        )
        commands = AlarmCommands(keeper, publisher, known.in_area, lambda id: known.find(id) is not None or id in book)
        policy = AlarmPolicy(self._clock, self._principal)
        server = CommandServer(
            self._bus,
            self._clock,
            DEPARTMENT,
            subjects.ALARMS,
            commands,
            publisher,
            policy=policy,
        )

        def figures() -> EngineFigures:
            now_s = self._clock.monotonic()
            return keeper.counts.figures(now_s, evaluations=follower.updates, unsaved=keeper.unsaved)

        self._follower = follower
        self._keeper = keeper
        self._rules = rules
        try:
            async with (
                AlarmAnswers(self._bus, self._clock, self._store, known, figures).serving(),
                asyncio.TaskGroup() as group,
            ):
                parts = [group.create_task(part.run()) for part in (publisher, follower, server)]
                parts.append(group.create_task(self._discard_old()))
                for run in notify.parts(self._bus, policy) if notify else ():
                    parts.append(group.create_task(self._until_superseded(run, leadership)))
                if rules:
                    parts.append(group.create_task(self._until_superseded(rules.run, leadership)))
                parts.append(
                    group.create_task(self._until_superseded(partial(self._interlocks.run, publisher), leadership))
                )
                # Returns only for an engine that began without the database, when the database answers.
                await self._until_superseded(keeper.run, leadership)
                await publisher.flush()  # the next takeover reads these states from the bus
                for part in parts:
                    part.cancel()
        finally:
            self._follower = None
            self._notify = None
            self._keeper = None
            self._rules = None
            await publisher.drain()
        new = frozenset(one.subject.id for one in book.entries()) - begun.ids
        return Carried(new=new, rows=keeper.unsaved_rows)

    async def _begin(self, book: AlarmBook, known: KnownAlarms, publisher: Publisher, carried: Carried) -> Begun:
        """Load the state that the last engine left, and correct the bus."""
        await delete_gone(self._bus, publisher, self._definitions.section.notify.channels)
        takeover = Takeover(self._bus, self._clock, self._store, self._instance, self._partitions)
        return await takeover.begin(book, known, publisher, carried)

    def _notification(
        self,
        book: AlarmBook,
        known: KnownAlarms,
        writer: int | None,
        publisher: Publisher,
        begun: Begun,
        leadership: Leadership,
    ) -> NotifyService | None:
        """The notification of people; None if the description does not use it."""
        section = self._definitions.section.notify
        if self._outbox is None or not section.in_use:
            return None
        return NotifyService(
            section,
            self._experiment,
            self._outbox,
            writer,
            self._clock,
            self._bus,
            publisher,
            find=known.find,
            present=[entry.published() for entry in book.entries() if not entry.record.is_at_rest],
            unsaved=begun.unsaved,
            shifts=begun.shifts,
            leads=lambda: leadership.is_held,
            troubles=self._troubles,
        )

    async def _make_rules(
        self, writer: int | None, publisher: Publisher, known: KnownAlarms
    ) -> tuple[RuleEngine | None, int | None]:
        """The rule engine and the number of the writer; both None if the database does not answer. Without the database
        no rule acts, because it is unknown which rules are armed and what they did."""
        if self._rule_parts is None or writer is None:
            return None, writer
        rules = RuleEngine(self._bus, self._clock, self._rule_parts, publisher, known, self._principal, self._tell)
        try:
            async with within(self._clock, SAVE_S):
                await rules.take_over(writer)
        except (LinkError, TimeoutError) as error:
            _log.warning("rules: not taken over, the database does not answer: %s", error)
            return None, None
        return rules, writer

    def _tell(self) -> Tell | None:
        return self._notify.notifier.tell if self._notify else None

    async def _until_superseded(self, run: Callable[[], Awaitable[None]], leadership: Leadership) -> None:
        try:
            await run()
        except* Conflict as error:  # raised directly, or inside the group of a part's tasks
            _log.warning("alarms: let go: %s", error.exceptions[0])
            await leadership.release()
            await asyncio.Event().wait()  # the election cancels this task, because the lease is released

    async def _discard_old(self) -> None:
        """Delete history that is too old or has too many rows, again and again."""
        report = edge_log(_log, "alarms: old history is not deleted", "alarms: old history is deleted again")
        while True:
            before_ns = self._clock.now_ns() - round(self._history.keep * 1e9)
            try:
                await self._store.discard(before_ns, self._history.rows)
            except LinkError as error:
                report.failed(error.cause)
            else:
                report.worked()
            await self._clock.sleep(DISCARD_S)


class _Active:
    """The targets in the heartbeats: only the active process serves alarms."""

    def __init__(self, service: AlarmService) -> None:
        self._service = service

    def __iter__(self) -> Iterator[str]:
        if self._service.is_active:
            yield subjects.ALARMS
