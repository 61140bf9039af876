"""Queries and changes of configurations and their schemas within a transaction of the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select

from countingroom.core.configurations import ConfigurationRevision, SchemaRevision
from countingroom.core.errors import Cause, Conflict, NotFound, OutOfRange
from countingroom.core.values import Scalar
from countingroom.storage import checked, rows
from countingroom.storage.schemas import check_schema, misfits
from countingroom.storage.tables import (
    configuration,
    configuration_revision,
    partition_wanted,
    schema_revision,
    tag_member,
)
from countingroom.storage.tags import delete_tag

_CURRENT = configuration_revision.join(
    configuration,
    and_(
        configuration.c.system == configuration_revision.c.system,
        configuration.c.tag == configuration_revision.c.tag,
        configuration.c.revision == configuration_revision.c.revision,
    ),
)


def current_configurations(
    connection: Connection, chosen: ColumnElement[bool] | None = None
) -> tuple[ConfigurationRevision, ...]:
    """Present configurations, ordered by system and tag."""
    query = select(configuration_revision).select_from(_CURRENT)
    if chosen is not None:
        query = query.where(chosen)
    return rows.every(connection, query.order_by(configuration.c.system, configuration.c.tag), ConfigurationRevision)


def get_configuration(
    connection: Connection, system: str, tag: str, revision: int | None = None
) -> ConfigurationRevision:
    """One revision; the present one if `revision` is None."""
    if revision is None:
        found = current_configurations(connection, and_(configuration.c.system == system, configuration.c.tag == tag))
    else:
        table = configuration_revision
        query = select(table).where(table.c.system == system, table.c.tag == tag, table.c.revision == revision)
        found = rows.every(connection, query, ConfigurationRevision)
    if not found:
        which = f"{system} has no configuration {tag}" + (f" of revision {revision}" if revision else "")
        raise NotFound(which, source=f"configurations.{system}", suggestion=f"check the configurations of {system}")
    return found[0]


def save_configuration(
    connection: Connection,
    system: str,
    tag: str,
    parameters: Mapping[str, Scalar],
    *,
    by: str,
    comment: str,
    now_ns: int,
    expected: int | None = None,
    hold: bool = True,
) -> ConfigurationRevision:
    """Save within the caller's transaction. With `hold` False the caller checks the schema."""
    source = f"configurations.{checked.name(system, 'system')}"
    values = checked.parameters(parameters, source=source)
    key = and_(configuration.c.system == system, configuration.c.tag == checked.name(tag, "configuration"))
    present = next(iter(current_configurations(connection, key)), None)
    expect_revision(f"the configuration {tag} of {system}", present.revision if present else 0, expected, source)
    if hold:
        _fit(connection, system, tag, values)
    # Compared as JSON, because in Python `1 == 1.0 == True`, which are three different values here.
    if present and msgspec.json.encode(present.parameters, order="sorted") == msgspec.json.encode(
        values, order="sorted"
    ):
        return present
    saved = ConfigurationRevision(
        system=system,
        tag=tag,
        revision=_last(connection, system, tag) + 1,
        parameters=values,
        saved_by=by,
        saved_ns=now_ns,
        comment=comment,
    )
    connection.execute(insert(configuration_revision).values(**rows.columns(saved)))
    if present:
        connection.execute(configuration.update().where(key).values(revision=saved.revision))
    else:
        connection.execute(insert(configuration).values(system=system, tag=tag, revision=saved.revision))
    return saved


def delete_configuration(
    connection: Connection, system: str, tag: str, *, by: str, comment: str, now_ns: int, with_tags: bool
) -> tuple[str, ...]:
    """Delete within the caller's transaction. Returns the names of the tags that were deleted with it."""
    present = get_configuration(connection, system, tag)
    holders = connection.scalars(
        select(tag_member.c.name).where(tag_member.c.system == system, tag_member.c.configuration == tag)
    ).all()
    wanted = partition_wanted
    selected = connection.scalars(
        select(wanted.c.partition).where(wanted.c.system == system, wanted.c.configuration == tag)
    ).all()
    causes = [
        Cause(code="in_use", message=f"the tag {name} contains it", source=f"tags.{name}")
        for name in ([] if with_tags else sorted(holders))
    ] + [
        Cause(code="in_use", message=f"the partition {name} has it selected", source=f"partitions.{name}")
        for name in sorted(selected)
    ]
    if causes:
        raise Conflict(
            f"the configuration {tag} of {system} is in use",
            code="in_use",
            source=f"configurations.{system}",
            causes=causes,
            suggestion="select another one in these partitions" if selected else "delete it together with its tags",
        )
    for name in sorted(holders):
        delete_tag(connection, name, by=by, comment=f"{tag} of {system} was deleted", now_ns=now_ns)
    gone = msgspec.structs.replace(
        present, revision=present.revision + 1, saved_by=by, saved_ns=now_ns, comment=comment, deleted=True
    )
    connection.execute(insert(configuration_revision).values(**rows.columns(gone)))
    connection.execute(delete(configuration).where(configuration.c.system == system, configuration.c.tag == tag))
    return tuple(sorted(holders))


def present_schema(connection: Connection, system: str) -> SchemaRevision | None:
    """The newest schema revision of a system; None without one."""
    table = schema_revision
    query = select(table).where(table.c.system == system).order_by(table.c.revision.desc()).limit(1)
    return rows.first(connection, query, SchemaRevision)


def save_schema(
    connection: Connection, system: str, schema: Mapping[str, Any] | None, *, by: str, comment: str, now_ns: int
) -> SchemaRevision:
    """Save a schema within the caller's transaction, without a check of the present configurations."""
    if schema is not None:
        check_schema(schema, system=checked.name(system, "system"))
    present = present_schema(connection, system)
    if present and present.schema == schema:
        return present
    saved = SchemaRevision(
        system=system,
        revision=present.revision + 1 if present else 1,
        schema=dict(schema) if schema is not None else None,
        saved_by=by,
        saved_ns=now_ns,
        comment=comment,
    )
    connection.execute(insert(schema_revision).values(**rows.columns(saved)))
    return saved


def hold_to_schema(connection: Connection, system: str) -> None:
    """Raise Conflict, with one cause for each violation, if a present configuration violates the present schema."""
    schema = present_schema(connection, system)
    if schema is None or schema.schema is None:
        return
    causes: list[Cause] = []
    for one in current_configurations(connection, configuration.c.system == system):
        causes += misfits(one.parameters, schema.schema, source=f"configurations.{system}.{one.tag}")
    if causes:
        raise Conflict(
            f"configurations of {system} violate its schema",
            source=f"configurations.{system}",
            causes=causes,
            suggestion="change them first, or import them together with the schema",
        )


def expect_revision(what: str, present: int, expected: int | None, source: str) -> None:
    """Raise Conflict if it was changed in between."""
    if expected is not None and expected != present:
        raise Conflict(
            f"{what} is at revision {present}, not at {expected} any more"
            if present
            else f"{what} does not exist any more",
            source=source,
            evidence={"present": present, "expected": expected},
            suggestion="check what changed, then save again",
        )


def _fit(connection: Connection, system: str, tag: str, values: Mapping[str, Scalar]) -> None:
    schema = present_schema(connection, system)
    causes = misfits(values, schema.schema, source=f"configurations.{system}.{tag}") if schema and schema.schema else ()
    if causes:
        raise OutOfRange(
            f"{len(causes)} parameter{'s' if len(causes) > 1 else ''} of {tag} of {system} violate its schema",
            source=f"configurations.{system}",
            causes=causes,
            suggestion="correct them, or change the schema first",
        )


def _last(connection: Connection, system: str, tag: str) -> int:
    table = configuration_revision
    query = select(func.max(table.c.revision)).where(table.c.system == system, table.c.tag == tag)
    return connection.scalar(query) or 0
