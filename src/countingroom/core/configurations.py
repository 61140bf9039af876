"""Configurations, global tags and parameter schemas with their revisions, and how two sets of them differ.

A configuration is named by its system and its tag. Each save adds a revision; no revision is overwritten. A global tag
names one configuration for each system. A run stores a snapshot of its configurations, so that a later change affects
only later runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from countingroom.core.values import Scalar

Parameters = dict[str, Scalar]


CUSTOM = "custom"
"""Tag of a partition whose configurations were selected one by one. No tag has this name."""


class ConfigurationRevision(Struct, frozen=True, kw_only=True):
    """The parameters of one system under one tag, as of one save."""

    system: str
    tag: str
    revision: int
    """1, 2, 3 … of this system and tag; a deletion counts as a revision."""
    parameters: Parameters = {}
    saved_by: str
    saved_ns: int
    comment: str = ""
    deleted: bool = False
    """This revision records the deletion of the configuration."""


class TagRevision(Struct, frozen=True, kw_only=True):
    """A global tag, as of one save."""

    name: str
    revision: int
    systems: dict[str, str] = {}
    """System -> tag of its configuration."""
    saved_by: str
    saved_ns: int
    comment: str = ""
    deleted: bool = False


class SchemaRevision(Struct, frozen=True, kw_only=True):
    """The JSON Schema for the configurations of a system, as of one save."""

    system: str
    revision: int
    schema: dict[str, Any] | None = None
    """None: no restriction."""
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
    """Tag of its configuration; empty: no configuration."""
    after: str
    parameters: tuple[ParameterChange, ...] = ()


def with_changes(
    revisions: Iterable[ConfigurationRevision],
) -> list[tuple[ConfigurationRevision, tuple[ParameterChange, ...]]]:
    """Each revision, in the given order, with what it changed against the one before it of the same tag."""
    given = list(revisions)
    by_number = {(one.tag, one.revision): one for one in given}
    found: list[tuple[ConfigurationRevision, tuple[ParameterChange, ...]]] = []
    for one in given:
        before = by_number.get((one.tag, one.revision - 1))
        found.append((one, compare_parameters(before.parameters, one.parameters) if before else ()))
    return found


def compare_parameters(before: Mapping[str, Scalar], after: Mapping[str, Scalar]) -> tuple[ParameterChange, ...]:
    """The changed parameters, sorted by name. `1`, `1.0` and `true` are different values."""
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
    """The changes between two sets of configurations (system -> revision), sorted by system, without equal ones."""
    changes: list[SystemChange] = []
    for system in sorted({*before, *after}):
        old, new = before.get(system), after.get(system)
        parameters = compare_parameters(old.parameters if old else {}, new.parameters if new else {})
        tags = (old.tag if old else "", new.tag if new else "")
        if parameters or tags[0] != tags[1]:
            changes.append(SystemChange(system=system, before=tags[0], after=tags[1], parameters=parameters))
    return tuple(changes)


def covers(tag: Mapping[str, str], systems: Iterable[str]) -> bool:
    """Whether the tag names a configuration for exactly these systems, none missing and none extra."""
    return set(tag) == set(systems)


class ConfigurationSet(Struct, frozen=True, kw_only=True):
    """Configurations, tags and schemas by name, for export and import between databases."""

    configurations: dict[str, dict[str, Parameters]] = {}
    """System -> tag -> parameters."""
    tags: dict[str, dict[str, str]] = {}
    """Name -> system -> tag of its configuration."""
    schemas: dict[str, dict[str, Any]] = {}
    """System -> JSON Schema."""


class ImportReport(Struct, frozen=True, kw_only=True):
    """The revisions that an import added. Entries that were equal already are not listed."""

    configurations: tuple[ConfigurationRevision, ...] = ()
    tags: tuple[TagRevision, ...] = ()
    schemas: tuple[SchemaRevision, ...] = ()
