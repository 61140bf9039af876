"""The section `history` of the description: store, retention of each resolution, limit of disk space."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.history.stores.section import StoreSection

_DAY = 86400.0
_YEAR = 365.25 * _DAY


class Retention(Section):
    """How long each resolution is kept."""

    raw: Seconds = Field(default=30 * _DAY, gt=0)
    """Every sample of numbers and bools."""
    minute: Seconds = Field(default=2 * _YEAR, gt=0)
    """Count, min, max, mean, last and worst quality of each minute; also string points, which have no summary."""
    five_minutes: Seconds = Field(default=20 * _YEAR, gt=0)
    """The same of every five minutes."""


class HistorySection(Section):
    """The time series of all points."""

    store: Literal["duckdb"] = "duckdb"
    """What keeps them. duckdb: one file in the data directory, no server."""
    keep: Retention = Retention()
    flush: Seconds = Field(default=0.5, gt=0, le=10)
    """Readings are written to disk at least this often."""
    max_disk_gb: float = Field(default=50.0, gt=0)
    """What all of it may take: the oldest raw samples go first, summaries stay. The file, with room to be used again,
    can be twice as large."""
    memory_mb: int = Field(default=512, ge=64)
    """What the store may use for its buffers."""
    stores: dict[Name, StoreSection] = {}
    """Name -> a database of the site that gets every sample too, beside this store."""
