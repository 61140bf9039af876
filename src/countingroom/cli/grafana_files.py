"""Writes the provisioning files for Grafana from a description: data sources, and one dashboard for each device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace

from countingroom.cli.check_devices import build_devices
from countingroom.core.errors import ConfigurationError
from countingroom.experiment import load_with_problems
from countingroom.history.description import HistorySection
from countingroom.history.grafana.dashboards import DrawnDevice, dashboard, data_sources, provider, titles
from countingroom.history.grafana.sources import (
    DataSource,
    InfluxSource,
    PostgresqlSource,
    RecordsSource,
    VictoriaMetricsSource,
)
from countingroom.history.stores.influxdb_section import InfluxSection
from countingroom.history.stores.postgresql_section import PostgresqlSection
from countingroom.history.stores.section import StoreSection
from countingroom.history.stores.victoriametrics_section import VictoriaMetricsSection
from countingroom.storage.description import StorageSection


def write_files(file: Path, folder: Path, store: str, dashboards: Path | None) -> list[Path]:
    """Write the files below `folder`; their paths. `store`: the one that the dashboards ask, empty: the first one.
    `dashboards`: where Grafana finds them, None: where they are written. ConfigurationError without a store."""
    loaded = load_with_problems(file)
    experiment = loaded.experiment
    stores = experiment.section(HistorySection).stores
    if not stores or (store and store not in stores):
        raise ConfigurationError(
            f"there is no store {store!r} in history.stores" if store else "the description has no history.stores",
            source=str(file),
            code="no_store",
            suggestion=f"choose one of {', '.join(stores)}"
            if stores
            else "describe one that Grafana can ask: influxdb",
        )
    hosted, problems = build_devices(loaded)
    if found := loaded.in_order(problems):
        raise ConfigurationError(
            f"the description has mistakes: {found[0]}",
            source=str(file),
            suggestion="countingroom check names all of them",
        )
    sources = {name: _source(name, section) for name, section in stores.items()}
    asked = sources[store or next(iter(stores))]
    url = experiment.section(StorageSection).url
    records = RecordsSource(url) if url.startswith("postgresql") else None
    devices = [
        DrawnDevice(
            name=name,
            title=device.title,
            group=device.group,
            points=device.points,
        )
        for name, device in hosted.items()
    ]
    named = titles(devices)
    at = folder / "dashboards"
    written = [
        _write(
            folder / "provisioning" / "datasources" / "countingroom.yaml",
            _yaml(data_sources([*sources.values(), *([records] if records else [])])),
        ),
        _write(
            folder / "provisioning" / "dashboards" / "countingroom.yaml",
            _yaml(provider(experiment.experiment.name, dashboards or at.resolve())),
        ),
    ]
    for device in devices:
        drawn = dashboard(experiment.experiment.name, replace(device, title=named[device.name]), asked, records)
        text = json.dumps(drawn, indent=2, ensure_ascii=False)
        written.append(_write(at / f"{device.name}.json", f"{text}\n"))
    return written


def _source(name: str, section: StoreSection) -> DataSource:
    match section.settings:
        case InfluxSection() as influx:
            return InfluxSource(name, influx)
        case VictoriaMetricsSection() as metrics:
            return VictoriaMetricsSource(name, metrics)
        case PostgresqlSection() as postgresql:
            return PostgresqlSource(name, postgresql)
        case _:
            raise ConfigurationError(f"Grafana has no data source for {section.kind}", source=f"history.stores.{name}")


def _yaml(content: dict[str, Any]) -> str:
    return "# Written by countingroom history grafana; it will be overwritten.\n" + yaml.safe_dump(
        content, sort_keys=False, allow_unicode=True
    )


def _write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
