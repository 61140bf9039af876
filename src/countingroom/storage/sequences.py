"""Law: a sequence of runs knows how far it is, whoever drives it: another process goes on where one died."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, insert, select, update

from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, Conflict, NotFound
from countingroom.core.run_book import RunSequence
from countingroom.storage import checked, rows
from countingroom.storage.engine import SqlStore
from countingroom.storage.run_tables import run_sequence


class Sequences:
    """Sequences of runs."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def begin(self, sequence: RunSequence) -> RunSequence:
        """Record it before its first run. Conflict where the name is taken or the partition has one going on."""

        def work(connection: Connection) -> RunSequence:
            checked.name(sequence.name, "sequence")
            query = select(run_sequence.c.name).where(
                (run_sequence.c.name == sequence.name)
                | ((run_sequence.c.partition == sequence.partition) & (run_sequence.c.end == ""))
            )
            if other := connection.scalar(query):
                same = other == sequence.name
                raise Conflict(
                    f"there is a sequence {other} already" if same else f"{sequence.partition} is in sequence {other}",
                    source=f"runs.{sequence.partition}",
                    suggestion="take another name" if same else f"wait for it, or stop {other}",
                )
            connection.execute(insert(run_sequence).values(**rows.columns(sequence)))
            return sequence

        return await self._store.write(work)

    async def advance(self, name: str, run: int) -> RunSequence:
        """The next value is taken, by this run. Said again it counts once. NotFound; Conflict when it is over."""

        def work(connection: Connection) -> RunSequence:
            present = _get(connection, name)
            if run in present.runs:
                return present
            if present.end or len(present.runs) == len(present.values):
                raise Conflict(f"the sequence {name} has no value left", source=f"runs.{present.partition}")
            runs = (*present.runs, run)
            connection.execute(update(run_sequence).where(run_sequence.c.name == name).values(runs=runs))
            return msgspec.structs.replace(present, runs=runs)

        return await self._store.write(work)

    async def end(self, name: str, end: str, cause: Cause | None = None) -> RunSequence:
        """It is over: `finished`, `stopped` or `failed`; the first word holds. NotFound."""
        now_ns = self._clock.now_ns()

        def work(connection: Connection) -> RunSequence:
            present = _get(connection, name)
            if present.end:
                return present
            over = {"end": end, "ended_ns": now_ns, "cause": cause}
            connection.execute(update(run_sequence).where(run_sequence.c.name == name).values(**over))
            return msgspec.structs.replace(present, **over)

        return await self._store.write(work)

    async def get(self, name: str) -> RunSequence:
        """One of them. NotFound."""
        return await self._store.read(lambda connection: _get(connection, name))

    async def going(self, partition: str) -> RunSequence | None:
        """The one the partition is in."""
        query = select(run_sequence).where(run_sequence.c.partition == partition, run_sequence.c.end == "")

        return await self._store.read(lambda connection: rows.first(connection, query, RunSequence))

    async def list(self, partition: str = "", *, limit: int = 100) -> tuple[RunSequence, ...]:
        """Newest first."""
        query = select(run_sequence).order_by(run_sequence.c.created_ns.desc(), run_sequence.c.name).limit(limit)
        if partition:
            query = query.where(run_sequence.c.partition == partition)
        return await self._store.read(lambda connection: rows.every(connection, query, RunSequence))


def _get(connection: Connection, name: str) -> RunSequence:
    found = rows.first(connection, select(run_sequence).where(run_sequence.c.name == name), RunSequence)
    if found is None:
        raise NotFound(f"there is no sequence {name}", source="runs", suggestion="look at the list of sequences")
    return found
