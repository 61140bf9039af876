"""Imports schemas, configurations and tags as one change: all are consistent with each other, or no change is made."""

from __future__ import annotations

from sqlalchemy import Connection, select

from countingroom.core.configurations import ConfigurationSet, ImportReport, Parameters
from countingroom.storage.configuration_rows import (
    current_configurations,
    hold_to_schema,
    present_schema,
    save_configuration,
    save_schema,
)
from countingroom.storage.tables import schema_revision
from countingroom.storage.tags import current_tags, save_tag


def everything(connection: Connection) -> ConfigurationSet:
    """The present configurations, tags and schemas."""
    configurations: dict[str, dict[str, Parameters]] = {}
    for one in current_configurations(connection):
        configurations.setdefault(one.system, {})[one.tag] = one.parameters
    systems = connection.scalars(select(schema_revision.c.system).distinct().order_by(schema_revision.c.system)).all()
    present = [present_schema(connection, system) for system in systems]
    return ConfigurationSet(
        configurations=configurations,
        tags={one.name: one.systems for one in current_tags(connection)},
        schemas={one.system: one.schema for one in present if one and one.schema is not None},
    )


def put(connection: Connection, given: ConfigurationSet, *, by: str, comment: str, now_ns: int) -> ImportReport:
    """Save every difference; what is not in the set stays."""
    configurations_before = {(one.system, one.tag): one.revision for one in current_configurations(connection)}
    tags_before = {one.name: one.revision for one in current_tags(connection)}
    schemas = [
        save_schema(connection, system, schema, by=by, comment=comment, now_ns=now_ns)
        for system, schema in given.schemas.items()
        if (present := present_schema(connection, system)) is None or present.schema != schema
    ]
    saved = [
        save_configuration(connection, system, tag, parameters, by=by, comment=comment, now_ns=now_ns, hold=False)
        for system, tags in given.configurations.items()
        for tag, parameters in tags.items()
    ]
    for system in sorted({*given.schemas, *given.configurations}):
        hold_to_schema(connection, system)
    tags = [
        save_tag(connection, name, systems, by=by, comment=comment, now_ns=now_ns)
        for name, systems in given.tags.items()
    ]
    return ImportReport(
        configurations=tuple(one for one in saved if configurations_before.get((one.system, one.tag)) != one.revision),
        tags=tuple(one for one in tags if tags_before.get(one.name) != one.revision),
        schemas=tuple(schemas),
    )
