"""Arrays reduced to what a page can draw: values along an axis, a histogram of them, a map. Two arrays compared.

A map is a grid of two dimensions, or a table with columns `row` and `column` (or `x` and `y`). A curve is a table whose
first column is a number and has another one beside it. NaN and missing values are left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from countingroom.core.errors import OutOfRange
from countingroom.results.arrays import shape_of

KINDS = ("values", "distribution", "map")
SIDE = 256
"""Cells of a drawn map along each side; a larger one is reduced to means."""
VALUES = 4096
"""Drawn values along an axis; more are reduced to means."""
_PLACES = (("row", "column"), ("row", "col"), ("y", "x"))
_MOST_CELLS = 1 << 24
_LARGEST = 1e300
"""Of the numbers of a histogram: with larger ones the edges of its bins overflow."""


def view(table: Any, kind: str, column: str, bins: int) -> dict[str, Any]:
    """An array as it is drawn. `kind` empty: the first that fits. OutOfRange where it cannot be drawn so."""
    kinds = fitting(table)
    columns = numeric(table)
    if not columns:
        raise OutOfRange("the array has no column of numbers", source="results")
    kind = kind or kinds[0]
    if kind not in kinds:
        raise OutOfRange(f"the array cannot be drawn as {kind}", source="results", suggestion=f"as {', '.join(kinds)}")
    chosen = _chosen(table, column)
    base = {"kind": kind, "kinds": kinds, "column": chosen, "columns": columns}
    if kind == "map":
        return {**base, **_drawn_map(_grid(table, chosen))}
    if kind == "distribution":
        edges, (counts,), told = _histograms([_floats(table, chosen)], bins)
        return {**base, "edges": edges, "counts": counts, **told[0]}
    axis, name = _axis(table, chosen)
    xs, ys = _reduced(axis, _floats(table, chosen))
    return {**base, "x": xs, "y": ys, "x_name": name, **_told(_floats(table, chosen))}


def compared(first: Any, second: Any, kind: str, column: str, bins: int) -> dict[str, Any]:
    """Two arrays drawn together: histograms with the same bins, two curves, or the map of second minus first."""
    kinds = [one for one in fitting(first) if one in fitting(second)]
    columns = [one for one in numeric(first) if one in numeric(second)]
    if not kinds or not columns:
        raise OutOfRange("the two arrays have no column of numbers in common", source="results")
    kind = kind or kinds[0]
    if kind not in kinds:
        raise OutOfRange(f"they cannot be drawn as {kind}", source="results", suggestion=f"as {', '.join(kinds)}")
    chosen = _chosen(first, column if column in columns else "")
    if chosen not in columns:
        chosen = columns[0]
    base = {"kind": kind, "kinds": kinds, "column": chosen, "columns": columns}
    if kind == "map":
        one, other = _grid(first, chosen), _grid(second, chosen)
        if one.shape != other.shape:
            raise OutOfRange(
                f"the maps have {_by(one.shape)} and {_by(other.shape)} cells",
                source="results",
                suggestion="compare their distributions",
            )
        return {**base, **_drawn_map(other - one), "difference": True}
    both = [_floats(one, chosen) for one in (first, second)]
    if kind == "distribution":
        edges, (counts, others), told = _histograms(both, bins)
        return {**base, "edges": edges, "counts": counts, "counts_b": others, "a": told[0], "b": told[1]}
    curves = [_reduced(_axis(one, chosen)[0], values) for one, values in zip((first, second), both, strict=True)]
    (xs, ys), (xs_b, ys_b) = curves
    told = {"a": _told(both[0]), "b": _told(both[1])}
    return {**base, "x": xs, "y": ys, "x_b": xs_b, "y_b": ys_b, "x_name": _axis(first, chosen)[1], **told}


def fitting(table: Any) -> list[str]:
    """How an array can be drawn, the best way first."""
    if not numeric(table):
        return []
    if len(shape_of(table)) == 2 or _places(table):
        return ["map", "distribution"]
    if len(shape_of(table)) > 2:
        return ["distribution"]
    return ["values", "distribution"]


def numeric(table: Any) -> list[str]:
    """The columns of numbers, without those that give the place of a cell."""
    import pyarrow

    types: Any = pyarrow.types
    places = _places(table)
    return [
        field.name
        for field in table.schema
        if field.name not in places
        and (types.is_integer(field.type) or types.is_floating(field.type) or types.is_boolean(field.type))
    ]


def _chosen(table: Any, column: str) -> str:
    columns = numeric(table)
    if column:
        if column not in columns:
            raise OutOfRange(f"the array has no column of numbers {column}", source="results")
        return column
    # Of a table the first column is the axis.
    return columns[1] if len(columns) > 1 and not shape_of(table) and not _places(table) else columns[0]


def _places(table: Any) -> tuple[str, str] | tuple[()]:
    names = table.schema.names
    return next((pair for pair in _PLACES if set(pair) < set(names)), ())


def _floats(table: Any, column: str) -> Any:
    import numpy

    values = table.column(column).combine_chunks()
    return numpy.asarray(values.cast("float64").to_numpy(zero_copy_only=False))


def _axis(table: Any, column: str) -> tuple[Any, str]:
    """The values of the first column of numbers, where it is another one; else the places in the array."""
    import numpy

    first = numeric(table)[0]
    if not shape_of(table) and first != column:
        return _floats(table, first), first
    return numpy.arange(table.num_rows, dtype=float), ""


def _grid(table: Any, column: str) -> Any:
    import numpy

    values = _floats(table, column)
    if len(shape := shape_of(table)) == 2:
        return values.reshape(shape)
    places = [_floats(table, one) for one in _places(table)]
    if not len(values):
        return numpy.full((0, 0), numpy.nan)
    for one in places:
        if not numpy.all(numpy.isfinite(one)) or one.min() < 0:
            raise OutOfRange("the places of the cells are no whole numbers from 0", source="results")
    rows, columns = (one.astype(numpy.int64) for one in places)
    height, width = int(rows.max()) + 1, int(columns.max()) + 1
    if height * width > _MOST_CELLS:
        raise OutOfRange(f"the map has {_by((height, width))} cells", source="results")
    made = numpy.full((height, width), numpy.nan)
    made[rows, columns] = values
    return made


def _drawn_map(cells: Any) -> dict[str, Any]:
    """The map in at most SIDE x SIDE cells, row by row."""
    import numpy

    told = _told(cells.reshape(-1))
    height, width = cells.shape
    down, across = max(1, -(-height // SIDE)), max(1, -(-width // SIDE))
    if (down, across) != (1, 1):
        padded = numpy.full((-(-height // down) * down, -(-width // across) * across), numpy.nan)
        padded[:height, :width] = cells
        blocks = padded.reshape(padded.shape[0] // down, down, padded.shape[1] // across, across)
        known = numpy.isfinite(blocks)
        count = known.sum(axis=(1, 3))
        total = numpy.where(known, blocks, 0.0).sum(axis=(1, 3))
        cells = numpy.where(count > 0, total / numpy.maximum(count, 1), numpy.nan)
    values = [_plain(row) for row in cells]
    return {"rows": height, "columns_of_map": width, "cell": [down, across], "values": values, **told}


def _histograms(columns: Sequence[Any], bins: int) -> tuple[list[float], list[list[int]], list[dict[str, Any]]]:
    """(edges, counts of each, facts of each) with the same bins for all."""
    import numpy

    known = [one[numpy.isfinite(one)] for one in columns]
    every = numpy.concatenate(known) if known else numpy.empty(0)
    told = [_told(one) for one in columns]
    if not len(every):
        return [], [[] for _ in columns], told
    low, high = float(every.min()), float(every.max())
    spread = high - low
    if spread <= abs(high) * 1e-12:
        low, high = low - (abs(low) * 1e-3 or 0.5), high + (abs(high) * 1e-3 or 0.5)
    elif bool(numpy.all(every == numpy.floor(every))) and spread < bins:
        low, high, bins = low - 0.5, high + 0.5, round(spread) + 1  # a bin for each whole number
    if max(-low, high) > _LARGEST:
        raise OutOfRange(
            "the numbers are too far apart or too large for a histogram",
            source="results",
            suggestion="draw another column",
        )
    edges = numpy.linspace(low, high, bins + 1)
    counts = [numpy.histogram(one, edges)[0].tolist() for one in known]
    return edges.tolist(), counts, told


def _reduced(xs: Any, ys: Any) -> tuple[list[float | None], list[float | None]]:
    step = max(1, -(-len(ys) // VALUES))
    if step > 1:
        whole = len(ys) // step * step
        xs, ys = (one[:whole].reshape(-1, step).mean(axis=1) for one in (xs, ys))
    return _plain(xs), _plain(ys)


def _told(values: Any) -> dict[str, Any]:
    """Facts of a column: how many values, lowest, highest, mean, deviation."""
    import numpy

    known = values[numpy.isfinite(values)]
    facts: dict[str, Any] = {"count": len(known), "missing": len(values) - len(known)}
    if len(known):
        with numpy.errstate(over="ignore", invalid="ignore"):
            named = {"low": known.min(), "high": known.max(), "mean": known.mean(), "deviation": known.std()}
        facts |= {name: _number(value) for name, value in named.items()}
    return facts


def _plain(values: Any) -> list[float | None]:
    return [_number(one) for one in values.tolist()]


def _number(value: float) -> float | None:
    """A number that JSON has."""
    return float(value) if math.isfinite(value) else None


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
