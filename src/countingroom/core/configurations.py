"""Law: a configuration is named by its system and its tag; every change of it is a new revision, none is overwritten.

A global tag names one configuration a system, by tag. What a run had is a snapshot in the run itself, so changing a
configuration later changes what the next run gets and nothing that was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from countingroom.core.values import Scalar

Parameters = dict[str, Scalar]


class ConfigurationRevision(Struct, frozen=True, kw_only=True):
    """What one system is configured with under one tag, as it was saved once."""

    system: str
    tag: str
    revision: int
    """1, 2, 3 … of this system and tag, over deletions."""
    parameters: Parameters = {}
    saved_by: str
    saved_ns: int
    comment: str = ""
    deleted: bool = False
    """This revision says that it was taken away."""


class TagRevision(Struct, frozen=True, kw_only=True):
    """A global tag as it was saved once."""

    name: str
    revision: int
    systems: dict[str, str] = {}
    """System -> tag of its configuration."""
    saved_by: str
    saved_ns: int
    comment: str = ""
    deleted: bool = False


class SchemaRevision(Struct, frozen=True, kw_only=True):
    """The JSON Schema that every configuration of a system fits, as it was saved once."""

    system: str
    revision: int
    schema: dict[str, Any] | None = None
    """None: anything fits."""
    saved_by: str
    saved_ns: int
    comment: str = ""


class ParameterChange(Struct, frozen=True, kw_only=True):
    """One parameter that differs."""

    name: str
    before: Scalar = None
    after: Scalar = None
    added: bool = False
    removed: bool = False


class SystemChange(Struct, frozen=True, kw_only=True):
    """How one system's configuration differs."""

    system: str
    before: str
    """Tag of its configuration; empty: has none."""
    after: str
    parameters: tuple[ParameterChange, ...] = ()


def compare_parameters(before: Mapping[str, Scalar], after: Mapping[str, Scalar]) -> tuple[ParameterChange, ...]:
    """What differs, by name. `1`, `1.0` and `true` are three values."""
    changes: list[ParameterChange] = []
    for name in sorted({*before, *after}):
        if name not in before:
            changes.append(ParameterChange(name=name, after=after[name], added=True))
        elif name not in after:
            changes.append(ParameterChange(name=name, before=before[name], removed=True))
        elif before[name] != after[name] or type(before[name]) is not type(after[name]):
            changes.append(ParameterChange(name=name, before=before[name], after=after[name]))
    return tuple(changes)


def compare(
    before: Mapping[str, ConfigurationRevision], after: Mapping[str, ConfigurationRevision]
) -> tuple[SystemChange, ...]:
    """What differs between two sets of configurations (system -> what it has), by system; equal ones are left out."""
    changes: list[SystemChange] = []
    for system in sorted({*before, *after}):
        old, new = before.get(system), after.get(system)
        parameters = compare_parameters(old.parameters if old else {}, new.parameters if new else {})
        tags = (old.tag if old else "", new.tag if new else "")
        if parameters or tags[0] != tags[1]:
            changes.append(SystemChange(system=system, before=tags[0], after=tags[1], parameters=parameters))
    return tuple(changes)


def covers(tag: Mapping[str, str], systems: Iterable[str]) -> bool:
    """Whether the tag names a configuration for exactly these systems: none missing, none over."""
    return set(tag) == set(systems)


class ConfigurationSet(Struct, frozen=True, kw_only=True):
    """Configurations, tags and schemas by name, as they are taken from one database to another."""

    configurations: dict[str, dict[str, Parameters]] = {}
    """System -> tag -> parameters."""
    tags: dict[str, dict[str, str]] = {}
    """Name -> system -> tag of its configuration."""
    schemas: dict[str, dict[str, Any]] = {}
    """System -> JSON Schema."""


class ImportReport(Struct, frozen=True, kw_only=True):
    """What an import changed; what was the same already is in neither."""

    configurations: tuple[ConfigurationRevision, ...] = ()
    tags: tuple[TagRevision, ...] = ()
    schemas: tuple[SchemaRevision, ...] = ()
