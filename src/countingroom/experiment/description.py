"""The model of a description: the experiment's own keys and the sections of the departments' table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import BaseModel, Field, create_model

from countingroom.alarms.description import AlarmsSection
from countingroom.bus.description import BusSection
from countingroom.core.yaml.field_texts import SchemaWithTexts
from countingroom.core.yaml.section import AreaName, Name, Reference, Section
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.departments import DEPARTMENTS, Department, load
from countingroom.storage.description import StorageSection

Part = TypeVar("Part", bound=BaseModel)


class About(Section):
    """Name and title of the experiment."""

    name: Name
    """Short name, used in addresses and file names: `tracker_cleanroom`."""
    title: str = ""
    """Title on every page of the console; the name where empty."""


class Experiment(Section):
    """A complete experiment."""

    experiment: About
    """Its name and title."""
    bus: BusSection = BusSection()
    """The message bus; the embedded server where left out."""
    storage: StorageSection = StorageSection()
    """The database of configurations, the run book and accounts; a file in the data folder where left out."""

    @property
    def title(self) -> str:
        """Title for display; the name where there is none."""
        return self.experiment.title or self.experiment.name

    @property
    def sections(self) -> dict[str, BaseModel]:
        """Key -> section."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: section for name, section in found.items() if isinstance(section, BaseModel)}

    def section(self, model: type[Part]) -> Part:
        """The section of this model; LookupError where the departments have none."""
        for found in self.sections.values():
            if isinstance(found, model):
                return found
        raise LookupError(f"no department has a section {model.__name__}")

    @property
    def own_areas(self) -> dict[str, str]:
        """Thing -> the area that it names: `device.caen` -> `power/hv`."""
        return {one.subject: one.area for _, one in self._named_areas()}

    def _named_areas(self) -> Iterator[tuple[str, AreaName]]:
        for key, section in self.sections.items():
            given = getattr(section, "own_areas", None)
            for one in cast("Iterable[AreaName]", given() if given else ()):
                yield key, one

    def problems(self) -> Iterable[tuple[tuple[str, ...], str]]:
        """References to names that do not exist in the section they refer to, and areas that do not exist."""
        known = self.section(AlarmsSection).all_areas() if "alarms" in self.sections else {}
        for key, one in self._named_areas():
            if one.area not in known:
                yield (key, *one.path), f"there is no area {one.area}{did_you_mean(one.area, known)}"
        for key, section in self.sections.items():
            references = getattr(section, "references", None)
            for reference in cast("Iterable[Reference]", references() if references else ()):
                known = getattr(self, reference.section).root
                if reference.name not in known:
                    hint = did_you_mean(reference.name, known)
                    yield (key, *reference.path), f"there is no {reference.kind} {reference.name}{hint}"


@cache
def experiment_model(departments: tuple[Department, ...] = DEPARTMENTS) -> type[Experiment]:
    """The model with the sections of these departments."""
    sections = [department.section for department in departments if department.section]
    fields: dict[str, Any] = {
        section.key: (model, Field(default=model(), description=section.about))
        for section in sections
        for model in [load(section.model)]
    }
    return create_model("Experiment", __base__=Experiment, __doc__=Experiment.__doc__, **fields)


def schema(departments: Sequence[Department] = DEPARTMENTS) -> dict[str, Any]:
    """JSON Schema of one description file, for editors: sections and `include`."""
    made = experiment_model(tuple(departments)).model_json_schema(schema_generator=SchemaWithTexts)
    names = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    made["properties"]["include"] = {
        "description": "More files of this form, relative to this one; `*` stands for any name.",
        **names,
    }
    made["patternProperties"] = {"^x-": {"description": "Ignored: a place for YAML anchors."}}
    # An included file may contain any part of the sections, so no key is required.
    made.pop("required", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_with_schema_bounds(made)}


_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


def _with_schema_bounds(node: Any) -> Any:
    """The bounds of durations under the names of JSON Schema: pydantic writes its own (`ge`) where a value may be a
    number or a text."""
    if isinstance(node, dict):
        pairs = cast(dict[str, Any], node).items()
        return {
            _BOUNDS.get(key, key) if isinstance(value, int | float) else key: _with_schema_bounds(value)
            for key, value in pairs
        }
    if isinstance(node, list):
        return [_with_schema_bounds(one) for one in cast(list[Any], node)]
    return node
