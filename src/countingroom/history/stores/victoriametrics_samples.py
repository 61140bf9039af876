"""Samples as series of VictoriaMetrics, and back. Pure.

A series is a name of a metric with labels; its samples are doubles at times in ms. One sample of a point is

- `countingroom_value{device, point, kind}`: the number; 0 and 1 for a bool. `kind`: `int`, `bool`, missing for floats,
- `countingroom_text{device, point, text}`: 1 where the point had this text,
- `countingroom_quality{device, point}`: 1 UNCERTAIN, 2 STALE, 3 BAD. A GOOD sample has none.

Of several samples of a point in one ms the last is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import groupby

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from countingroom.core.values import Quality
from countingroom.history.columns import Columns, Kind
from countingroom.history.stores.line_protocol import address

MS = 1_000_000
MANY = 2**31
"""From this limit on all samples are read at once."""
FEW = 200
"""Points that one selector names."""
_KINDS = {Kind.INT: "int", Kind.BOOL: "bool"}
_NUMBERS = {"int": Kind.INT, "bool": Kind.BOOL}


class SeriesLine(Struct, frozen=True):
    """Samples of one series: a line of an import or an export."""

    metric: dict[str, str]
    values: list[float | None]
    timestamps: list[int]


class SeriesLabels(Struct, frozen=True):
    """The labels of series that a server has."""

    data: list[dict[str, str]] = []


Key = tuple[tuple[str, str], ...]
"""The labels of a series, in order."""

_decoder = msgspec.json.Decoder(SeriesLine)


def parse(body: bytes) -> list[SeriesLine]:
    """The lines of an export."""
    return [_decoder.decode(line) for line in body.splitlines() if line.strip()]


def encode(lines: Iterable[SeriesLine]) -> bytes:
    """Lines for an import."""
    return b"\n".join(map(msgspec.json.encode, lines))


def key(line: SeriesLine) -> Key:
    """Which series it is."""
    return tuple(sorted(line.metric.items()))


def selector(metrics: str, **labels: str | Collection[str]) -> str:
    """Series by label: one value, or any of several. `metrics`: a regular expression of their names."""
    parts = [f"__name__=~{_quoted(metrics)}"]
    for name, value in labels.items():
        if isinstance(value, str):
            parts.append(f"{name}={_quoted(value)}")
        else:
            parts.append(f"{name}=~{_quoted('|'.join(map(_literal, value)))}")
    return f"{{{','.join(parts)}}}"


def lines(columns: Columns, prefix: str) -> list[SeriesLine]:
    """The samples as lines, those of a series together and in order of time, one of each point for each ms."""
    rows = _kept_rows(columns)
    good = (columns.kind == Kind.FLOAT) & (columns.quality == Quality.GOOD) & np.isfinite(columns.number)
    found: dict[Key, SeriesLine] = {}
    others: list[int] = rows[~good[rows]].tolist()
    for row in others:
        where = address(columns.names[row])
        for metric, value in _odd(columns, row, prefix):
            metric |= {"device": where.device, "point": where.point}
            line = found.setdefault(tuple(sorted(metric.items())), SeriesLine(metric, [], []))
            line.values.append(value)
            line.timestamps.append(int(columns.time_ns[row]) // MS)
    plain = _plain(columns, rows[good[rows]], prefix)
    for line in plain:
        if also := found.pop(key(line), None):
            rows_of = sorted(zip(line.timestamps + also.timestamps, line.values + also.values, strict=True))
            line.timestamps[:], line.values[:] = (list(part) for part in zip(*rows_of, strict=True))
    return [*plain, *found.values()]


def columns(found: Iterable[SeriesLine], prefix: str) -> Columns:
    """The samples of an export, point by point and in order of time."""
    by_name: dict[str, dict[int, _Sample]] = {}
    for line in found:
        samples = by_name.setdefault(f"{line.metric['device']}.{line.metric['point']}", {})
        metric = line.metric["__name__"].removeprefix(f"{prefix}_")
        for value, at_ms in zip(line.values, line.timestamps, strict=True):
            sample = samples.setdefault(at_ms, _Sample())
            if value is None:
                continue
            if metric == "quality":
                sample.quality = int(value)
            elif metric == "text":
                sample.text = line.metric.get("text", "")
            else:
                sample.number = value
                sample.kind = _NUMBERS.get(line.metric.get("kind", ""), Kind.FLOAT)
    rows = [(name, at_ms, samples[at_ms]) for name, samples in sorted(by_name.items()) for at_ms in sorted(samples)]
    return _columns(rows)


class _Sample(Struct):
    number: float = np.nan
    kind: int = Kind.FLOAT
    quality: int = Quality.GOOD
    text: str | None = None


def _columns(rows: list[tuple[str, int, _Sample]]) -> Columns:
    time = np.array([at_ms * MS for _, at_ms, _ in rows], np.int64)
    nothing = np.zeros(len(rows), np.int64)
    texts = {place: row[2].text for place, row in enumerate(rows) if row[2].text is not None}
    number = np.array([sample.number for _, _, sample in rows], np.float64)
    kind = np.array([sample.kind for _, _, sample in rows], np.uint8)
    quality = np.array([sample.quality for _, _, sample in rows], np.uint8)
    for place in texts:
        number[place], kind[place] = np.nan, Kind.TEXT
    number[quality == Quality.BAD] = np.nan
    kind[(quality == Quality.BAD)] = Kind.FLOAT
    return Columns(
        names=[name for name, _, _ in rows],
        time_ns=time,
        number=number,
        kind=kind,
        quality=quality,
        device_ns=time,
        received_ns=time,
        sent_ns=nothing,
        place=nothing,
        alarm=nothing.astype(np.uint8),
        whole=nothing.astype(np.uint8),
        texts={place: text for place, text in texts.items() if quality[place] != Quality.BAD},
    )


def without(wanted: Iterable[SeriesLine], present: Mapping[Key, set[int]]) -> list[SeriesLine]:
    """The samples that are not there yet. `present`: times in ms, by series."""
    found: list[SeriesLine] = []
    for line in wanted:
        there = present.get(key(line), set())
        rows = [row for row, at_ms in enumerate(line.timestamps) if at_ms not in there] if there else None
        if rows is None:
            found.append(line)
        elif rows:
            found.append(
                SeriesLine(line.metric, [line.values[row] for row in rows], [line.timestamps[row] for row in rows])
            )
    return found


def _kept_rows(columns: Columns) -> NDArray[np.int64]:
    """By point, in order of time: the last row of each point and ms."""
    ids = {name: place for place, name in enumerate(dict.fromkeys(columns.names))}
    point = np.fromiter(map(ids.__getitem__, columns.names), np.int64, len(columns))
    at_ms = columns.time_ns // MS
    order = np.lexsort((at_ms, point))  # stable: rows of one ms stay in order
    point, at_ms = point[order], at_ms[order]
    last = np.append((point[1:] != point[:-1]) | (at_ms[1:] != at_ms[:-1]), True)
    return order[last[: len(order)]]


def _plain(columns: Columns, rows: NDArray[np.int64], prefix: str) -> list[SeriesLine]:
    """Good floats, which nearly all samples are. The rows are by point, in order of time."""
    places: list[int] = rows.tolist()
    names = [columns.names[row] for row in places]
    values: list[float | None] = columns.number[rows].tolist()
    times: list[int] = (columns.time_ns[rows] // MS).tolist()
    found: list[SeriesLine] = []
    begin = 0
    for name, same in groupby(names):
        end = begin + sum(1 for _ in same)
        where = address(name)
        metric = {"__name__": f"{prefix}_value", "device": where.device, "point": where.point}
        found.append(SeriesLine(metric, values[begin:end], times[begin:end]))
        begin = end
    return found


def _odd(columns: Columns, row: int, prefix: str) -> Iterable[tuple[dict[str, str], float]]:
    """The samples of a row that is no good float."""
    number, quality = float(columns.number[row]), int(columns.quality[row])
    if row in columns.texts:
        text = columns.texts[row]  # an empty label is none
        yield {"__name__": f"{prefix}_text"} | ({"text": text} if text else {}), 1.0
    elif np.isfinite(number):
        kind = _KINDS.get(Kind(int(columns.kind[row])))
        yield {"__name__": f"{prefix}_value"} | ({"kind": kind} if kind else {}), number
    else:
        quality = int(Quality.BAD)  # an infinite number is none here
    if quality != Quality.GOOD:
        yield {"__name__": f"{prefix}_quality"}, float(quality)


def _literal(word: str) -> str:
    """A word in a regular expression of RE2."""
    return "".join(sign if sign.isalnum() or sign == "_" else f"\\{sign}" for sign in word)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
