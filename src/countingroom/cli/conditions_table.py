"""Conditions as a table: from a running experiment over its API, or from the data folder of one that does not run.

`conditions` is the call for scripts and notebooks:

    from countingroom.cli.conditions_table import conditions

    frame = conditions("http://127.0.0.1:8080", ["caen.*.hv_vMon"], at=times, form="pandas")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from countingroom.core.errors import ConfigurationError, NotFound, RequestError
from countingroom.core.history_conditions import MOST_CELLS, TOLERANCE_NS
from countingroom.core.times import format_time
from countingroom.core.values import Quality, Scalar

TableForm = Literal["arrow", "pandas", "polars"]
_OF_ADDRESS = 500
"""Times of one request: a longer address would be refused."""
_AS_OF = ("value", "quality", "age_ns")
_OVER = ("count", "low", "high", "mean", "weighted", "good")

PointColumns = dict[str, dict[str, Any]]
"""Point -> name of a column -> its values, one for each time or interval."""


def conditions(
    source: str | Path,
    points: Sequence[str],
    *,
    at: Sequence[int] | None = None,
    intervals: Sequence[tuple[int, int]] | None = None,
    run: int | None = None,
    result: int | None = None,
    tolerance_ns: int = TOLERANCE_NS,
    worst: Quality = Quality.BAD,
    form: TableForm = "arrow",
) -> Any:
    """Points joined with times (ns since the epoch), intervals [begin, end), a run or a result.

    `source` is the address of a console, or the data folder of an experiment that does not run (faster, for millions
    of times). `points` are addresses or patterns. The result has a row for each time or interval, in the order given,
    and for each point the columns `<point>`, `<point>.quality` and `<point>.age_ns`, or for intervals `.count`,
    `.low`, `.high`, `.mean`, `.weighted` and `.good`. RequestError for a question that makes no sense, NotFound for a
    point without a history, ConfigurationError where the library of `form` is not installed.
    """
    if sum(one is not None for one in (at, intervals, run, result)) != 1:
        raise RequestError(
            "one of at, intervals, run and result is needed",
            code="invalid",
            suggestion="give one of them, and one only",
        )
    if form != "arrow":
        _library(form)  # before the work
    begins = list(at or ()) if intervals is None else [begin for begin, _ in intervals]
    ends = [] if intervals is None else [end for _, end in intervals]
    with opened(source) as asked:
        if run is not None:
            begins, ends = asked.run(run)
        if result is not None:
            begins, ends = asked.result(result)
        found = asked.columns(points, begins, ends, tolerance_ns, worst)
    return as_form(arrow(begins, ends, found), form)


class ConditionsSource(Protocol):
    """What conditions are read from. A context manager."""

    def __enter__(self) -> ConditionsSource: ...

    def __exit__(self, *_: object) -> None: ...

    def run(self, number: int) -> tuple[list[int], list[int]]:
        """Begin and end of a run."""
        ...

    def result(self, number: int) -> tuple[list[int], list[int]]:
        """Begin and end of a result."""
        ...

    def columns(
        self, points: Sequence[str], begins: Sequence[int], ends: Sequence[int], tolerance_ns: int, worst: Quality
    ) -> PointColumns:
        """The conditions of each point that is meant."""
        ...


def opened(source: str | Path) -> ConditionsSource:
    """The source: an address begins with http."""
    return _Console(source) if isinstance(source, str) and source.startswith("http") else _Folder(Path(source))


class _Console:
    def __init__(self, url: str) -> None:
        from countingroom.cli.client import Client

        self._api = Client(url, timeout_s=120.0)

    def __enter__(self) -> ConditionsSource:
        self._api.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._api.__exit__(None, None, None)

    def run(self, number: int) -> tuple[list[int], list[int]]:
        import time

        found = self._api.exact(f"/api/v1/runs/{number}")
        if found["started_ns"] is None:
            raise NotFound(f"run {number} has not started", suggestion="give a run that has a start")
        return [found["started_ns"]], [found["ended_ns"] or time.time_ns()]

    def result(self, number: int) -> tuple[list[int], list[int]]:
        import time

        found = self._api.exact(f"/api/v1/results/{number}")
        return [found["started_ns"]], [found["ended_ns"] or time.time_ns()]

    def columns(
        self, points: Sequence[str], begins: Sequence[int], ends: Sequence[int], tolerance_ns: int, worst: Quality
    ) -> PointColumns:
        names = _OVER if ends else _AS_OF
        meant = meant_points(points, self._api.exact("/api/v1/history/points")["points"])
        found: PointColumns = {point: {name: [] for name in names} for point in meant}
        for part in _parts(meant, 100):
            together = max(1, min(_OF_ADDRESS, MOST_CELLS // len(part)))
            for first in range(0, len(begins), together):
                begin = [format_time(one) for one in begins[first : first + together]]
                end = [format_time(one) for one in ends[first : first + together]]
                when: Mapping[str, Any] = {"from": begin, "to": end} if end else {"at": begin}
                answer = self._api.exact(
                    "/api/v1/history/conditions",
                    point=part,
                    tolerance=tolerance_ns / 1e9,
                    worst=int(worst),
                    **when,
                )
                for one in answer["points"]:
                    for name in names:
                        found[one["point"]][name] += one[name]
        return found


def _not_in_folder(what: str, kind: str) -> RequestError:
    return RequestError(
        f"{what}, which a data folder alone does not answer",
        code="invalid",
        suggestion=f"ask the console of the running experiment, or give the times of the {kind}",
    )


class _Folder:
    def __init__(self, data: Path) -> None:
        from countingroom.history.duckdb_store import DuckStore

        file = data / "history" / "history.duckdb"
        if not file.exists():
            raise ConfigurationError(
                f"{data} has no history", source="--data", suggestion="give the data folder of the experiment"
            )
        self._store = DuckStore(file, read_only=True)

    def __enter__(self) -> ConditionsSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def run(self, number: int) -> tuple[list[int], list[int]]:
        raise _not_in_folder(f"run {number} is in the run book", "run")

    def result(self, number: int) -> tuple[list[int], list[int]]:
        raise _not_in_folder(f"result {number} is in the index of results", "result")

    def columns(
        self, points: Sequence[str], begins: Sequence[int], ends: Sequence[int], tolerance_ns: int, worst: Quality
    ) -> PointColumns:
        import numpy as np

        from countingroom.history import conditions as bulk

        meant = meant_points(points, self._store.points())
        begin, end = np.array(begins, np.int64), np.array(ends, np.int64)
        if ends:
            over = {name: bulk.over(self._store, name, begin, end, tolerance_ns) for name in meant}
            return {name: {column: getattr(one, column) for column in _OVER} for name, one in over.items()}
        return {name: bulk.as_of(self._store, name, begin, tolerance_ns).columns(int(worst)) for name in meant}


def meant_points(patterns: Sequence[str], known: Sequence[str] | Mapping[str, object]) -> list[str]:
    """The points that addresses and patterns mean, each once; NotFound where one means none."""
    found: dict[str, None] = {}
    for pattern in patterns:
        meant = [name for name in known if name == pattern or fnmatchcase(name, pattern)]
        if not meant:
            raise NotFound(
                f"there is no history of {pattern}",
                suggestion="look up the points that have one: countingroom history points",
            )
        found |= dict.fromkeys(meant)
    return list(found)


def arrow(begins: Sequence[int], ends: Sequence[int], found: PointColumns) -> Any:
    """The table, with times in UTC."""
    import pyarrow

    library: Any = pyarrow
    time = library.timestamp("ns", tz="UTC")
    columns: dict[str, Any] = {"begin" if ends else "time": library.array(begins, time)}
    if ends:
        columns["end"] = library.array(ends, time)
    for point, own in found.items():
        for name, values in own.items():
            columns[point if name == "value" else f"{point}.{name}"] = _column(library, name, values)
    return library.table(columns)


def _column(library: Any, name: str, values: Any) -> Any:
    if name in ("low", "high", "mean", "weighted", "good"):
        return library.array(values, library.float64(), from_pandas=True)
    if name in ("quality", "age_ns", "count"):
        return library.array(values, library.uint8() if name == "quality" else library.int64())
    if not isinstance(values, list):
        return library.array(values, from_pandas=True)
    listed = cast("list[Scalar]", values)
    kinds = {type(value) for value in listed if value is not None}
    if str in kinds and len(kinds) > 1:  # a point whose values were texts and numbers
        return library.array([None if value is None else str(value) for value in listed])
    if len(kinds) > 1:
        return library.array([None if value is None else float(value) for value in listed])
    return library.array(listed, None if kinds else library.float64())


def as_form(table: Any, form: TableForm) -> Any:
    """The Arrow table as the library of the form has it."""
    if form == "pandas":
        _library(form)
        return table.to_pandas()
    return _library(form).from_arrow(table) if form == "polars" else table


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f"{name} is not installed", source="form", suggestion=f"pip install {name}, or take the Arrow table"
        ) from error


def _parts(names: list[str], size: int) -> Iterator[list[str]]:
    for first in range(0, len(names), size):
        yield names[first : first + size]
