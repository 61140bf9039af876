"""What every handler can use: bus, clock, database, sessions and the latest known state. Made once at the start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

from starlette.requests import HTTPConnection

from countingroom.bus.election import holder_name
from countingroom.bus.port import Bus
from countingroom.bus.presence import BUS_ROLE, SITE_ROLE
from countingroom.bus.publisher import Publisher
from countingroom.console.audit_writer import AuditWriter
from countingroom.console.auth.accounts import Accounts
from countingroom.console.auth.passwords import Passwords
from countingroom.console.auth.requester import Requester
from countingroom.console.auth.sessions import NoLogin, SessionLifetime, Sessions, SessionService
from countingroom.console.command_client import send, send_and_wait
from countingroom.console.database_watch import DatabaseWatch
from countingroom.console.direct_orders import DirectOrders
from countingroom.console.live.feed import LiveFeed
from countingroom.console.live.viewer_limits import Viewers
from countingroom.console.long_work import LongWork
from countingroom.console.present.device_rows import DeviceRows
from countingroom.console.present.latest import Latest, live_messages
from countingroom.console.present.present_alarms import AlarmsNow
from countingroom.console.present.readiness import RoleReadiness, console_readiness, readiness
from countingroom.console.present.recent_events import RecentEvents
from countingroom.console.snapshots.restorer import Restorer
from countingroom.console.snapshots.service import SnapshotService
from countingroom.console.synoptic_files import SynopticFile, SynopticFiles
from countingroom.core import severity, subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, Conflict, CountingRoomError
from countingroom.core.messages import Command, Event, EventKind, Reply
from countingroom.core.policy import Permission, decide
from countingroom.core.results import ResultDesk
from countingroom.core.snapshots.restore_plan import PlannedWrite
from countingroom.core.snapshots.rules import SnapshotRules
from countingroom.departments import DEPARTMENTS, Department
from countingroom.storage.database import Database

_log = logging.getLogger(__name__)


class FollowerFailed(CountingRoomError):
    """A background task of the console ended with an error. The process must be started again."""

    code = "follower_failed"
    suggestion = "the supervisor starts the console again; report this with the log of the console"


class ConsoleContext:
    """Everything the console knows of the experiment, kept current while `open`.

    `insecure`: other machines reach it without TLS. `life`: how long a session lasts; None: there is no login.
    `roles`: those that run beside the console, for `readiness`. `audit_folder`: for entries of the audit that the
    database does not take; None: they wait in memory. `sessions_file`: for sessions that count while the database is
    away; None: those of this process.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        *,
        title: str,
        version: str,
        tick_s: float,
        insecure: bool = False,
        database: Database | None = None,
        life: SessionLifetime | None = None,
        passwords: Passwords | None = None,
        departments: Sequence[Department] = DEPARTMENTS,
        roles: Sequence[str] = (),
        audit_folder: Path | None = None,
        sessions_file: Path | None = None,
        synoptics: Sequence[SynopticFile] = (),
        snapshot_rules: SnapshotRules = SnapshotRules(),  # noqa: B008 - a frozen value
        results: ResultDesk | None = None,
    ) -> None:
        self.bus = bus
        self.clock = clock
        self.title = title
        self.version = version
        self.insecure = insecure
        self.database = database
        self._results = results
        self._events = Publisher(bus, clock, "console")
        self.audit_writer = AuditWriter(
            database.audit if database else None, clock, audit_folder, self._tell_of_the_audit
        )
        self._database_watch = DatabaseWatch(database, clock)
        self.sessions: SessionService = NoLogin()
        self._login: tuple[Accounts, Sessions] | None = None
        if life is not None and database is not None:
            self.sessions = sessions = Sessions(database, clock, life, sessions_file)
            self._login = Accounts(database, clock, passwords=passwords, changed=sessions.look_again), sessions
        self.latest = Latest(bus, clock, live_messages(departments))
        self.device_rows = DeviceRows()
        self.alarms_now = AlarmsNow(self.latest.words, lambda: self.latest.alarm_changes)
        self.recent_events = RecentEvents(bus, clock)
        self._roles = tuple(roles)
        self._failed: asyncio.Future[None] | None = None
        self.feed = LiveFeed(self.latest, self.device_rows, self.alarms_now, self.recent_events, clock, tick_s=tick_s)
        self.direct_orders = DirectOrders(bus, clock, self.latest)
        self.viewers = Viewers()
        self.long_work = LongWork()
        self.synoptics = SynopticFiles(synoptics)
        store = database.snapshots if database else None
        restorer = Restorer(
            bus,
            clock,
            store,
            self._events,
            send=partial(send_and_wait, bus, clock, "devices"),
            permit=self._may_write,
            audit=self.audit_writer.add,
            process=holder_name("console", uuid4().hex),
        )
        self.snapshots = SnapshotService(
            self.latest, self.device_rows, clock, store, snapshot_rules, restorer, self.long_work, self._ask_host
        )

    @property
    def failure(self) -> FollowerFailed | None:
        """Why the console no longer follows the experiment; None while it does."""
        error = self._failed.exception() if self._failed and self._failed.done() else None
        return error if isinstance(error, FollowerFailed) else None

    async def until_failed(self) -> None:
        """Wait until a background task fails, then raise FollowerFailed."""
        if self._failed is None:
            self._failed = asyncio.get_running_loop().create_future()
        # The background tasks and `failure` use the future too: the end of this wait must not cancel it.
        await asyncio.shield(self._failed)

    def troubles(self) -> list[str]:
        """Why this console is not ready, one sentence each; empty: it is ready."""
        if failure := self.failure:
            return [failure.cause.message]
        return [
            *self.audit_writer.troubles(),
            *self._database_watch.troubles(),
            *self.latest.troubles(),
            *self.recent_events.troubles(),
            *self.feed.troubles(),
        ]

    def readiness(self) -> list[RoleReadiness]:
        """Whether each role of the experiment is ready: the console; the embedded server of the bus and the public
        site, where `up` runs them; the others."""
        present = self.latest.roster.present()
        of_up = [role for role in (BUS_ROLE, SITE_ROLE) if any(one.role == role for one in present)]
        return [console_readiness(self.troubles()), *readiness((*of_up, *self._roles), present)]

    def login(self) -> tuple[Accounts, Sessions]:
        """Accounts and sessions; Conflict where there is no login."""
        if self._login is None:
            raise Conflict(
                "there is no login: every user of this machine may do everything",
                code="no_login_here",
                source="console",
                suggestion="write login: local into the section console of the description",
            )
        return self._login

    @property
    def records(self) -> Database:
        """The database of configurations, tags and runs; Conflict where there is none."""
        if self.database is None:
            raise Conflict(
                "this console has no database of configurations and runs",
                code="no_database",
                source="console",
                suggestion="write a section runs into the description",
            )
        return self.database

    @property
    def results(self) -> ResultDesk:
        """Results of calibration programs; Conflict where there is no database."""
        if self._results is None:
            raise Conflict("this console keeps no results", code="no_database", source="console")
        return self._results

    @property
    def has_runs(self) -> bool:
        """Whether there are partitions and a run book."""
        return self.database is not None and any(
            key == subjects.MAPPING_KEY or key.startswith("partition.") for key in self.latest.words
        )

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Follow the bus while entered."""
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._watched(name, run), name=f"console {name}")
                for name, run in (
                    ("latest", self.latest.run()),
                    ("recent events", self.recent_events.run()),
                    ("live feed", self.feed.run()),
                    ("audit writer", self.audit_writer.run()),
                    ("events of the console", self._events.run()),
                    ("direct orders", self.direct_orders.run()),
                    ("database watch", self._database_watch.run()),
                    ("restores of snapshots", self.snapshots.restorer.run()),
                    *([("clean-up of sessions", self._login[1].remove_ended())] if self._login else ()),
                    *([("kept sessions", self._login[1].keep())] if self._login else ()),
                )
            ]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()

    async def _ask_host(self, device: str, question: Command, user: str) -> Reply:
        """The answer of the host of a device to a question, which has no outcome."""
        return await send(self.bus, self.clock, "devices", device, question, user=user)

    async def _may_write(self, requester: Requester, write: PlannedWrite) -> Cause | None:
        """Why this user may not give a command of a restore with the rights that hold now."""
        permission = Permission.ENDANGER if write.is_dangerous else Permission.OPERATE
        try:
            principal = await self.sessions.rights(requester)
        except CountingRoomError as error:
            return error.cause
        return decide(principal, permission, f"device.{write.device}", now_ns=self.clock.now_ns())

    def _tell_of_the_audit(self, message: str, cause: Cause | None) -> None:
        """An event with this message: of medium severity where there is a cause."""
        self._events.event(
            Event(
                id=uuid4().hex,
                kind=EventKind.NOTE,
                time_ns=self.clock.now_ns(),
                department="console",
                source="audit",
                message=message,
                severity=severity.MEDIUM if cause else severity.NORMAL,
                cause=cause,
            )
        )

    async def _watched(self, name: str, run: Coroutine[object, object, None]) -> None:
        """Run a background task. When it fails, the others go on and the console is not ready.

        Otherwise the failure would cancel them all without ending the web server: a page with old values as GOOD, and
        commands without an audit, behind a green health check.
        """
        try:
            await run
        except Exception as error:
            _log.exception("the %s of the console ended", name)
            if self._failed is None:
                self._failed = asyncio.get_running_loop().create_future()
            if not self._failed.done():
                message = f"the {name} of the console ended: {type(error).__name__}: {error}"
                self._failed.set_exception(FollowerFailed(message, source="console"))
                self._failed.exception()  # marks it as retrieved where nothing waits for it


def context(connection: HTTPConnection) -> ConsoleContext:
    """The context of the application that serves this request."""
    found: ConsoleContext = connection.app.state.context
    return found
