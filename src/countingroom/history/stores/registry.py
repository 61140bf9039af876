"""The kinds of further stores, and the module that opens each. An adapter is imported only where it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from countingroom.departments import load
from countingroom.history.stores.port import FurtherStore
from countingroom.history.stores.section import StoreSection

OPENERS = {
    "influxdb": "countingroom.history.stores.influxdb:InfluxStore",
    "postgresql": "countingroom.history.stores.postgresql:PostgresqlStore",
    "victoriametrics": "countingroom.history.stores.victoriametrics:VictoriaMetricsStore",
}
"""Key in a `StoreSection` -> path of what makes the store from its name, its settings and the deadline in seconds."""


def open_store(name: str, section: StoreSection) -> FurtherStore:
    """The store of this section, not connected yet."""
    opener: Callable[[str, Any, float], FurtherStore] = load(OPENERS[section.kind])
    return opener(name, section.settings, section.timeout)
