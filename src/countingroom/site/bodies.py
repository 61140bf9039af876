"""Reads the bodies of public records: what a policy let out may lack any field, and have either name of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

Body = Mapping[str, Any]


def text(body: Body, *names: str) -> str:
    """The first of these fields that is there, as text; empty without one."""
    found = _first(body, names)
    return "" if found is None else str(found)


def number(body: Body, *names: str) -> float | None:
    """The first of these fields that is a number."""
    found = _first(body, names)
    return float(found) if _is_number(found) else None


def whole(body: Body, *names: str) -> int | None:
    """The first of these fields that is a number, as a whole one."""
    found = number(body, *names)
    return None if found is None else int(found)


def flag(body: Body, *names: str) -> bool:
    """Whether the first of these fields that is there is true."""
    return bool(_first(body, names))


def time_s(body: Body, *names: str) -> float | None:
    """The first of these fields that is a time, in s since 1970: ISO 8601, or s, ms, µs or ns since 1970."""
    found = _first(body, names)
    if isinstance(found, str):
        try:
            at = datetime.fromisoformat(found)
        except ValueError:
            return None
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if not _is_number(found) or found <= 0:
        return None
    for least, unit in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)):
        if found >= least:
            return float(found) / unit
    return float(found)


def table(body: Body, *names: str) -> Body:
    """The first of these fields that is a table; an empty one without."""
    found = _first(body, names)
    return cast("Body", found) if isinstance(found, Mapping) else {}


def tables(body: Body, *names: str) -> Iterator[tuple[str, Body]]:
    """The tables within the first of these fields that is a table."""
    for name, inner in table(body, *names).items():
        if isinstance(inner, Mapping):
            yield name, cast("Body", inner)


def numbers(body: Body, *names: str) -> list[float | None]:
    """A list of numbers; what is none is None."""
    found = _first(body, names)
    given = cast("list[Any]", found) if isinstance(found, list) else []
    return [float(one) if _is_number(one) else None for one in given]


def _first(body: Body, names: tuple[str, ...]) -> Any:
    for name in names:
        found: Any = body
        for part in name.split("."):
            found = cast("Body", found).get(part) if isinstance(found, Mapping) else None
        if found is not None:
            return found
    return None


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
