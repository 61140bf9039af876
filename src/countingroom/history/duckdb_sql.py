# ruff: noqa: S608 (what is put into statements are names of tables and integers of our own)
"""The tables of the DuckDB history, and its rollups and queries, in SQL. Pure.

Each resolution has two tables of the same columns: `…_recent` in order of arrival, `…_settled` in chunks of some
million rows, each ordered by point and, up or down, by time. Row groups of a chunk then hold few points and are skipped
by their minima and maxima, so that one point of a thousand is found without reading the others. A view unites both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct

from countingroom.core.values import Quality
from countingroom.history.retention import FIVE_MINUTES_NS, MINUTE_NS

_SAMPLE = (
    "point INTEGER, time_ns BIGINT, number DOUBLE, kind UTINYINT, quality UTINYINT, device_off BIGINT, "
    "received_off BIGINT, sent_off BIGINT, place INTEGER, alarm UTINYINT, whole UTINYINT"
)
OFFSETS = {"device_ns": "device_off", "received_ns": "received_off", "sent_ns": "sent_off"}
"""Times of a sample -> the columns that have their differences from time_ns. A difference beyond 64 bits goes round."""
_SUMMARY = (
    "point INTEGER, time_ns BIGINT, count BIGINT, good BIGINT, low DOUBLE, high DOUBLE, total DOUBLE, latest DOUBLE, "
    "quality UTINYINT, first_ns BIGINT, last_ns BIGINT"
)
SAMPLES = {"raw": _SAMPLE, "text": _SAMPLE + ", text VARCHAR"}
TABLES = {"minute": _SUMMARY, "five": _SUMMARY, **SAMPLES}
_LATER = {"sent_ns": "BIGINT", "place": "INTEGER", "alarm": "UTINYINT", "whole": "UTINYINT"}
"""Columns of samples that some files of format 1 lack."""


def _united(name: str) -> str:
    return f"SELECT * FROM {name}_recent UNION ALL SELECT * FROM {name}_settled"


SCHEMA = (
    "".join(
        f"""
    CREATE TABLE IF NOT EXISTS {name}_recent ({columns});
    CREATE TABLE IF NOT EXISTS {name}_settled ({columns});
    CREATE VIEW IF NOT EXISTS {name} AS {_united(name)};
    """
        for name, columns in TABLES.items()
    )
    + f"""
    CREATE TABLE IF NOT EXISTS format (version INTEGER);
    CREATE TABLE IF NOT EXISTS latest ({SAMPLES["text"]});
    CREATE TABLE IF NOT EXISTS point (id INTEGER, name VARCHAR);
    CREATE TABLE IF NOT EXISTS due (minute_ns BIGINT);
    CREATE TABLE IF NOT EXISTS progress (sequence BIGINT, stored_ns BIGINT, raw_ns BIGINT, minute_ns BIGINT);
    INSERT INTO progress SELECT 0, 0, 0, 0 WHERE NOT EXISTS (FROM progress);
"""
)

_OF_SAMPLES = """count(*)::BIGINT AS count, count(good)::BIGINT AS good, min(good) AS low, max(good) AS high,
    sum(good) AS total, {latest} AS latest, max(quality) AS quality, min(time_ns) AS first_ns,
    max(time_ns) AS last_ns"""
_OF_SUMMARIES = """sum(count)::BIGINT AS count, sum(good)::BIGINT AS good, min(low) AS low, max(high) AS high,
    sum(total) AS total, arg_max(latest, last_ns) AS latest, max(quality) AS quality, min(first_ns) AS first_ns,
    max(last_ns) AS last_ns"""
_NAMES = "count, good, low, high, total, latest, quality, first_ns, last_ns"


def _begin(bucket_ns: int) -> str:
    return f"time_ns // {bucket_ns} * {bucket_ns}"


_GOOD = f"point, time_ns, quality, CASE WHEN quality < {int(Quality.STALE)} THEN number END AS good"
"""Samples with `good`: the value where its quality is GOOD or UNCERTAIN."""
_EACH = 16
"""Points up to which sorted chunks are read once for each point."""
_SHORT_NS = 200_000_000_000
_LATEST_FIRST = "time_ns DESC, received_off DESC, quality DESC"


class Asked(Struct, frozen=True, kw_only=True):
    """Rows of some points in [start_ns, end_ns)."""

    keys: tuple[int, ...]
    start_ns: int
    end_ns: int
    has_texts: bool = True
    """Whether one of the points may have texts: without them their tables are not read."""
    sources: Mapping[str, str] = {}
    """Table -> what is read in its place, of a file of an earlier format."""

    def of(self, table: str, columns: str = "*", also: str = "true") -> str:
        """SQL for these rows of both tables that also fulfil the condition `also`."""
        time = f"time_ns >= {self.start_ns} AND time_ns < {self.end_ns} AND {also}"
        every = f"point IN ({', '.join(map(str, self.keys))})" if self.keys else "false"
        # An equal point skips the row groups of other points, IN does not. Recent rows have no order, so one pass
        # through them is cheaper than one for each point.
        each = [f"point = {key}" for key in self.keys] if 0 < len(self.keys) <= _EACH else [every]
        recent, settled = (self.sources.get(name, name) for name in (f"{table}_recent", f"{table}_settled"))
        parts = [f"{recent} WHERE {every}", *(f"{settled} WHERE {one}" for one in each)]
        return " UNION ALL ".join(f"SELECT {columns} FROM {part} AND {time}" for part in parts)


def add_columns() -> list[str]:
    """Statements that add columns which the samples of a file of format 1 may lack."""
    return [
        f"ALTER TABLE {table}_{part} ADD COLUMN IF NOT EXISTS {name} {kind}"
        for table in SAMPLES
        for part in ("recent", "settled")
        for name, kind in _LATER.items()
    ]


def converted(table: str, present: Collection[str] = tuple(_LATER)) -> str:
    """The rows of a table of format 1 with the columns of the present one; `present` are the columns that it has."""
    offsets = [
        f"{_difference(time if time in present or time not in _LATER else '0')} AS {off}"
        for time, off in OFFSETS.items()
    ]
    later = [name if name in present else f"0 AS {name}" for name in ("place", "alarm", "whole")]
    text = ["text"] if "text" in table else []
    return f"SELECT {', '.join(['point, time_ns, number, kind, quality', *offsets, *later, *text])} FROM {table}"


def _difference(time: str) -> str:
    wide = f"coalesce({time}, 0)::HUGEINT - time_ns"
    return (
        f"(CASE WHEN {wide} > {2**63 - 1} THEN {wide} - {2**64} "
        f"WHEN {wide} < {-(2**63)} THEN {wide} + {2**64} ELSE {wide} END)::BIGINT"
    )


def fill_latest() -> list[str]:
    """Statements that find the last sample of each point in the whole file."""
    every = " UNION ALL BY NAME ".join(f"SELECT * FROM {table}" for table in SAMPLES)
    return ["DELETE FROM latest", f"INSERT INTO latest BY NAME {_last_of(every)}"]


def latest() -> str:
    """The last sample of each point: of the table `latest`, which is written with each chunk, and of recent rows."""
    parts = ("latest", *(f"{table}_recent" for table in SAMPLES))
    return _last_of(" UNION ALL BY NAME ".join(f"SELECT * FROM {part}" for part in parts))


def _last_of(every: str) -> str:
    return f"""
        WITH asked AS ({every}),
        latest AS (SELECT point, max(time_ns) AS time_ns FROM asked GROUP BY point)
        SELECT asked.* FROM asked JOIN latest USING (point, time_ns)
        QUALIFY row_number() OVER (PARTITION BY point ORDER BY received_off DESC, quality DESC) = 1"""


def samples(asked: Asked) -> str:
    """Samples and texts, in order."""
    return f"SELECT * FROM ({_all(asked)}) ORDER BY time_ns, point, received_off, quality"


def track(asked: Asked, has_texts: bool) -> str:
    """The columns of a point's samples that computations need, in no order."""
    columns = "time_ns, number, kind, quality, received_off"
    raw = asked.of("raw", columns)
    if not has_texts:
        return raw
    return f"SELECT *, NULL::VARCHAR AS text FROM ({raw}) UNION ALL {asked.of('text', f'{columns}, text')}"


def last(asked: Asked) -> str:
    """The latest row of each point; cheaper for a single point."""
    if len(asked.keys) == 1:
        return f"SELECT * FROM ({_all(asked)}) ORDER BY {_LATEST_FIRST} LIMIT 1"
    if len(asked.keys) <= _EACH and asked.end_ns - asked.start_ns <= _SHORT_NS:
        # Sorting some hundred rows costs less than planning to read each table twice.
        first = f"row_number() OVER (PARTITION BY point ORDER BY {_LATEST_FIRST}) = 1"
        return f"SELECT * FROM ({_all(asked)}) QUALIFY {first}"
    return _last_of(_all(asked))


def _all(asked: Asked) -> str:
    if not asked.has_texts:
        return f"SELECT *, NULL::VARCHAR AS text FROM ({asked.of('raw')})"
    return f"SELECT * FROM ({asked.of('raw')}) UNION ALL BY NAME SELECT * FROM ({asked.of('text')})"


def count(asked: Asked, most: int) -> str:
    """The number of samples, not above `most`."""
    return f"SELECT count(*) FROM (SELECT 1 FROM ({asked.of('raw', '1')}) LIMIT {most})"


def reduce_samples(bucket_ns: int, asked: Asked, also: str = "true") -> str:
    """Samples of points by bucket."""
    columns = _OF_SAMPLES.format(latest="NULL::DOUBLE")
    return f"SELECT point, {_begin(bucket_ns)} AS time_ns, {columns} FROM ({asked.of('raw', _GOOD, also)}) GROUP BY ALL"


def kept(table: str, base_ns: int, bucket_ns: int, asked: Asked, fresh: str) -> str:
    """Stored rollups; for minutes with a rollup that is still due (within the limits of `fresh`), sums of their
    samples."""
    due = f"(SELECT minute_ns // {base_ns} * {base_ns} FROM due)"
    again = f"{_begin(base_ns)} IN {due} AND time_ns >= (SELECT raw_ns FROM progress)"
    return (
        f"SELECT point, {_begin(bucket_ns)} AS time_ns, {_OF_SUMMARIES} FROM ("
        f"{asked.of(table, f'point, time_ns, {_NAMES}', f'NOT ({again})')} "
        f"UNION ALL {reduce_samples(base_ns, asked, f'{fresh} AND {again}')}) GROUP BY ALL"
    )


def roll(low_ns: int, high_ns: int, raw_ns: int, minute_ns: int) -> list[str]:
    """Roll up the minutes in `batch`, all in [low_ns, high_ns).

    A minute whose samples are still kept is computed again from all of them, so the result does not depend on how often
    this runs or how late samples come. If the samples are no longer kept (before `raw_ns`, of minutes before
    `minute_ns`), late ones are added to the rollup and removed.
    """
    five_low = low_ns // FIVE_MINUTES_NS * FIVE_MINUTES_NS
    near = f"time_ns >= {low_ns} AND time_ns < {high_ns} AND {_begin(MINUTE_NS)} IN (SELECT minute_ns FROM batch)"
    fives = f"(SELECT DISTINCT minute_ns // {FIVE_MINUTES_NS} * {FIVE_MINUTES_NS} FROM batch)"
    near_five = (
        f"time_ns >= {five_low} AND time_ns < {high_ns + FIVE_MINUTES_NS} AND {_begin(FIVE_MINUTES_NS)} IN {fives}"
    )
    statements = [f"DELETE FROM minute_{part} WHERE {near} AND time_ns >= {raw_ns}" for part in ("recent", "settled")]
    sums = _OF_SAMPLES.format(latest="arg_max(good, time_ns)")
    statements.append(
        f"INSERT INTO minute_recent SELECT point, {_begin(MINUTE_NS)}, {sums} "
        f"FROM (SELECT {_GOOD} FROM raw WHERE {near}) GROUP BY ALL"
    )
    statements += [
        f"DELETE FROM five_{part} WHERE {near_five} AND time_ns >= {minute_ns}" for part in ("recent", "settled")
    ]
    statements.append(
        f"INSERT INTO five_recent SELECT point, {_begin(FIVE_MINUTES_NS)}, {_OF_SUMMARIES} FROM minute "
        f"WHERE {near_five} GROUP BY ALL"
    )
    if low_ns < raw_ns:
        statements += drop("raw", raw_ns)
    if low_ns < minute_ns:
        statements += drop("minute", minute_ns)
    statements.append("DELETE FROM due WHERE minute_ns IN (SELECT minute_ns FROM batch)")
    return statements


def settle(table: str) -> list[str]:
    """Statements that make one more sorted chunk from the recent rows. Every second point is sorted with falling times:
    then each point begins about where the one before ended, and the compressed differences take one byte less."""
    time = "CASE WHEN point % 2 = 0 THEN time_ns ELSE ~time_ns END"
    return [
        f"INSERT INTO {table}_settled SELECT * FROM {table}_recent ORDER BY point, {time}",
        f"DELETE FROM {table}_recent",
    ]


def drop(table: str, before_ns: int) -> list[str]:
    """Statements that remove rows from before a time."""
    return [f"DELETE FROM {table}_{part} WHERE time_ns < {before_ns}" for part in ("recent", "settled")]
