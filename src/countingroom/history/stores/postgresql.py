# ruff: noqa: S608 (what is put into statements are names of ours and the checked name of the schema)
"""A further store of the history in PostgreSQL.

Samples and the position are written in one transaction, so that each sample is there once after a crash of either side,
and a backup of the database is complete up to its own position. Rows go by COPY in its binary format.

A time of PostgreSQL has microseconds: the rest of the nanoseconds is in a column of its own.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import psycopg

from countingroom.core.errors import LinkError
from countingroom.history.columns import Columns, Integers, together
from countingroom.history.port import Position
from countingroom.history.stores import postgresql_rows as binary
from countingroom.history.stores.port import StoreLimits, moved
from countingroom.history.stores.postgresql_schema import schema
from countingroom.history.stores.postgresql_section import PostgresqlSection

Connection = psycopg.Connection[tuple[Any, ...]]

_SSL_MODES = {"verified": "verify-full", "unverified": "require", "none": "disable"}
_NOT_LISTED = 2**62
_MICROSECONDS = "(extract(epoch FROM time) * 1000000)::bigint - 946684800000000"
_START = "timestamptz '2000-01-01 00:00:00+00' + %s * interval '1 microsecond'"
_READ = f"""SELECT {", ".join(_MICROSECONDS if name == "time" else name for name in binary.NAMES)} FROM sample"""
_COPY = f"COPY {{}} ({', '.join(binary.NAMES)}) FROM STDIN (FORMAT binary)"
_JOIN = {
    # Each row is looked up in the index.
    "point": b"SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off",
    # The samples of all points in the time of the rows are read once.
    "time": b"SET LOCAL enable_seqscan = off; SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off",
}
"""How the samples that are there are compared with those that come, by the index that there is."""
_POSITION = b"SELECT sequence, stored_ns FROM progress"
_MISSING = f"""
    INSERT INTO sample ({", ".join(binary.NAMES)})
    SELECT {", ".join(binary.NAMES)} FROM incoming WHERE NOT EXISTS (
        SELECT FROM sample WHERE sample.point = incoming.point AND sample.time = incoming.time
            AND sample.nanosecond = incoming.nanosecond AND sample.sent_ns = incoming.sent_ns
            AND sample.place = incoming.place AND sample.time BETWEEN {_START} AND {_START})"""


class PostgresqlStore:
    """A FurtherStore in a schema of a database."""

    limits = StoreLimits()

    def __init__(self, name: str, section: PostgresqlSection, timeout_s: float) -> None:
        self._name = name
        self._section = section
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._ids: dict[str, int] = {}

    def position(self) -> Position:
        with self._transaction() as connection:
            return self._position(connection)

    def append(self, columns: Columns, position: Position, *, after: Position) -> None:
        with self._transaction() as connection:
            is_at = self._position(connection, _POSITION + b" FOR UPDATE")
            if is_at != after:
                raise moved(self._name, is_at, after)
            if len(columns):
                self._copy(connection, "sample", columns)
            connection.execute(
                "UPDATE progress SET sequence = %s, stored_ns = %s", [position.sequence, position.stored_ns]
            )

    def fill(self, columns: Columns) -> None:
        if not len(columns):
            return
        with self._transaction() as connection:
            connection.execute("CREATE TEMPORARY TABLE incoming (LIKE sample) ON COMMIT DROP")
            self._copy(connection, "incoming", columns)
            connection.execute("ANALYZE incoming")
            # Without statistics, of a table that was just made or restored, PostgreSQL reads all of it for each row.
            connection.execute(_JOIN[self._section.index])
            since = columns.time_ns - binary.EPOCH_NS
            connection.execute(_MISSING.encode(), [int(since.min()) // 1000, int(since.max()) // 1000])

    def points(self) -> dict[str, bool]:
        with self._transaction() as connection:
            found = connection.execute("SELECT name, has_text FROM point ORDER BY name").fetchall()
        return {name: bool(has_text) for name, has_text in found}

    def samples(self, names: tuple[str, ...], start_ns: int, end_ns: int, *, limit: int) -> Columns:
        where, values = _between(start_ns, end_ns - 1)
        with self._transaction() as connection:
            rows = connection.execute(
                f"{_READ} WHERE point = ANY(%s) AND {where} "
                "ORDER BY time, nanosecond, point, received_ns, quality LIMIT %s".encode(),
                [self._known(names), *values, min(limit, _NOT_LISTED)],
            ).fetchall()
            return binary.columns(rows, {key: name for name, key in self._ids.items()})

    def last_before(self, names: tuple[str, ...], at_ns: int, *, since_ns: int = 0) -> Columns:
        where, values = _between(since_ns, at_ns)
        with self._transaction() as connection:
            named = {key: name for name, key in self._ids.items()}
            found = [
                binary.columns(
                    connection.execute(
                        f"{_READ} WHERE point = %s AND {where} "
                        "ORDER BY time DESC, nanosecond DESC, received_ns DESC, quality DESC LIMIT 1".encode(),
                        [key, *values],
                    ).fetchall(),
                    named,
                )
                for key in self._known(names)
            ]
        return together(found) if found else binary.columns([], {})

    def abort(self) -> None:
        # libpq waits for its socket without a limit; once that is shut down the wait ends with an error.
        connection = self._connection
        with suppress(OSError, psycopg.Error):
            if connection is not None:
                with socket.socket(fileno=os.dup(connection.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _position(self, connection: Connection, query: bytes = _POSITION) -> Position:
        ((sequence, stored_ns),) = connection.execute(query).fetchall()
        return Position(sequence=sequence, stored_ns=stored_ns)

    def _copy(self, connection: Connection, table: str, columns: Columns) -> None:
        point = self._keys(connection, columns)
        if self._section.index == "point":
            # The rows of a point then go to one page of the index, and to few of the table.
            order = np.argsort(point, kind="stable")
            columns, point = columns.chosen(order), point[order]
        with connection.cursor() as cursor, cursor.copy(_COPY.format(table).encode()) as copy:
            copy.write(b"".join((binary.SIGNATURE, *binary.rows(columns, point), binary.END)))

    def _keys(self, connection: Connection, columns: Columns) -> Integers:
        """The keys of the points of all rows; new points are made."""
        if unknown := sorted(set(columns.names) - self._ids.keys()):
            made = connection.execute(
                "INSERT INTO point (name) SELECT unnest(%s::text[]) RETURNING name, id", [unknown]
            ).fetchall()
            self._ids = self._ids | _keys(made)
        if columns.texts:
            keys = sorted({self._ids[columns.names[row]] for row in columns.texts})
            connection.execute("UPDATE point SET has_text = true WHERE id = ANY(%s) AND NOT has_text", [keys])
        return np.fromiter(map(self._ids.__getitem__, columns.names), np.int64, len(columns))

    def _known(self, names: Iterable[str]) -> list[int]:
        return [self._ids[name] for name in dict.fromkeys(names) if name in self._ids]

    @contextmanager
    def _transaction(self) -> Generator[Connection]:
        """The connection, in a transaction. After an error it is closed: the next call makes a new one, and asks the
        database for what it knows of it."""
        with self._lock:
            try:
                connection = self._connection or self._open()
                yield connection
                connection.commit()
            except BaseException as error:
                self._drop()
                if isinstance(error, psycopg.Error | OSError | UnicodeError):
                    raise self._failure(error) from error
                raise

    def _open(self) -> Connection:
        section = self._section
        settings: dict[str, Any] = {
            "host": section.host,
            "port": section.port,
            "dbname": section.database,
            "user": section.user,
            "sslmode": _SSL_MODES[section.used_encryption],
            "application_name": f"countingroom history.stores.{self._name}",
            "connect_timeout": max(2, round(self._timeout_s / 2)),
            "options": f"-c statement_timeout={round(self._timeout_s * 1000)} -c search_path={section.schema_} "
            "-c timezone=UTC -c client_encoding=UTF8",
        }
        if section.used_encryption == "verified":
            settings["sslrootcert"] = str(section.tls_ca) if section.tls_ca else "system"
        if section.password:
            settings["password"] = section.password.read(f"history.stores.{self._name}")
        connection: Connection = psycopg.connect(**settings)
        self._connection = connection
        for statement in schema(section.schema_, section.index):
            connection.execute(statement.encode())
        connection.commit()
        self._ids = _keys(connection.execute("SELECT name, id FROM point"))
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._ids = {}
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                connection.close()

    def _failure(self, error: BaseException) -> LinkError:
        section = self._section
        said = " ".join(str(error).split()) or type(error).__name__
        return LinkError(
            f"PostgreSQL at {section.host}:{section.port}/{section.database} cannot be used: {said}",
            source=f"history.stores.{self._name}",
            code="store_failed",
            suggestion="see that the server runs and has room, and that its user may create and write the schema",
        )


def _keys(rows: Iterable[tuple[Any, ...]]) -> dict[str, int]:
    return {str(name): int(key) for name, key in rows}


def _between(first_ns: int, last_ns: int) -> tuple[str, list[object]]:
    """The condition for samples from one time to another, both inclusive, and its values."""
    values: list[object] = []
    for time_ns in (first_ns, last_ns):
        since = time_ns - binary.EPOCH_NS
        values += [since // 1000, since % 1000]
    return f"(time, nanosecond) >= ({_START}, %s::smallint) AND (time, nanosecond) <= ({_START}, %s::smallint)", values
