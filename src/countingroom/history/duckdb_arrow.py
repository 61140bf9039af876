"""Between `Columns` or `Buckets` and DuckDB data travel as Arrow tables, never row by row."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow

from countingroom.history.buckets import Buckets
from countingroom.history.columns import Columns

_arrow: Any = pyarrow


def register(writer: duckdb.DuckDBPyConnection, columns: dict[str, Any]) -> None:
    """Make the columns readable as the table `batch`, in place of those before."""
    writer.register("batch", _arrow.table(columns))


def insert(writer: duckdb.DuckDBPyConnection, table: str, columns: dict[str, Any]) -> None:
    """Append the columns, which are those of the table in its order."""
    register(writer, columns)
    writer.execute(f"INSERT INTO {table} SELECT * FROM batch")  # noqa: S608 (a table of ours)


def samples(columns: Columns, point: Any, rows: Any) -> dict[str, Any]:
    """Those rows as the tables of samples have them; `point` are the keys of the points of all rows."""
    return {
        "point": point[rows],
        "time_ns": columns.time_ns[rows],
        "number": _arrow.array(columns.number[rows], from_pandas=True),
        "kind": columns.kind[rows],
        "quality": columns.quality[rows],
        "device_ns": columns.device_ns[rows],
        "received_ns": columns.received_ns[rows],
    }


def columns(table: Any, names: dict[int, str]) -> Columns:
    """Rows of the tables of samples, with `text`."""
    texts = table.column("text")
    told: list[str | None] = texts.to_pylist() if texts.null_count < len(table) else []
    return Columns(
        names=[names[key] for key in table.column("point").to_pylist()],
        texts={row: text for row, text in enumerate(told) if text is not None},
        number=_numpy(table, "number", np.float64),
        kind=_numpy(table, "kind", np.uint8),
        quality=_numpy(table, "quality", np.uint8),
        **{name: _numpy(table, name, np.int64) for name in ("time_ns", "device_ns", "received_ns")},
    )


def buckets(table: Any) -> Buckets:
    """Rows of the tables of summaries."""
    whole = ("count", "good", "quality", "first_ns", "last_ns")
    real = ("low", "high", "total", "latest")
    return Buckets(
        begin_ns=_numpy(table, "time_ns", np.int64),
        **{name: _numpy(table, name, np.int64) for name in whole},
        **{name: _numpy(table, name, np.float64) for name in real},
    )


def _numpy(table: Any, name: str, kind: Any) -> Any:
    return table.column(name).to_numpy().astype(kind, copy=False)
