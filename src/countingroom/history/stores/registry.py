"""The kinds of further stores, and the module that opens each. An adapter is imported only where it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from countingroom.departments import load
from countingroom.history.stores.port import FurtherStore
from countingroom.history.stores.section import StoreSection
from countingroom.history.stores.tracker_layout import TrackerField

OPENERS = {
    "influxdb": "countingroom.history.stores.influxdb:InfluxStore",
    "postgresql": "countingroom.history.stores.postgresql:PostgresqlStore",
    "victoriametrics": "countingroom.history.stores.victoriametrics:VictoriaMetricsStore",
}
"""Key in a `StoreSection` -> path of what makes the store from its name, its settings and the deadline in seconds."""


def open_store(name: str, section: StoreSection, tracker: Mapping[str, TrackerField] | None = None) -> FurtherStore:
    """The store of this section, not connected yet. `tracker`: what the points are in `layout: tracker` of InfluxDB."""
    opener: Callable[..., FurtherStore] = load(OPENERS[section.kind])
    more: dict[str, Any] = {"tracker": tracker} if section.influxdb else {}
    return opener(name, section.settings, section.timeout, **more)
