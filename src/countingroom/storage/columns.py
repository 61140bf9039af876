"""Column types: texts, times in ns since the Unix epoch, numbers, and JSON texts (read and written by msgspec)."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Dialect, Integer, MetaData, Text, TypeDecorator


class Json(TypeDecorator[Any]):
    """Plain values or Structs stored as JSON text; read back as plain values."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else msgspec.json.decode(value)


class PlainText(TypeDecorator[str]):
    """A text. PostgreSQL takes no NUL in one, so U+FFFD stands for it: a comment must not be lost for a character that
    is not seen."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None else value.replace("\0", "\ufffd")


Serial = BigInteger().with_variant(Integer(), "sqlite")
"""A primary key that the database increments."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def text(name: str, **more: Any) -> Column[str]:
    return Column(name, PlainText, nullable=False, **more)


def ns(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


APPEND_ONLY = (
    "configuration_revision",
    "schema_revision",
    "tag_revision",
    "layout_change",
    "run_note",
    "audit",
    "description_applied",
    "snapshot_action",
    "fleet_revision",
)
"""Append-only tables: a trigger refuses to change or delete their rows."""
