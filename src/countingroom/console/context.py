"""What every handler can use: bus, clock, database, sessions and the latest known state. Made once at the start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from starlette.requests import HTTPConnection

from countingroom.bus.port import Bus
from countingroom.console.audit_writer import AuditWriter
from countingroom.console.auth.accounts import Accounts
from countingroom.console.auth.passwords import Passwords
from countingroom.console.auth.sessions import NoLogin, SessionLifetime, Sessions, SessionService
from countingroom.console.live.feed import LiveFeed
from countingroom.console.present.abnormal import AbnormalList
from countingroom.console.present.latest import Latest, live_messages
from countingroom.console.present.recent_events import RecentEvents
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Conflict
from countingroom.departments import DEPARTMENTS, Department
from countingroom.storage.database import Database


class ConsoleContext:
    """Everything the console knows of the experiment, kept current while `open`.

    `life`: how long a session lasts; None: there is no login.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        *,
        title: str,
        version: str,
        tick_s: float,
        database: Database | None = None,
        life: SessionLifetime | None = None,
        passwords: Passwords | None = None,
        departments: Sequence[Department] = DEPARTMENTS,
    ) -> None:
        self.bus = bus
        self.clock = clock
        self.title = title
        self.version = version
        self.database = database
        self.audit_writer = AuditWriter(database.audit if database else None, clock)
        self.sessions: SessionService = NoLogin()
        self._login: tuple[Accounts, Sessions] | None = None
        if life is not None and database is not None:
            self.sessions = sessions = Sessions(database, clock, life)
            self._login = Accounts(database, clock, passwords=passwords, changed=sessions.look_again), sessions
        self.latest = Latest(bus, clock, live_messages(departments))
        self.abnormal = AbnormalList()
        self.recent_events = RecentEvents(bus, clock)
        self.feed = LiveFeed(self.latest, self.abnormal, self.recent_events, clock, tick_s=tick_s)

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
                tasks.create_task(self.latest.run(), name="console latest"),
                tasks.create_task(self.recent_events.run(), name="console recent events"),
                tasks.create_task(self.feed.run(), name="console live feed"),
                tasks.create_task(self.audit_writer.run(), name="console audit writer"),
            ]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()


def context(connection: HTTPConnection) -> ConsoleContext:
    """The context of the application that serves this request."""
    found: ConsoleContext = connection.app.state.context
    return found
