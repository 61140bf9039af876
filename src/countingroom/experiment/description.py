"""Law: the description is its departments' sections side by side; this file adds only the experiment's own name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from countingroom.bus.description import BusSection
from countingroom.console.description import ConsoleSection
from countingroom.core.yaml.section import Name, Section
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.devices.description import DevicesSection
from countingroom.history.description import HistorySection
from countingroom.runs.description import RunsSection
from countingroom.storage.description import StorageSection


class About(Section):
    """What is being run."""

    name: Name
    """Short, for addresses and file names: `tracker_cleanroom`."""
    title: str = ""
    """For people, on every page; the name where empty."""


class Experiment(Section):
    """An experiment, whole."""

    experiment: About
    """Its name and title."""
    bus: BusSection = BusSection()
    """What carries everything; the embedded server where left out."""
    devices: DevicesSection = DevicesSection()
    """Device name -> its driver and settings."""
    history: HistorySection = HistorySection()
    """Where time series are kept, and how long."""
    storage: StorageSection = StorageSection()
    """Where configurations, the run book and accounts are kept; beside the other data where left out."""
    console: ConsoleSection = ConsoleSection()
    """The API and the pages."""
    runs: RunsSection = RunsSection()
    """What is brought up together and takes data: systems, partitions, configurations."""

    @property
    def title(self) -> str:
        """For people."""
        return self.experiment.title or self.experiment.name

    def problems(self) -> Iterable[tuple[tuple[str, ...], str]]:
        """What one section says of another that is not so."""
        for name, device in self.runs.followed.items():
            if device not in self.devices.root:
                hint = did_you_mean(device, self.devices.root)
                yield ("runs", "systems", name, "agent", "device"), f"there is no device {device}{hint}"


def schema() -> dict[str, Any]:
    """JSON Schema of one description file, for editors: sections and `include`."""
    made = Experiment.model_json_schema()
    names = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    made["properties"]["include"] = {
        "description": "More files of this form, relative to this one; `*` stands for any name.",
        **names,
    }
    made["patternProperties"] = {"^x-": {"description": "Ignored: a place for YAML anchors."}}
    # A file that is included may have any part of the sections.
    made.pop("required", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_spelled(made)}


_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


def _spelled(node: Any) -> Any:
    """Bounds of what may be a number or a text (durations) in the words of JSON Schema; pydantic leaves its own."""
    if isinstance(node, dict):
        pairs = cast(dict[str, Any], node).items()
        return {
            _BOUNDS.get(key, key) if isinstance(value, int | float) else key: _spelled(value) for key, value in pairs
        }
    if isinstance(node, list):
        return [_spelled(one) for one in cast(list[Any], node)]
    return node
