"""What `history conditions` reads and writes: a file of times, a table on the terminal or in a file."""

from __future__ import annotations

import csv
import math
import time
from pathlib import Path
from typing import Any, cast

from countingroom.cli.conditions_table import arrow, opened
from countingroom.cli.output import print_json, print_table
from countingroom.core.errors import ConfigurationError, RequestError
from countingroom.core.times import format_time, parse_time
from countingroom.core.values import Quality


def show(
    source: str | Path,
    points: list[str],
    *,
    run: int | None,
    result: int | None = None,
    times: Path | None,
    tolerance_s: float,
    worst: str,
    output: Path | None,
    as_json: bool,
) -> None:
    """Ask, and print or write the answer; RequestError where the options do not fit together."""
    if sum(one is not None for one in (run, result, times)) != 1:
        raise RequestError(
            "give --run, --result or --times", code="invalid", suggestion="--run 42, --result 12 or --times FILE"
        )
    if worst.upper() not in Quality.__members__:
        raise RequestError(f"there is no quality {worst}", code="invalid", suggestion="good, uncertain, stale or bad")
    if output is not None and output.suffix not in (".parquet", ".csv"):
        raise RequestError(
            f"{output.name} has no format known", code="wrong_format", suggestion="end the name with .parquet or .csv"
        )
    begins, ends = read_times(times) if times else ([], [])
    with opened(source) as asked:
        if run is not None:
            begins, ends = asked.run(run)
        if result is not None:
            begins, ends = asked.result(result)
        found = asked.columns(points, begins, ends, round(tolerance_s * 1e9), Quality[worst.upper()])
    if output:
        _write(output, arrow(begins, ends, found))
    elif as_json:
        plain = {point: {name: _plain(values) for name, values in own.items()} for point, own in found.items()}
        print_json({"begin_ns": begins, "end_ns": ends, "points": plain})
    else:
        _print(begins, ends, {point: {n: _plain(v) for n, v in own.items()} for point, own in found.items()})


def read_times(file: Path) -> tuple[list[int], list[int]]:
    """The times of a file, or begins and ends; in any form that the commands read. Empty lines are passed over.
    ConfigurationError where the file cannot be read or a line is no time."""
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = [(number, row) for number, row in enumerate(csv.reader(lines), 1) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}", source="--times") from error
    now = time.time_ns()
    found: list[list[int]] = []
    for number, row in rows:
        try:
            found.append([parse_time(cell, now_ns=now) for cell in row])
        except RequestError as error:
            raise ConfigurationError(f"{file}, line {number}: {error.cause.message}", source="--times") from error
    widths = {len(row) for row in found}
    if widths not in ({1}, {2}):
        raise ConfigurationError(
            f"{file} has lines of {', '.join(map(str, sorted(widths))) or 'no'} times",
            source="--times",
            suggestion="write one time in each line, or begin and end in each",
        )
    return [row[0] for row in found], [row[1] for row in found if len(row) > 1]


def _write(output: Path, table: Any) -> None:
    part = output.with_name(f".{output.name}.part")
    try:
        if output.suffix == ".parquet":
            import pyarrow.parquet

            parquet: Any = pyarrow.parquet
            parquet.write_table(table, part, compression="zstd")
        else:
            import pyarrow.csv

            comma: Any = pyarrow.csv
            comma.write_csv(table, part)
        part.replace(output)
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {error}", source="--output") from error
    finally:
        part.unlink(missing_ok=True)


def _plain(values: Any) -> list[Any]:
    listed = cast("list[Any]", values if isinstance(values, list) else values.tolist())
    return [None if isinstance(value, float) and math.isnan(value) else value for value in listed]


def _print(begins: list[int], ends: list[int], found: dict[str, dict[str, list[Any]]]) -> None:
    rows: list[tuple[object, ...]] = []
    if ends:
        for row, begin in enumerate(begins):
            for point, own in found.items():
                numbers = [_number(own[name][row]) for name in ("count", "low", "mean", "weighted", "high")]
                rows.append((format_time(begin), point, *numbers, f"{own['good'][row]:.1%}"))
        titles = ("begin", "point", "samples", "low", "mean", "weighted", "high", "good")
        print_table(titles, rows, numbers=titles[2:])
        return
    for row, begin in enumerate(begins):
        for point, own in found.items():
            quality, age = own["quality"][row], own["age_ns"][row]
            told = ("", "nothing recorded", "") if quality is None else (
                _number(own["value"][row]), Quality(quality).name, f"{age / 1e9:.3f}"
            )  # fmt: skip
            rows.append((format_time(begin), point, *told))
    print_table(("time", "point", "value", "quality", "age (s)"), rows, numbers=("value", "age (s)"))


def _number(value: object) -> object:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
