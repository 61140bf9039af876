# ruff: noqa: S608 (names and texts are put into statements by `identifier` and `literal`)
"""Questions in InfluxQL, and answers as columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from countingroom.core.values import Quality
from countingroom.history.columns import Columns, Kind
from countingroom.history.stores.line_protocol import READINGS, address

POSITION = "countingroom_position"
"""Measurement of the position, with tag `store` and fields `sequence` and `stored_ns`."""
VALUES = ("value", "text", "quality")
"""Fields of which each sample has one at least."""
_FIELDS = ("value", "text", "quality", "kind", "device_off")
MOST_NAMES = 200
"""Points of one question."""


class ResultSeries(Struct, frozen=True):
    """One series of an answer."""

    columns: list[str]
    values: list[list[Any]] = []
    tags: dict[str, str] = {}


class Result(Struct, frozen=True):
    """The answer to one statement."""

    series: list[ResultSeries] = []
    error: str = ""


class QueryAnswer(Struct, frozen=True):
    """One document of an answer."""

    results: list[Result] = []
    error: str = ""


_decoder = msgspec.json.Decoder(QueryAnswer)


def parse(body: bytes) -> tuple[list[ResultSeries], str]:
    """All series of an answer, which may be several documents; and the error in it, or an empty text."""
    found: list[ResultSeries] = []
    for line in body.splitlines():
        if line.strip():
            answer = _decoder.decode(line)
            if error := answer.error or next((result.error for result in answer.results if result.error), ""):
                return found, error
            found += [series for result in answer.results for series in result.series]
    return found, ""


def identifier(name: str) -> str:
    """A name in double quotes."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def literal(text: str) -> str:
    """A text in single quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def samples(names: Sequence[str], start_ns: int, end_ns: int, *, limit: int = 0, newest_first: bool = False) -> str:
    """The samples of points in [start_ns, end_ns); `limit` is for each of them, 0: all."""
    order = "DESC" if newest_first else "ASC"
    cut = f" LIMIT {limit}" if limit else ""
    return (
        f"SELECT {', '.join(map(identifier, _FIELDS))} FROM {identifier(READINGS)} WHERE ({_any_of(names)}) "
        f'AND time >= {start_ns} AND time < {end_ns} GROUP BY "device", "point" ORDER BY time {order}{cut}'
    )


def known(field: str) -> str:
    """The points that have this field."""
    return f'SELECT last({identifier(field)}) FROM {identifier(READINGS)} GROUP BY "device", "point"'


def newest_position(store: str) -> str:
    """The position that was written last."""
    return (
        f'SELECT "sequence", "stored_ns" FROM {identifier(POSITION)} WHERE "store" = {literal(store)} '
        "ORDER BY time DESC LIMIT 1"
    )


def names_of(series: Iterable[ResultSeries]) -> list[str]:
    """The addresses of the points of an answer."""
    return [f"{one.tags['device']}.{one.tags['point']}" for one in series]


def columns(series: Sequence[ResultSeries]) -> Columns:
    """The samples of an answer to `samples`, one series after the other."""
    rows = [row for one in series for row in one.values]
    names = [name for one, name in zip(series, names_of(series), strict=True) for _ in one.values]
    time = np.array([row[0] for row in rows], np.int64)
    quality = np.array([Quality.GOOD if row[3] is None else int(row[3]) for row in rows], np.uint8)
    texts = {place: row[2] for place, row in enumerate(rows) if row[2] is not None and quality[place] != Quality.BAD}
    number = np.array([np.nan if row[1] is None else row[1] for row in rows], np.float64)
    number[(quality == Quality.BAD)] = np.nan
    kind = np.array([row[4] or 0 for row in rows], np.uint8)
    kind[np.isnan(number)] = Kind.FLOAT
    for place in texts:
        number[place], kind[place] = np.nan, Kind.TEXT
    nothing = np.zeros(len(rows), np.int64)
    return Columns(
        names=names,
        time_ns=time,
        number=number,
        kind=kind,
        quality=quality,
        device_ns=time + np.array([row[5] or 0 for row in rows], np.int64),
        received_ns=time,
        sent_ns=nothing,
        place=nothing,
        alarm=nothing.astype(np.uint8),
        whole=nothing.astype(np.uint8),
        texts=texts,
    )


def _any_of(names: Iterable[str]) -> str:
    addresses = map(address, names)
    return " OR ".join(f'("device" = {literal(one.device)} AND "point" = {literal(one.point)})' for one in addresses)
