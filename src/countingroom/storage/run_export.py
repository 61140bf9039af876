"""Export of the run book as CSV, Parquet or JSON: one row per run, the same columns in every format.

Times are ISO 8601 in UTC in CSV and JSON and timestamps in Parquet. Nested values (configurations, notes,
counters) are JSON inside CSV and Parquet.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from countingroom.core.errors import RequestError
from countingroom.core.plain_text import no_formula
from countingroom.core.run_book import Run
from countingroom.core.times import format_time

_TIMES = ("asked", "started", "ended")


def to_json(runs: Sequence[Run]) -> Iterator[bytes]:
    """An array of objects, with durations and ISO times in addition to the nanoseconds."""
    separator = b"[\n  "
    for run in runs:
        text = msgspec.json.format(msgspec.json.encode(_whole(run)), indent=2)
        yield separator + text.replace(b"\n", b"\n  ")
        separator = b",\n  "
    yield b"\n]" if runs else b"[]"


def to_csv(runs: Sequence[Run]) -> Iterator[bytes]:
    """A header and one row per run, UTF-8. Texts that look like formulas of a spreadsheet begin with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for run in runs:
        row = _row(run)
        writer.writerow([_cell(row[column]) for column in _COLUMNS])
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()
    yield out.getvalue().encode()


def to_parquet(runs: Sequence[Run]) -> Iterator[bytes]:
    """One table in groups of rows; null means not known."""
    import pyarrow  # a fifth of a second that the other formats do not cost
    import pyarrow.parquet

    return _parquet(pyarrow, pyarrow.parquet, runs)


def _parquet(arrow: Any, parquet: Any, runs: Sequence[Run]) -> Iterator[bytes]:
    stamp = arrow.timestamp("ns", tz="UTC")
    types = {"number": arrow.int64(), "duration_s": arrow.float64(), **dict.fromkeys(_TIMES, stamp)}
    schema = arrow.schema([(name, types.get(name, arrow.string())) for name in _COLUMNS])
    out = io.BytesIO()
    with parquet.ParquetWriter(out, schema) as writer:
        for first in range(0, len(runs), _GROUP):
            found: list[dict[str, Any]] = []
            for run in runs[first : first + _GROUP]:
                found.append(_row(run) | {name: getattr(run, f"{name}_ns") for name in _TIMES})
                yield b""  # so that making a group is not one long step
            columns = [arrow.array([row[one.name] for row in found], type=one.type) for one in schema]
            writer.write_table(arrow.table(columns, schema=schema))
            yield b""
    yield out.getvalue()


FORMATS: dict[str, tuple[str, Callable[[Sequence[Run]], Iterator[bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", to_csv),
    "json": ("application/json", to_json),
    "parquet": ("application/vnd.apache.parquet", to_parquet),
}
"""Format -> its media type and the function that writes it, piece by piece."""
_GROUP = 2000
"""Rows of a group in Parquet: small enough that writing one takes a few ms."""


def export(runs: Sequence[Run], format: str) -> tuple[str, Iterator[bytes]]:
    """(media type, the file in pieces, about one a run). RequestError for a format that is not in FORMATS."""
    if format not in FORMATS:
        raise RequestError(
            f"{format} is not a format of the run book",
            code="unknown_format",
            source="runs",
            suggestion=f"use {', '.join(FORMATS)}",
        )
    media, make = FORMATS[format]
    return media, make(runs)


_SIMPLE = ("partition", "template", "requested_by", "end", "ended_by", "tag", "quality", "sequence")
_PARTS = (
    "members",
    "configurations",
    "versions",
    "limit",
    "counters",
    "notes",
    "cause",
    "flags",
    "conditions_begin",
    "conditions_end",
)
_COLUMNS = ("number", *_SIMPLE[:3], *_TIMES, "duration_s", *_SIMPLE[3:], *_PARTS)


def duration_s(run: Run) -> float | None:
    """Time in s from the moment all recorders record to the end; None if the run did not begin or is open."""
    return run.lasted_s()


def _row(run: Run) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(run)
    row: dict[str, Any] = {name: plain[name] for name in ("number", *_SIMPLE)}
    for name in _TIMES:
        time_ns = plain[f"{name}_ns"]
        row[name] = None if time_ns is None else format_time(time_ns)
    row["duration_s"] = duration_s(run)
    for name in _PARTS:
        row[name] = msgspec.json.encode(plain[name]).decode() if plain[name] else None
    return row


def _whole(run: Run) -> dict[str, Any]:
    row, plain = _row(run), msgspec.to_builtins(run)
    times = {name: row[name] for name in (*_TIMES, "duration_s")}
    return {**plain, **times}


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return no_formula(value)
    return "" if value is None else value
