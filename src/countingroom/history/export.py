"""Export to Parquet and CSV. The file is written under another name and renamed at the end, so it is never half.

Columns of both formats: point, time, value, quality, device_time, received_time. Times are UTC with nanoseconds. In
Parquet texts have a column of their own, `text`, and bools and ints are doubles in `value`.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

import pyarrow
import pyarrow.parquet

from countingroom.core.errors import ConfigurationError, RequestError
from countingroom.core.plain_text import no_formula
from countingroom.core.series import Samples
from countingroom.core.times import format_time
from countingroom.core.values import Quality

_arrow: Any = pyarrow
_parquet: Any = pyarrow.parquet
_HEAD = ("point", "time", "value", "quality", "device_time", "received_time")
_QUALITIES = [quality.name for quality in Quality]


class Sheet(Protocol):
    """A file being written."""

    def add(self, points: Sequence[str], samples: Samples) -> None:
        """Append samples; `points` are what their indices mean."""
        ...


@contextmanager
def sheet(path: Path) -> Generator[Sheet]:
    """The file to write; its name says which format. Moved to its place when the block ends well, removed else."""
    kinds = {".parquet": _parquet_sheet, ".csv": _csv_sheet}
    if path.suffix not in kinds:
        raise RequestError(
            f"{path.name} has no format known", code="wrong_format", suggestion="end the name with .parquet or .csv"
        )
    part = path.with_name(f".{path.name}.part")
    try:
        with kinds[path.suffix](part) as made:
            yield made
        part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {os.strerror(error.errno or 0)}", source="cli") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _csv_sheet(path: Path) -> Generator[Sheet]:
    with path.open("w", newline="", encoding="utf-8") as file:
        yield _Csv(file)


@contextmanager
def _parquet_sheet(path: Path) -> Generator[Sheet]:
    time, name = _arrow.timestamp("ns", tz="UTC"), _arrow.dictionary(_arrow.int32(), _arrow.string())
    schema = _arrow.schema(
        {
            "point": name,
            "time": time,
            "value": _arrow.float64(),
            "text": _arrow.string(),
            "quality": name,
            "device_time": time,
            "received_time": time,
        }
    )
    with _parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        yield _Parquet(writer, schema)


class _Csv:
    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file)
        self._writer.writerow(_HEAD)

    def add(self, points: Sequence[str], samples: Samples) -> None:
        for row, point in enumerate(samples.point):
            self._writer.writerow(
                (
                    points[point],
                    format_time(samples.time_ns[row]),
                    _csv_value(samples.value[row]),
                    _QUALITIES[samples.quality[row]],
                    format_time(samples.device_ns[row]),
                    format_time(samples.received_ns[row]),
                )
            )


class _Parquet:
    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer = writer
        self._schema = schema

    def add(self, points: Sequence[str], samples: Samples) -> None:
        index = _arrow.int32()
        columns = [
            _arrow.DictionaryArray.from_arrays(
                _arrow.array(samples.point, index), _arrow.array(list(points), "string")
            ),
            samples.time_ns,
            [None if value is None or isinstance(value, str) else float(value) for value in samples.value],
            [value if isinstance(value, str) else None for value in samples.value],
            _arrow.DictionaryArray.from_arrays(_arrow.array(samples.quality, index), _arrow.array(_QUALITIES)),
            samples.device_ns,
            samples.received_ns,
        ]
        arrays = [
            column if isinstance(column, _arrow.Array) else _arrow.array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(_arrow.table(arrays, schema=self._schema))


def _csv_value(value: float | int | str | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return no_formula(value)
    return "" if value is None else str(value)
