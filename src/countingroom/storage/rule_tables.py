"""The table of rules: whether each is armed, and its last firing."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from countingroom.storage.columns import metadata, text

rule = Table(
    "rule",
    metadata,
    text("name", primary_key=True),
    Column("saved", Text, nullable=False),
)
"""`saved` is the JSON text of a `SavedRule`, so that a field which a later version adds needs no migration."""
