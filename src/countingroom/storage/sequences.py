"""Run sequences and their progress, so that another process continues a sequence after the death of its owner."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, insert, select, update

from countingroom.core.errors import Cause, Conflict, NotFound
from countingroom.core.run_book import RunSequence
from countingroom.storage import checked, rows
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.run_tables import run_sequence


class Sequences(Repository):
    """Repository of run sequences."""

    @writing
    def begin(self, connection: Connection, sequence: RunSequence) -> RunSequence:
        """Record a sequence before its first run. Conflict if the name is taken or another one is active."""
        checked.name(sequence.name, "sequence")
        query = select(run_sequence.c.name).where(
            (run_sequence.c.name == sequence.name)
            | ((run_sequence.c.partition == sequence.partition) & (run_sequence.c.end == ""))
        )
        if other := connection.scalar(query):
            same = other == sequence.name
            raise Conflict(
                f"there is already a sequence {other} already"
                if same
                else f"{sequence.partition} is in sequence {other}",
                source=f"runs.{sequence.partition}",
                suggestion="choose another name" if same else f"wait for its end, or stop {other}",
            )
        connection.execute(insert(run_sequence).values(**rows.columns(sequence)))
        return sequence

    @writing
    def advance(self, connection: Connection, name: str, run: int) -> RunSequence:
        """Record that this run takes the next value; repeated calls count once. NotFound; Conflict if it ended."""
        present = _get(connection, name)
        if run in present.runs:
            return present
        if present.end or len(present.runs) == len(present.values):
            raise Conflict(f"the sequence {name} has no value left", source=f"runs.{present.partition}")
        runs = (*present.runs, run)
        connection.execute(update(run_sequence).where(run_sequence.c.name == name).values(runs=runs))
        return msgspec.structs.replace(present, runs=runs)

    @writing
    def end(self, connection: Connection, name: str, end: str, cause: Cause | None = None) -> RunSequence:
        """End the sequence: `finished`, `stopped` or `failed`. The first outcome stays. Raises NotFound."""
        now_ns = self.clock.now_ns()
        present = _get(connection, name)
        if present.end:
            return present
        over = {"end": end, "ended_ns": now_ns, "cause": cause}
        connection.execute(update(run_sequence).where(run_sequence.c.name == name).values(**over))
        return msgspec.structs.replace(present, **over)

    @reading
    def get(self, connection: Connection, name: str) -> RunSequence:
        """One sequence. Raises NotFound."""
        return _get(connection, name)

    @reading
    def going(self, connection: Connection, partition: str) -> RunSequence | None:
        """The active sequence of the partition; None without one."""
        query = select(run_sequence).where(run_sequence.c.partition == partition, run_sequence.c.end == "")
        return rows.first(connection, query, RunSequence)


def _get(connection: Connection, name: str) -> RunSequence:
    found = rows.first(connection, select(run_sequence).where(run_sequence.c.name == name), RunSequence)
    if found is None:
        raise NotFound(f"there is no sequence {name}", source="runs", suggestion="check the list of sequences")
    return found
