"""Samples as PostgreSQL takes them: the binary format of COPY, made by NumPy for all rows at once. Pure.

Rows of numbers have the same length each, so they are one array. Texts are rare, and made one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from countingroom.history.columns import Columns, Integers

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
EPOCH_NS = 946_684_800_000_000_000
"""2000-01-01, where the time of PostgreSQL begins. It counts microseconds."""

_COLUMNS: tuple[tuple[str, str], ...] = (
    ("time", ">i8"),
    ("device_ns", ">i8"),
    ("received_ns", ">i8"),
    ("sent_ns", ">i8"),
    ("point", ">i4"),
    ("place", ">i4"),
    ("nanosecond", ">i2"),
    ("kind", ">i2"),
    ("quality", ">i2"),
    ("alarm", ">i2"),
    ("whole", ">i1"),
    ("number", ">f8"),
)
NAMES = (*(name for name, _ in _COLUMNS), "text")
_FIELDS = len(NAMES)


def rows(columns: Columns, point: Integers) -> Iterator[bytes]:
    """The rows, between SIGNATURE and END; `point` are the keys of the points of all rows."""
    found = _values(columns, point)
    is_text = np.zeros(len(columns), np.bool_)
    is_text[list(columns.texts)] = True
    has_number = ~np.isnan(columns.number)
    if (has_number & ~is_text).any():
        yield _same_length(found, has_number & ~is_text, with_number=True)
    if (nothing := ~has_number | is_text).any():
        yield from _others(found, np.flatnonzero(nothing), columns.texts)


def _values(columns: Columns, point: Integers) -> dict[str, Any]:
    since = columns.time_ns - EPOCH_NS
    return {
        "time": since // 1000,
        "nanosecond": since % 1000,
        "point": point,
        **{name: getattr(columns, name) for name, _ in _COLUMNS if name not in ("time", "nanosecond", "point")},
    }


def _layout(*, with_number: bool) -> np.dtype[Any]:
    parts: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in _COLUMNS:
        parts.append((f"size of {name}", ">i4"))
        if with_number or name != "number":
            parts.append((name, kind))
    return np.dtype([*parts, ("size of text", ">i4")])


def _same_length(found: dict[str, Any], chosen: Any, *, with_number: bool) -> bytes:
    """Rows that all have a number, or all have none, and no text."""
    layout = _layout(with_number=with_number)
    made = np.empty(np.count_nonzero(chosen) if chosen.dtype == np.bool_ else len(chosen), layout)
    made["fields"] = _FIELDS
    made["size of text"] = -1
    for name, kind in _COLUMNS:
        if with_number or name != "number":
            made[f"size of {name}"] = np.dtype(kind).itemsize
            made[name] = found[name][chosen]
        else:
            made[f"size of {name}"] = -1
    return made.tobytes()


def _others(found: dict[str, Any], chosen: Integers, texts: dict[int, str]) -> Iterator[bytes]:
    """Rows without a number, some with a text in place of its missing mark."""
    whole = _same_length(found, chosen, with_number=False)
    size = _layout(with_number=False).itemsize
    for place, row in enumerate(chosen.tolist()):
        one = whole[place * size : (place + 1) * size]
        if row in texts:
            text = texts[row].replace("\0", "").encode(errors="replace")
            one = one[:-4] + struct.pack(">i", len(text)) + text
        yield one


def columns(found: Sequence[tuple[Any, ...]], names: dict[int, str]) -> Columns:
    """Rows with the columns NAMES, where `time` is microseconds since 2000."""
    by_name: dict[str, Any] = (
        dict(zip(NAMES, zip(*found, strict=True), strict=True)) if found else dict.fromkeys(NAMES, ())
    )

    def array(name: str, kind: Any) -> Any:
        return np.array([0 if value is None else value for value in by_name[name]], kind)

    return Columns(
        names=[names[key] for key in by_name["point"]],
        time_ns=array("time", np.int64) * 1000 + EPOCH_NS + array("nanosecond", np.int64),
        number=np.array([np.nan if value is None else value for value in by_name["number"]], np.float64),
        texts={row: text for row, text in enumerate(by_name["text"]) if text is not None},
        **{name: array(name, np.uint8) for name in ("kind", "quality", "alarm", "whole")},
        **{name: array(name, np.int64) for name in ("device_ns", "received_ns", "sent_ns", "place")},
    )
