"""The index of results. A number is given in the transaction that records the result; the end is written once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Text, cast, insert, literal, or_, select, update

from countingroom.core.errors import Conflict, NotFound, OutOfRange
from countingroom.core.results import (
    MOST_PARTS,
    ArrayInfo,
    DocumentInfo,
    NewResult,
    ResultEnd,
    ResultFilter,
    ResultState,
    StoredResult,
)
from countingroom.storage import rows
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.result_tables import result, result_bytes, result_document


class DeliveredRows(Struct, frozen=True, kw_only=True):
    """What the index has of a result that comes as a whole."""

    new: NewResult
    end: ResultEnd
    place: str
    documents: Sequence[DocumentInfo] = ()
    arrays: Sequence[ArrayInfo] = ()
    log_bytes: int = 0


class Results(Repository):
    """Repository of the index, and of the contents of results that PostgreSQL keeps."""

    @writing
    def begin(self, connection: Connection, new: NewResult, place: str) -> StoredResult:
        """Record a result that has begun, with the next number."""
        return _insert(connection, new, place)

    @writing
    def deliver(
        self,
        connection: Connection,
        whole: DeliveredRows,
        documents: Mapping[str, bytes],
        contents: Sequence[tuple[str, str, bytes]],
        numbered: Callable[[int], None],
    ) -> StoredResult:
        """Record a result that comes as a whole, in one transaction.

        `documents` and `contents` (kind, name, content): what the database keeps. `numbered` is called with the number
        before the end of the transaction, to put its files in place.
        """
        names = [one.name for one in (*whole.documents, *whole.arrays)]
        if twice := sorted(name for name, count in Counter(names).items() if count > 1):
            raise _twice("the result", twice[0])
        if len(names) > MOST_PARTS:
            raise OutOfRange(f"a result has at most {MOST_PARTS} documents and arrays", source="results")
        begun = _insert(connection, whole.new, whole.place)
        number = begun.number
        for name, content in documents.items():
            value = msgspec.json.decode(content)
            connection.execute(insert(result_document).values(result=number, name=name, content=value))
        for kind, name, content in contents:
            connection.execute(insert(result_bytes).values(result=number, kind=kind, name=name, content=content))
        parts = {"documents": tuple(whole.documents), "arrays": tuple(whole.arrays)}
        connection.execute(update(result).where(result.c.number == number).values(**parts))
        numbered(number)
        return _end(connection, msgspec.structs.replace(begun, **parts), whole.end, whole.log_bytes)

    @writing
    def add_document(self, connection: Connection, number: int, info: DocumentInfo, content: bytes | None) -> None:
        """Add a document to a result that has not ended. `content`: where the database keeps it; None: a file does.

        NotFound; Conflict if the result has ended; OutOfRange if the name is taken or there are too many.
        """
        present = _open(connection, number, info.name)
        if content is not None:
            value = msgspec.json.decode(content)
            connection.execute(insert(result_document).values(result=number, name=info.name, content=value))
        change = {"documents": [*present.documents, info]}
        connection.execute(update(result).where(result.c.number == number).values(**change))

    @writing
    def add_array(self, connection: Connection, number: int, info: ArrayInfo, content: bytes | None) -> None:
        """The same for an array."""
        present = _open(connection, number, info.name)
        if content is not None:
            connection.execute(
                insert(result_bytes).values(result=number, kind="array", name=info.name, content=content)
            )
        change = {"arrays": [*present.arrays, info]}
        connection.execute(update(result).where(result.c.number == number).values(**change))

    @writing
    def end(
        self, connection: Connection, number: int, end: ResultEnd, *, log_bytes: int, log: bytes | None = None
    ) -> StoredResult:
        """Record the end; the first one stays. `log`: where the database keeps it. Raises NotFound."""
        present = _get(connection, number)
        if present.ended_ns is not None:
            return present
        ended = _end(connection, present, end, log_bytes)
        if log is not None:
            connection.execute(insert(result_bytes).values(result=number, kind="log", name="log", content=log))
        return ended

    @reading
    def get(self, connection: Connection, number: int) -> StoredResult:
        """One result. Raises NotFound."""
        return _get(connection, number)

    @reading
    def find(self, connection: Connection, wanted: ResultFilter) -> tuple[StoredResult, ...]:
        """The results that match the filter, newest first."""
        query = select(result)
        if wanted.program:
            query = query.where(result.c.program == wanted.program)
        if wanted.state:
            query = query.where(result.c.state == wanted.state)
        if wanted.from_ns is not None:
            query = query.where(result.c.started_ns >= wanted.from_ns)
        if wanted.to_ns is not None:
            query = query.where(result.c.started_ns < wanted.to_ns)
        if wanted.before is not None:
            query = query.where(result.c.number < wanted.before)
        if wanted.text:
            columns = (result.c.program, result.c.title, result.c.comment, result.c.by)
            query = query.where(or_(*(one.icontains(wanted.text.lower(), autoescape=True) for one in columns)))
        return rows.every(connection, query.order_by(result.c.number.desc()).limit(max(0, wanted.limit)), StoredResult)

    @reading
    def document(self, connection: Connection, number: int, name: str) -> bytes:
        """A document that the database keeps, as JSON. Raises NotFound."""
        query = select(cast(result_document.c.content, Text)).where(
            result_document.c.result == number, result_document.c.name == name
        )
        found = connection.scalar(query)
        if found is None:
            raise _no_part(number, name)
        return str(found).encode()

    @reading
    def content(self, connection: Connection, number: int, kind: str, name: str) -> bytes:
        """An array or a log that the database keeps. Raises NotFound."""
        table = result_bytes.c
        found: Any = connection.scalar(
            select(table.content).where(
                table.result == number, table.kind == literal(kind), table.name == literal(name)
            )
        )
        if found is None:
            raise _no_part(number, name)
        return bytes(found)


def _insert(connection: Connection, new: NewResult, place: str) -> StoredResult:
    made = msgspec.structs.asdict(new)
    number = connection.execute(
        insert(result).values(
            **made,
            state=ResultState.RUNNING.value,
            place=place,
            counters={},
            documents=[],
            arrays=[],
            problems=[],
            log_bytes=0,
        )
    ).inserted_primary_key
    if number is None:
        raise LookupError("the database gave no number")
    return StoredResult(**made, number=int(number[0]), place=place)


def _end(connection: Connection, present: StoredResult, end: ResultEnd, log_bytes: int) -> StoredResult:
    ended = msgspec.structs.replace(
        present,
        state=end.state,
        ended_ns=max(end.ended_ns, present.started_ns),
        cause=end.cause,
        problems=(*present.problems, *end.problems),
        versions={**present.versions, **end.versions},
        counters=dict(end.counters),
        log_bytes=log_bytes,
    )
    keys = ("ended_ns", "cause", "problems", "versions", "counters", "log_bytes")
    values = {key: getattr(ended, key) for key in keys}
    connection.execute(
        update(result).where(result.c.number == present.number).values(state=ended.state.value, **values)
    )
    return ended


def _get(connection: Connection, number: int) -> StoredResult:
    found = rows.first(connection, select(result).where(result.c.number == number), StoredResult)
    if found is None:
        raise NotFound(
            f"there is no result {number}", source="results", suggestion="list them: countingroom results list"
        )
    return found


def _open(connection: Connection, number: int, name: str) -> StoredResult:
    present = _get(connection, number)
    if present.ended_ns is not None:
        raise Conflict(f"result {number} has ended", source="results", suggestion="add what is new as a new result")
    if any(one.name == name for one in (*present.documents, *present.arrays)):
        raise _twice(f"result {number}", name)
    if len(present.documents) + len(present.arrays) >= MOST_PARTS:
        raise OutOfRange(f"a result has at most {MOST_PARTS} documents and arrays", source="results")
    return present


def _twice(what: str, name: str) -> OutOfRange:
    return OutOfRange(
        f"{what} has two parts with the name {name}",
        source="results",
        suggestion="give each document and array a name of its own",
    )


def _no_part(number: int, name: str) -> NotFound:
    return NotFound(
        f"result {number} has no {name}", source="results", suggestion=f"see: countingroom results show {number}"
    )
