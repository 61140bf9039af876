"""Samples as lines of InfluxDB's line protocol. Pure.

One sample is one line: measurement `readings`, tags `device` and `point`, and the fields

- `value` (float): the number; 0 and 1 for a bool; missing where there is none,
- `text` (string): the text of a text point,
- `quality` (integer): 1 UNCERTAIN, 2 STALE, 3 BAD; missing, or 0, for GOOD,
- `kind` (integer): 1 int, 2 bool; missing for floats and texts,
- `device_off` (integer): time of the device less time of the sample, in ns; missing where it is 0.

A line with the time of an earlier one of its point adds its fields to those that are there. So the first GOOD sample
after another one says `quality=0`, in case it has the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from msgspec import Struct

from countingroom.core.values import Quality
from countingroom.history.columns import Columns, Kind

READINGS = "readings"
_BREAKS = str.maketrans({",": "\\,", " ": "\\ ", "=": "\\=", "\n": "\\ ", "\r": "\\ "})
_QUOTED = str.maketrans({'"': '\\"', "\\": "\\\\"})
_MOST_TEXT = 60_000
"""Characters of a text; InfluxDB takes 64 KB."""


class Address(Struct, frozen=True):
    """The two tags of a point."""

    device: str
    point: str


def address(name: str) -> Address:
    """`caen.0.lv_vMon` -> device `caen`, point `0.lv_vMon`."""
    device, _, point = name.partition(".")
    return Address(device, point)


def key(measurement: str, tags: Iterable[tuple[str, str]]) -> str:
    """`measurement,tag=value,...`. A tag without a value is left out: the protocol has none."""
    parts = [_escaped(measurement), *(f"{_escaped(name)}={_escaped(value)}" for name, value in tags if value)]
    return ",".join(parts)


def quoted(text: str) -> str:
    """A string field."""
    return f'"{text[:_MOST_TEXT].translate(_QUOTED)}"'


def readings_key(name: str) -> str:
    """The key of a point's series."""
    where = address(name)
    return key(READINGS, (("device", where.device), ("point", where.point)))


def lines(columns: Columns, key_of: Callable[[str], str], doubtful: set[str]) -> list[str]:
    """The samples, one line each. `key_of`: measurement and tags of a point, from a cache of the caller. `doubtful`:
    points whose last sample was not GOOD; kept up to date here, from call to call."""
    names, times = columns.names, columns.time_ns.tolist()
    found = [
        f"{key_of(name)} value={number!r} {time}"
        for name, number, time in zip(names, columns.number.tolist(), times, strict=True)
    ]
    special = (
        (columns.kind != Kind.FLOAT)
        | (columns.quality != Quality.GOOD)
        | ~np.isfinite(columns.number)
        | (columns.device_ns != columns.time_ns)
    )
    rows: Iterable[int] = np.flatnonzero(special).tolist()
    if doubtful or (columns.quality != Quality.GOOD).any():
        changed = doubtful.union(names[row] for row in rows)
        rows = [row for row, name in enumerate(names) if name in changed]
    for row in rows:
        found[row] = f"{key_of(names[row])} {_fields(columns, row, doubtful)} {times[row]}"
    return found


def _fields(columns: Columns, row: int, doubtful: set[str]) -> str:
    number, kind, quality = float(columns.number[row]), int(columns.kind[row]), int(columns.quality[row])
    name = columns.names[row]
    found: list[str] = []
    if row in columns.texts:
        found.append(f"text={quoted(columns.texts[row])}")
    elif np.isfinite(number):
        found.append(f"value={number!r}")
    else:
        quality = int(Quality.BAD)  # an infinite number cannot be stored
    if quality != Quality.GOOD or name in doubtful:
        found.append(f"quality={quality}i")
    if quality == Quality.GOOD:
        doubtful.discard(name)
    else:
        doubtful.add(name)
    if kind in (Kind.INT, Kind.BOOL) and np.isfinite(number):
        found.append(f"kind={kind}i")
    if off := int(columns.device_ns[row] - columns.time_ns[row]):
        found.append(f"device_off={off}i")
    return ",".join(found)


def _escaped(word: str) -> str:
    # A backslash at the end would escape what follows it. The protocol cannot write it.
    return word.rstrip("\\").translate(_BREAKS)
