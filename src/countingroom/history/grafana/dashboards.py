"""A dashboard of a device, and the files that a Grafana reads when it starts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from msgspec import Struct

from countingroom.core.points import Point
from countingroom.history.grafana.panels import panels
from countingroom.history.grafana.sources import DataSource, Json, RecordsSource

_SCHEMA = 39
"""Version of the dashboard's form: that of Grafana 10.4. Later ones convert it."""


class DrawnDevice(Struct, frozen=True, kw_only=True):
    """What a dashboard shows."""

    name: str
    title: str
    group: str
    points: tuple[Point, ...]


def dashboard(experiment: str, device: DrawnDevice, source: DataSource, records: RecordsSource | None) -> Json:
    """The dashboard of a device; with `records` its alarms and the runs are marked."""
    tags = ["countingroom", experiment, *([device.group] if device.group else [])]
    return {
        "uid": f"countingroom-{device.name}"[:40],
        "title": device.title or device.name,
        "tags": tags,
        "timezone": "browser",
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": []},
        "annotations": {"list": records.annotations(device.name) if records else []},
        "links": [
            {
                "type": "dashboards",
                "title": "Devices",
                "tags": ["countingroom", experiment],
                "asDropdown": True,
                "includeVars": False,
                "keepTime": True,
                "targetBlank": False,
                "tooltip": "",
                "icon": "",
                "url": "",
            }
        ],
        "panels": panels(device.name, device.points, source),
    }


def data_sources(sources: Iterable[DataSource | RecordsSource]) -> Json:
    """The provisioning file of data sources."""
    return {"apiVersion": 1, "datasources": [source.provisioned() for source in sources]}


def provider(experiment: str, folder: PurePath) -> Json:
    """The provisioning file of dashboards. `folder`: where Grafana finds them."""
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": f"countingroom {experiment}",
                "folder": experiment,
                "type": "file",
                "disableDeletion": False,
                "allowUiUpdates": False,
                "updateIntervalSeconds": 30,
                "options": {"path": str(folder), "foldersFromFilesStructure": False},
            }
        ],
    }


def titles(devices: Sequence[DrawnDevice]) -> dict[str, str]:
    """Device -> a title that no other has: Grafana refuses two dashboards of one title in a folder."""
    found: dict[str, str] = {}
    for device in devices:
        title = device.title or device.name
        found[device.name] = title if title not in found.values() else f"{title} ({device.name})"
    return found
