"""The run book: run numbers, notes, quality and the end of every run.

A run number is reserved in the transaction that records the run, so it is never used twice. The end is written once.
Numbers increase over all partitions together. A partition has at most one open run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from countingroom.core.errors import Cause, Conflict, NotFound
from countingroom.core.partitions import Configuration
from countingroom.core.run_book import Run, RunCondition, RunEnd, RunFilter, RunFlag, RunLimit, RunNote
from countingroom.core.values import Scalar
from countingroom.storage import rows
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.run_rows import chosen, read_runs
from countingroom.storage.run_tables import run, run_counter, run_note


class Runs(Repository):
    """Repository of runs."""

    @writing
    def reserve(
        self,
        connection: Connection,
        partition: str,
        template: str,
        requested_by: str,
        asked_ns: int | None = None,
        *,
        tag: str = "",
        configurations: Mapping[str, Configuration] | None = None,
        members: Iterable[str] = (),
        versions: Mapping[str, str] | None = None,
        limit: RunLimit | None = None,
        sequence: str = "",
        quality: str = "",
    ) -> Run:
        """Record a new run with the next number, before any start. Conflict while the partition has an open run."""
        wish = Run(
            number=0,
            partition=partition,
            template=template,
            requested_by=requested_by,
            asked_ns=self.clock.now_ns() if asked_ns is None else asked_ns,
            tag=tag,
            configurations=dict(configurations or {}),
            members=tuple(members),
            versions=dict(versions or {}),
            limit=limit,
            sequence=sequence,
            quality=quality,
        )
        return _reserve(connection, wish)

    @writing
    def began(
        self,
        connection: Connection,
        number: int,
        started_ns: int,
        *,
        conditions: Mapping[str, RunCondition] | None = None,
    ) -> None:
        """Record that all recorders record. The first time stays. NotFound; Conflict if the run is closed."""
        # Most runs are waited for here with their start: the configurations of all systems are not read for that.
        values = {"started_ns": started_ns, "conditions_begin": dict(conditions or {})}
        is_due = (run.c.number == number, run.c.started_ns.is_(None), run.c.end.is_(None))
        if connection.execute(update(run).where(*is_due).values(**values)).rowcount == 0:
            present = _run(connection, number)
            if present.started_ns is None:
                _is_open(present)

    @writing
    def mark(self, connection: Connection, number: int, flags: Sequence[RunFlag]) -> None:
        """Replace the flags that run control has given to an open run; one that is over keeps those of its end. Raises
        NotFound."""
        if _run(connection, number).end is None:
            connection.execute(update(run).where(run.c.number == number).values(flags=list(flags)))

    @writing
    def note(self, connection: Connection, number: int, note: RunNote) -> Run:
        """Add a note (a comment or an event) to a run, also after its end. The same note with the same time is added
        once. Raises NotFound."""
        present = _run(connection, number)
        if note in present.notes:  # repeated, because the first answer was lost or its process died
            return present
        _note(connection, number, note)
        return msgspec.structs.replace(present, notes=(*present.notes, note))

    @writing
    def flag(self, connection: Connection, number: int, quality: str, by: str) -> Run:
        """Set the quality: `good`, `bad`, `test` or empty. Earlier qualities stay in its notes. Raises NotFound."""
        now_ns = self.clock.now_ns()
        present = _run(connection, number)
        if present.quality == quality:
            return present
        connection.execute(update(run).where(run.c.number == number).values(quality=quality))
        note = RunNote(time_ns=now_ns, kind="flag", text=quality, author=by)
        _note(connection, number, note)
        return msgspec.structs.replace(present, quality=quality, notes=(*present.notes, note))

    @writing
    def close(
        self,
        connection: Connection,
        number: int,
        end: RunEnd,
        ended_ns: int | None = None,
        *,
        ended_by: str = "",
        cause: Cause | None = None,
        counters: Mapping[str, Scalar] | None = None,
        versions: Mapping[str, str] | None = None,
        duration_s: float | None = None,
        flags: Sequence[RunFlag] | None = None,
        conditions: Mapping[str, RunCondition] | None = None,
    ) -> Run:
        """Close the run for this reason. If called again with the same reason, the first time stays.

        `versions` are added to those known at its start; `flags` replace the present ones, None keeps them. NotFound;
        Conflict if it was closed for another reason.
        """
        at_ns = self.clock.now_ns() if ended_ns is None else ended_ns
        present = _run(connection, number)
        if present.end is end:
            return present
        _is_open(present)
        closed = msgspec.structs.replace(
            present,
            end=end,
            ended_ns=at_ns,
            ended_by=ended_by,
            cause=cause,
            counters=dict(counters or {}),
            versions={**present.versions, **(versions or {})},
            duration_s=duration_s,
            flags=present.flags if flags is None else tuple(flags),
            conditions_end=dict(conditions or {}),
        )
        keys = ("ended_ns", "duration_s", "ended_by", "cause", "counters", "versions", "flags", "conditions_end")
        values = {key: getattr(closed, key) for key in keys}
        connection.execute(update(run).where(run.c.number == number).values(end=end.value, **values))
        return closed

    @reading
    def get(self, connection: Connection, number: int) -> Run:
        """One run. Raises NotFound."""
        return _run(connection, number)

    async def open_runs(self, partition: str = "") -> tuple[Run, ...]:
        """Open runs of one partition or of all."""
        wanted = RunFilter(partition=partition, open=True, limit=10_000)
        return await self.find(wanted)

    async def last(self, partition: str) -> Run | None:
        """The newest run of a partition."""
        return next(iter(await self.find(RunFilter(partition=partition, limit=1))), None)

    @reading
    def find(self, connection: Connection, wanted: RunFilter = RunFilter()) -> tuple[Run, ...]:  # noqa: B008 - it is frozen
        """The runs that match the filter, newest first."""
        return read_runs(connection, chosen(wanted))

    @reading
    def last_number(self, connection: Connection) -> int:
        """The number of the newest run; 0: none."""
        return connection.scalar(select(func.max(run.c.number))) or 0

    @writing
    def skip_to(self, connection: Connection, number: int) -> int:
        """Reserve no number lower than this from now on. Returns the next number.

        For a run book that continues another one, or that was restored from a backup older than the last run.
        """
        last = max(_counter(connection), number - 1)
        connection.execute(update(run_counter).values(last=last))
        return last + 1


def _reserve(connection: Connection, wish: Run) -> Run:
    query = select(run.c.number).where(run.c.partition == wish.partition, run.c.end.is_(None))
    if (open_run := connection.scalar(query)) is not None:
        raise Conflict(
            f"run {open_run} of {wish.partition} is open",
            source=f"runs.{wish.partition}",
            evidence={"run": open_run},
            suggestion=f"stop run {open_run} first",
        )
    number = _counter(connection) + 1
    connection.execute(update(run_counter).values(last=number))
    given = msgspec.structs.replace(wish, number=number)
    connection.execute(insert(run).values(**rows.columns(given, "notes")))
    return given


def _counter(connection: Connection) -> int:
    """The last reserved number. It is never lower than the highest run number, even if the counter was restored."""
    counted = connection.scalar(select(run_counter.c.last)) or 0
    return max(counted, connection.scalar(select(func.max(run.c.number))) or 0)


def _run(connection: Connection, number: int) -> Run:
    found = read_runs(connection, select(run).where(run.c.number == number))
    if not found:
        raise _not_found(number)
    return found[0]


def _not_found(number: int) -> NotFound:
    return NotFound(f"there is no run {number}", source="runs", suggestion="check the list of runs")


def _note(connection: Connection, number: int, note: RunNote) -> None:
    connection.execute(insert(run_note).values(run=number, **rows.columns(note)))


def _is_open(present: Run) -> None:
    if present.end is not None:
        raise Conflict(
            f"run {present.number} is over: {present.end.value}",
            source=f"runs.{present.partition}",
            evidence={"run": present.number, "end": present.end.value},
            since_ns=present.ended_ns,
            suggestion="add a comment to the run instead",
        )
