"""Runs transactions: writes in one thread, each synced before it returns; reads never wait for writes.

A write that must not wait for the disk is committed, which outlives the process, and synced right after.

SQLite: WAL mode, `synchronous=FULL` and `BEGIN IMMEDIATE`, so that several processes may have the file open.
PostgreSQL: each writing transaction holds one advisory lock, and `synchronous_commit` is on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, exc, make_url, text

from countingroom.core.ending_threads import EndingThreads
from countingroom.core.errors import Cause, ConfigurationError, Conflict, CountingRoomError, LinkError, OutOfRange
from countingroom.storage.answering import Answering
from countingroom.storage.late_sync import LateSync

_log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[Connection], T]

WAITING = 1000
"""Maximum number of waiting requests; further ones are refused."""
DEADLINE_S = 30.0
TRY_S = 2.0
"""So long a read waits for a database that did not answer the one before."""
CLOSE_S = 3.0
"""The time that `close` waits for the disk; a supervisor kills a process 5 s after it asked it to end."""
_BUSY_MS = 10_000
_ONE_SNAPSHOT: dict[str, Any] = {"isolation_level": "REPEATABLE READ"}
"""Options of a transaction of PostgreSQL that reads."""
_CHECKPOINT_PAGES = 1000
"""Pages in the log of SQLite after which a commit copies them to the database: its default."""
_LONG_PAGES = 8 * _CHECKPOINT_PAGES
"""After this many pages (32 MiB) a commit that does not wait for the disk copies them too."""
_PATIENCE = {
    "connect_timeout": 10,
    "tcp_user_timeout": 20_000,
    "options": f"-c synchronous_commit=on -c statement_timeout={round(DEADLINE_S * 1000)}",
}
"""Options for PostgreSQL. Keep-alive ends the connection of a server that stopped answering, which frees the thread."""
_PROGRAM_LIMIT = "54"
"""Class of the error codes of PostgreSQL."""
LOCK = 0x636F756E74  # one number for all our writers, unlikely to be another program's


class SqlStore:
    """Transactions on one database."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        """`read_only`: the database refuses every change over these connections."""
        self.url = _parsed(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.in_memory = self.is_sqlite and not self.url.database
        self._engine = _engine(self.url, in_memory=self.in_memory, read_only=read_only)
        self._writer = writer = EndingThreads(1, "storage-write")
        self._reader = reader = writer if self.in_memory else EndingThreads(2, "storage-read")
        self._threads = {writer: "a transaction that writes", reader: "a transaction"}
        """Thread -> its work as text, for messages."""
        self._waiting = 0
        self._reads = Answering()
        self._writes = Answering()
        self.refused: Cause | None = None
        """Why the file is not used: it is damaged, or of a later version. It is neither read nor written: SQLite would
        take an empty file for a database without users."""
        self._late = LateSync(Path(f"{self.url.database}-wal")) if self.is_sqlite and not self.in_memory else None
        if self._late:
            self._threads[self._late.thread] = "the sync to the disk"

    async def write(self, work: Work[T], *, synced: bool = True) -> T:
        """Run `work` in a transaction and return its result after the synced commit. An error rolls it back.

        `synced=False`: return after the commit. It outlives this process at once, and a loss of power after the sync
        that follows."""
        self._check()
        with self._writes.transaction():
            if synced:
                return await self._run(self._writer, lambda: self._transaction(work, writes=True))
            return await self._run(self._writer, lambda: self._unsynced(work))

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one snapshot of the database."""
        self._check()
        deadline_s = TRY_S if self._reads.is_failed else DEADLINE_S
        with self._reads.transaction():
            return await self._run(
                self._reader, lambda: self._transaction(work, writes=False), deadline_s, changes=False
            )

    async def migrate(self, work: Work[None]) -> None:
        """Run the migration, also of a file that is refused so far."""
        await self._run(self._writer, lambda: self._transaction(work, writes=True))

    async def outside(self, work: Callable[[Engine], T]) -> T:
        """Run work that is not a transaction (migration, copy) in the writer's thread."""
        return await self._run(self._writer, lambda: translate_errors(lambda: work(self._engine)), deadline_s=None)

    async def beside(self, work: Callable[[], T]) -> T:
        """Run long work that changes nothing in a reader's thread, so that the event loop is free."""
        # A large import was once parsed in the event loop, which renews the leases. It took longer than the second
        # that a lease lasts, and the partitions lost their owner.
        return await self._run(self._reader, work, changes=False)

    async def reconnect(self) -> None:
        """Use new connections from now on: another file has taken the place of the one that was open."""
        await asyncio.to_thread(self._engine.dispose)

    async def close(self) -> None:
        """Close after the pending transactions and the last sync, or after CLOSE_S, so that a disk that hangs does not
        keep the process alive. The log then says what may be lost."""
        until_s = asyncio.get_running_loop().time() + CLOSE_S
        closing = EndingThreads(1, "storage-close")  # the last connection to SQLite syncs the database as it closes
        for thread in self._threads:
            thread.shutdown(wait=False)
        hanging = [self._threads[one] for one in await _hanging(self._threads, until_s)]
        if not hanging:
            closing.submit(self._engine.dispose)
        closing.shutdown(wait=False)
        if await _hanging([closing], until_s):
            hanging = ["the last sync of the database"]
        if hanging:
            _log.error(
                "the database %s is left while this hangs: %s. A transaction under way is made whole or not at all. "
                "What was committed is kept when this process ends; its last seconds are lost if the computer fails "
                "before its disk works again. See whether the disk answers.",
                self.url.render_as_string(hide_password=True),
                ", ".join(hanging),
            )

    def _check(self) -> None:
        if self.refused is not None:
            raise LinkError(
                self.refused.message,
                source=self.refused.source,
                code=self.refused.code,
                suggestion=self.refused.suggestion,
            )

    def _transaction(self, work: Work[T], *, writes: bool) -> T:
        return translate_errors(lambda: self._do(work, writes=writes, synced=True))

    def _unsynced(self, work: Work[T]) -> T:
        result = translate_errors(lambda: self._do(work, writes=True, synced=False))
        if self._late:
            self._late.soon()
        return result

    def _do(self, work: Work[T], *, writes: bool, synced: bool) -> T:
        options = {"writes": writes, "synced": synced} if self.is_sqlite or writes else _ONE_SNAPSHOT
        with self._engine.connect().execution_options(**options) as connection, connection.begin():
            if writes and not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
                if not synced:
                    connection.execute(text("SET LOCAL synchronous_commit = off"))
            return work(connection)

    async def _run(
        self, pool: Executor, work: Callable[[], T], deadline_s: float | None = DEADLINE_S, *, changes: bool = True
    ) -> T:
        """`changes`: whether the work may have changed something when its deadline is over."""
        if self._waiting >= WAITING:
            raise LinkError(
                f"{WAITING} requests are already waiting for the database",
                code="busy",
                source="storage",
                suggestion="try again later",
            )
        self._waiting += 1
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.get_running_loop().run_in_executor(pool, work)
        except TimeoutError as error:
            raise LinkError(
                f"the database did not answer within {deadline_s:g} s"
                + ("; the outcome is not known" if changes else "; nothing was changed by this"),
                code="no_answer",
                source="storage",
                suggestion="check whether the change was made, then try again"
                if changes
                else "check that the database runs and that its disk answers, then try again",
            ) from error
        finally:
            self._waiting -= 1


async def _hanging(threads: Iterable[EndingThreads], until_s: float) -> list[EndingThreads]:
    """The threads that have not ended at `until_s`, a time of the event loop."""
    ends = {asyncio.wrap_future(one.ended): one for one in threads}
    _, late = await asyncio.wait(ends, timeout=max(0.0, until_s - asyncio.get_running_loop().time()))
    return [one for end, one in ends.items() if end in late]


def engine_of(url: str) -> Engine:
    """An engine of one's own on a database in a file or of a server, for work that is no single transaction."""
    return _engine(_parsed(url), in_memory=False)


def ping(connection: Connection) -> None:
    """A question that SQLite can answer from its file only, and PostgreSQL from its server."""
    table = "sqlite_master" if connection.dialect.name == "sqlite" else "pg_catalog.pg_class"
    connection.execute(text(f"SELECT 1 FROM {table} LIMIT 1"))  # noqa: S608 (one of two constants)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise ConfigurationError(
            "the URL of the database is invalid",
            source="storage",
            suggestion="write sqlite:////path/of/file or postgresql://user@host/database",
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return parsed.set(drivername="sqlite+pysqlite")
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigurationError(f"{backend} is not a supported database; use sqlite or postgresql", source="storage")


def _engine(url: URL, *, in_memory: bool, read_only: bool = False) -> Engine:
    if url.get_backend_name() != "sqlite":
        patience = dict(_PATIENCE)
        if read_only:
            patience["options"] = f"{_PATIENCE['options']} -c default_transaction_read_only=on"
        try:
            return create_engine(url, pool_size=3, pool_pre_ping=True, connect_args=patience)
        except ImportError as error:
            raise ConfigurationError(
                f"PostgreSQL needs the package psycopg, which is not installed: {error}",
                source="storage",
                suggestion='pip install "countingroom[postgres]", or leave the section storage out to use SQLite',
            ) from error
    more: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {"pool_size": 4}
    if read_only and url.database:
        url = url.set(database=f"file:{quote(url.database)}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": _BUSY_MS / 1000}, **more)

    def connected(connection: Any, record: object) -> None:
        # The driver begins transactions by itself, and only before the first write: a transaction that reads first and
        # then writes could fail as busy. `began` below begins them instead.
        connection.isolation_level = None
        for pragma in (f"busy_timeout={_BUSY_MS}", "foreign_keys=ON", "synchronous=FULL", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function("lower", 1, _lower, deterministic=True)  # the one of SQLite handles ASCII only
        if not read_only:
            _set_wal_mode(connection)

    def began(connection: Connection) -> None:
        options = connection.get_execution_options()
        writes = options.get("writes", True)
        if writes:
            _set_synced(connection, is_synced=options.get("synced", True))
        # IMMEDIATE takes the write lock at the start, where SQLite waits up to `busy_timeout`. A read lock that must be
        # upgraded later fails at once as busy, whatever the time-out, because its snapshot is outdated.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", began)
    return engine


def _set_synced(connection: Connection, *, is_synced: bool) -> None:
    """Set whether the next commit waits for the disk; call it between transactions.

    A checkpoint waits for the disk. So a commit that must not wait leaves the checkpoint to a later one that waits,
    unless the log has become long."""
    if connection.info.get("synced", True) is not is_synced:
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if is_synced else 'NORMAL'}")
        connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES if is_synced else _LONG_PAGES}")
        connection.info["synced"] = is_synced


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _set_wal_mode(connection: Any) -> None:
    """Set WAL mode. The change needs exclusive access, and SQLite does not wait for it, so this retries."""
    until = time.monotonic() + _BUSY_MS / 1000
    while connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _is_limit(error: exc.DBAPIError) -> bool:
    """Whether PostgreSQL cannot hold so much, for example a text that is too long for an index: it never will. Such an
    entry of the audit once stopped all entries behind it, because it was tried again and again."""
    return str(getattr(error.orig, "sqlstate", None)).startswith(_PROGRAM_LIMIT)


def translate_errors(work: Callable[[], T]) -> T:
    """Run `work` and translate the errors of the database library into errors of core."""
    try:
        return work()
    except CountingRoomError:
        raise
    except exc.IntegrityError as error:
        raise Conflict(f"the database refuses the change: {error.orig}", source="storage") from error
    except (exc.DataError, UnicodeEncodeError, OverflowError) as error:
        reason = getattr(error, "orig", error)
        raise OutOfRange(f"the database cannot store the value: {reason}", source="storage") from error
    except exc.DBAPIError as error:
        if _is_limit(error):
            raise OutOfRange(f"the database cannot store the value: {error.orig}", source="storage") from error
        raise LinkError(
            f"the database failed: {error.orig}",
            code="storage_failed",
            source="storage",
            suggestion="check that the database runs, that its disk has free space and that its file is writable",
        ) from error
    except exc.StatementError as error:
        raise OutOfRange(f"the database cannot store the value: {error.orig}", source="storage") from error
    except exc.TimeoutError as error:
        raise LinkError("no connection to the database is free", code="busy", source="storage") from error
