"""Reads arrays of programs (Parquet, Arrow, NPY, CSV), and writes them as Parquet and as other formats.

PyArrow is imported by the first call: the console at rest does not have it in memory. A grid of numbers is a table with
one column, `value`, and its shape in the metadata of the schema.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from countingroom.core.errors import OutOfRange
from countingroom.core.results import ARRAY_BYTES, ArrayColumn, ArrayInfo

SUFFIXES = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".npy": "npy",
    ".csv": "csv",
}
"""Suffix of a file -> its format."""
MEDIA = {
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}
MOST_COLUMNS = 1000
_SHAPE = b"countingroom.shape"
_MOST_MEMORY = 4 * ARRAY_BYTES
_VALUES_AT_ONCE = 1 << 16


def read(name: str, form: str, content: bytes) -> tuple[ArrayInfo, bytes]:
    """An array as Parquet, with what it is. OutOfRange where it cannot be read or kept."""
    try:
        table = _READERS[form](content)
    except OutOfRange:
        raise
    except Exception as error:
        raise OutOfRange(
            f"the array {name} cannot be read as {form}: {type(error).__name__}: {error}",
            source="results",
            suggestion="write Parquet, an Arrow file or stream, NPY or CSV",
        ) from error
    _check(table.num_columns, table.nbytes)
    content = to_parquet(table)
    return describe(name, table, len(content)), content


def _check(columns: int, size: int) -> None:
    if size > _MOST_MEMORY or columns > MOST_COLUMNS:
        raise OutOfRange(
            f"an array has at most {MOST_COLUMNS:,} columns and {_MOST_MEMORY:,} bytes in memory; this one has "
            f"{columns:,} columns and {size:,} bytes or more",
            source="results",
            suggestion="write it as several arrays",
        )


def _bounded(schema: Any, batches: Iterable[Any]) -> Any:
    """The table of these batches. They are counted as they are read: a small file can have a huge content."""
    import pyarrow

    arrow: Any = pyarrow
    kept: list[Any] = []
    size = 0
    for batch in batches:
        batch.validate(full=True)
        size += batch.nbytes
        _check(batch.num_columns, size)
        kept.append(batch)
    return arrow.Table.from_batches(kept, schema=schema)


def describe(name: str, table: Any, size: int) -> ArrayInfo:
    """What a table is."""
    return ArrayInfo(
        name=name,
        columns=tuple(ArrayColumn(name=field.name, type=str(field.type)) for field in table.schema),
        rows=table.num_rows,
        shape=shape_of(table),
        bytes=size,
    )


def from_parquet(content: bytes) -> Any:
    """The table of a kept array."""
    import pyarrow
    import pyarrow.parquet

    arrow: Any = pyarrow
    parquet: Any = pyarrow.parquet
    return parquet.read_table(arrow.BufferReader(content), use_threads=False)


def to_parquet(table: Any) -> bytes:
    """A table as Parquet."""
    import pyarrow.parquet

    parquet: Any = pyarrow.parquet
    target = io.BytesIO()
    parquet.write_table(table, target, compression="zstd")
    return target.getvalue()


def as_format(content: bytes, form: str) -> bytes:
    """A kept array as `parquet`, `arrow` (a stream), `csv` or `json` (columns). OutOfRange for another format."""
    if form not in MEDIA:
        raise OutOfRange(f"there is no format {form}", source="results", suggestion=f"choose one of {', '.join(MEDIA)}")
    if form == "parquet":
        return content
    import pyarrow
    import pyarrow.csv

    arrow: Any = pyarrow
    comma: Any = pyarrow.csv
    table = from_parquet(content)
    target = io.BytesIO()
    if form == "csv":
        comma.write_csv(table, target)
    elif form == "arrow":
        with arrow.ipc.new_stream(target, table.schema) as writer:
            writer.write_table(table)
    else:
        columns = {field.name: table.column(field.name).to_pylist() for field in table.schema}
        return msgspec.json.encode({"shape": shape_of(table), "columns": columns}, enc_hook=str)
    return target.getvalue()


def shape_of(table: Any) -> tuple[int, ...]:
    """The shape of a grid; empty for a table, or where the metadata do not fit its rows."""
    metadata: dict[bytes, bytes] = table.schema.metadata or {}
    said = metadata.get(_SHAPE, b"")
    try:
        shape = msgspec.json.decode(said, type=tuple[int, ...]) if said else ()
    except msgspec.DecodeError:
        return ()
    rows = 1
    for one in shape:
        rows *= one
    return shape if shape and rows == table.num_rows and min(shape) >= 0 else ()


def grid(values: Any) -> Any:
    """A NumPy array as a table: a structured one has a column for each field."""
    import numpy
    import pyarrow

    arrow: Any = pyarrow
    if values.dtype.names:
        flat = values.reshape(-1)
        return arrow.table({name: arrow.array(flat[name]) for name in values.dtype.names})
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{values.dtype} is no type of numbers")
    column = arrow.array(numpy.ascontiguousarray(values).reshape(-1).astype(values.dtype.newbyteorder("=")))
    metadata = {_SHAPE: msgspec.json.encode(values.shape)}
    return arrow.table({"value": column}).replace_schema_metadata(metadata)


def _npy(content: bytes) -> Any:
    import numpy

    return grid(numpy.load(io.BytesIO(content), allow_pickle=False))


def _csv(content: bytes) -> Any:
    import pyarrow.csv

    comma: Any = pyarrow.csv
    end = content.find(b"\n")
    _check(content.count(b",", 0, end if end >= 0 else len(content)) + 1, 0)
    return comma.read_csv(io.BytesIO(content), read_options=comma.ReadOptions(use_threads=False))


def _arrow(content: bytes) -> Any:
    import pyarrow

    arrow: Any = pyarrow
    source = arrow.BufferReader(content)
    if not content.startswith(b"ARROW1"):
        stream = arrow.ipc.open_stream(source)
        return _bounded(stream.schema, stream)
    file = arrow.ipc.open_file(source)
    return _bounded(file.schema, (file.get_batch(number) for number in range(file.num_record_batches)))


def _parquet(content: bytes) -> Any:
    import pyarrow
    import pyarrow.parquet

    arrow: Any = pyarrow
    parquet: Any = pyarrow.parquet
    file = parquet.ParquetFile(arrow.BufferReader(content))
    _check(file.metadata.num_columns, 0)
    rows = max(1, _VALUES_AT_ONCE // max(1, file.metadata.num_columns))
    return _bounded(file.schema_arrow, file.iter_batches(batch_size=rows, use_threads=False))


_READERS: dict[str, Callable[[bytes], Any]] = {
    "parquet": _parquet,
    "arrow": _arrow,
    "npy": _npy,
    "csv": _csv,
}
FORMS = tuple(_READERS)
"""The formats in which an array can come."""
