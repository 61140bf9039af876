"""Opens the SQL database and gives access to its repositories. A change is synced to disk before the call returns."""

from __future__ import annotations

from pathlib import Path

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.placement import Seed
from countingroom.storage import seeding
from countingroom.storage.acknowledge_links import AcknowledgeLinks
from countingroom.storage.alarms import Alarms
from countingroom.storage.applying import Description
from countingroom.storage.audit import Audit
from countingroom.storage.backup import backup
from countingroom.storage.configurations import Configurations
from countingroom.storage.engine import SqlStore, ping
from countingroom.storage.fleet import FleetRecords
from countingroom.storage.interlocks import Interlocks
from countingroom.storage.mapping import Mapping
from countingroom.storage.migrating import migrate
from countingroom.storage.notifications import Notifications
from countingroom.storage.partitions import Partitions
from countingroom.storage.results import Results
from countingroom.storage.rules import Rules
from countingroom.storage.runs import Runs
from countingroom.storage.sequences import Sequences
from countingroom.storage.sessions import SessionStore
from countingroom.storage.snapshots import Snapshots
from countingroom.storage.sqlite_file import damaged, make_or_check
from countingroom.storage.tags import Tags
from countingroom.storage.trend_views import TrendViews
from countingroom.storage.users import Users

_DAMAGED = ("malformed", "not a database")
"""Words of SQLite about a damaged file."""


class Database:
    """The SQL database at `sqlite:////path/of/file` or `postgresql://user@host/name`; `sqlite://` is in memory only.

    Every method raises LinkError if the database does not answer. The change is then made completely or not at all.
    """

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        self._clock = clock = clock or SystemClock()
        self._store = store = SqlStore(url)
        self.configurations = Configurations(store, clock)
        self.tags = Tags(store, clock)
        self.mapping = Mapping(store, clock)
        self.partitions = Partitions(store, clock)
        self.runs = Runs(store, clock)
        self.sequences = Sequences(store, clock)
        self.users = Users(store, clock)
        self.sessions = SessionStore(store, clock)
        self.audit = Audit(store)
        self.trend_views = TrendViews(store, clock)
        self.description = Description(store, clock)
        self.alarms = Alarms(store, clock)
        self.interlocks = Interlocks(store, clock)
        self.notifications = Notifications(store, clock)
        self.acknowledge_links = AcknowledgeLinks(store, clock)
        self.rules = Rules(store, clock)
        self.snapshots = Snapshots(store, clock)
        self.results = Results(store, clock)
        self.fleet = FleetRecords(store, clock)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of this computer, or in memory."""
        return self._store.is_sqlite

    async def open(self) -> None:
        """Connect and migrate the schema. ConfigurationError if the file is damaged, or if a newer version of the
        program wrote the database; until it is opened again, every other method then raises LinkError."""
        try:
            await self._open()
        except ConfigurationError as error:
            self._store.refused = error.cause
            raise
        self._store.refused = None

    async def _open(self) -> None:
        if self._store.is_sqlite and self._store.url.database:
            path = Path(self._store.url.database)
            await self._store.outside(lambda _: make_or_check(path))
            try:
                await self._store.migrate(migrate)
            except LinkError as error:
                if any(words in error.cause.message for words in _DAMAGED):
                    raise damaged(path, f"is damaged: {error.cause.message}") from error
                raise
        else:
            await self._store.migrate(migrate)

    async def seed(self, seed: Seed, by: str) -> bool:
        """Fill an empty database as one change and return True. In a database with partitions or detectors, only add
        its missing detectors, unmapped, and return False."""
        now_ns = self._clock.now_ns()
        return await self._store.write(lambda connection: seeding.seed(connection, seed, by=by, now_ns=now_ns))

    async def ping(self) -> None:
        """Read something from the file or the server; LinkError where it does not answer."""
        await self._store.read(ping)

    async def close(self) -> None:
        """Close after the pending transactions."""
        await self._store.close()

    async def backup(self, path: Path) -> None:
        """Write a consistent copy while the database is in use. SQLite only; RequestError for PostgreSQL."""
        await self._store.outside(lambda engine: backup(engine, path))
