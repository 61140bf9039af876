"""Conversion between rows and frozen values. A column fills the field of the same name; other columns are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Executable

S = TypeVar("S", bound=Struct)


def value(row: Mapping[Any, Any], kind: type[S], **more: Any) -> S:
    """One row as a value. `more`: fields from other tables."""
    fields = {field: row[field] for field in kind.__struct_fields__ if field not in more and field in row}
    return msgspec.convert({**fields, **more}, kind)


def every(connection: Connection, query: Executable, kind: type[S]) -> tuple[S, ...]:
    """All rows of a query."""
    return tuple(value(row, kind) for row in connection.execute(query).mappings())


def first(connection: Connection, query: Executable, kind: type[S]) -> S | None:
    """The first row of a query; None if it is empty."""
    row = connection.execute(query).mappings().first()
    return None if row is None else value(row, kind)


def columns(of: Struct, *but: str) -> dict[str, Any]:
    """The fields of a value, ready to be written."""
    return {field: getattr(of, field) for field in of.__struct_fields__ if field not in but}
