"""Between `Columns` or `Buckets` and DuckDB data travel as NumPy arrays, never row by row.

Arrow tables cost as much CPU and 25 MiB more, because PyArrow loads libraries that the product has no other use for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np

from countingroom.history.buckets import Buckets, select
from countingroom.history.columns import Columns, Integers
from countingroom.history.duckdb_sql import OFFSETS
from countingroom.history.tracks import PointTrack
from countingroom.history.tracks import track as in_order


def register(writer: duckdb.DuckDBPyConnection, columns: Mapping[str, Any]) -> None:
    """Make the columns readable as the table `batch`, in place of those before: arrays, lists of ints or of texts."""
    writer.register("batch", {name: _array(values) for name, values in columns.items()})


def _array(values: Any) -> Any:
    if not isinstance(values, list):
        return values
    # Never an array of fixed-width texts: there each row takes as much memory as the longest one.
    return np.array(values, object if values and isinstance(values[0], str) else np.int64)


def insert(writer: duckdb.DuckDBPyConnection, table: str, columns: dict[str, Any]) -> None:
    """Append the columns, which have the names of those of the table."""
    register(writer, columns)
    writer.execute(f"INSERT INTO {table} BY NAME SELECT * FROM batch")  # noqa: S608 (a table of ours)


def samples(columns: Columns, point: Any, rows: Any) -> dict[str, Any]:
    """Those rows as the tables of samples have them; `point` are the keys of the points of all rows."""
    return {
        "point": point[rows],
        "time_ns": columns.time_ns[rows],
        "number": columns.number[rows],  # DuckDB takes NaN in an array for NULL
        "kind": columns.kind[rows],
        "quality": columns.quality[rows],
        **{off: getattr(columns, time)[rows] - columns.time_ns[rows] for time, off in OFFSETS.items()},
        "place": columns.place[rows],
        "alarm": columns.alarm[rows],
        "whole": columns.whole[rows],
    }


def columns(found: Mapping[str, Any], names: dict[int, str]) -> Columns:
    """Rows of the tables of samples, with `text`, as `fetchnumpy` gives them."""
    time: Integers = _filled(found["time_ns"], np.int64)
    return Columns(
        names=[names[key] for key in found["point"].tolist()],
        texts=_texts(found["text"]),
        number=_filled(found["number"], np.float64),
        kind=_filled(found["kind"], np.uint8),
        quality=_filled(found["quality"], np.uint8),
        alarm=_filled(found["alarm"], np.uint8),
        whole=_filled(found["whole"], np.uint8),
        place=_filled(found["place"], np.int64),
        time_ns=time,
        **{name: time + _filled(found[off], np.int64) for name, off in OFFSETS.items()},
    )


def track(found: Mapping[str, Any]) -> PointTrack:
    """Rows of a point, with `text` where it has texts, as `fetchnumpy` gives them."""
    time: Integers = _filled(found["time_ns"], np.int64)
    return in_order(
        time,
        _filled(found["number"], np.float64),
        _filled(found["kind"], np.uint8),
        _filled(found["quality"], np.uint8),
        _filled(found["received_off"], np.int64),
        _texts(found["text"]) if "text" in found else {},
    )


def _texts(column: Any) -> dict[int, str]:
    """Row -> text, where there is one."""
    texts = np.ma.getdata(column)
    rows = np.flatnonzero(~np.ma.getmaskarray(column)).tolist()
    return {row: texts[row] for row in rows if isinstance(texts[row], str)}


def buckets_each(found: Mapping[str, Any], keys: Mapping[str, int]) -> dict[str, Buckets]:
    """The rows of each point among those of several, in order of point and time; `keys` are those of the points."""
    every, point = _buckets(found), _filled(found["point"], np.int32)
    return {name: select(every, slice(*np.searchsorted(point, (key, key + 1)).tolist())) for name, key in keys.items()}


def _buckets(found: Mapping[str, Any]) -> Buckets:
    """Rows of the tables of summaries, as `fetchnumpy` gives them."""
    whole = ("count", "good", "quality", "first_ns", "last_ns")
    real = ("low", "high", "total", "latest")
    return Buckets(
        begin_ns=_filled(found["time_ns"], np.int64),
        **{name: _filled(found[name], np.int64) for name in whole},
        **{name: _filled(found[name], np.float64) for name in real},
    )


def _filled(values: Any, kind: Any) -> Any:
    """An array of this kind. NULL becomes NaN in an array of floats, and 0 in one of integers: columns of integers have
    no NULL."""
    missing = np.nan if kind is np.float64 else 0
    return np.ma.filled(values, missing).astype(kind, copy=False)
