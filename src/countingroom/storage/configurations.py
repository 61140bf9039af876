"""Configurations of systems: parameters by system and tag, with every revision. The newest revision is in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from countingroom.core.configurations import ConfigurationRevision, ConfigurationSet, ImportReport, SchemaRevision
from countingroom.core.values import Scalar
from countingroom.storage import importing, rows
from countingroom.storage.configuration_rows import (
    current_configurations,
    delete_configuration,
    get_configuration,
    hold_to_schema,
    present_schema,
    save_configuration,
    save_schema,
)
from countingroom.storage.exchange import from_yaml
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.tables import configuration, configuration_revision


class Configurations(Repository):
    """Repository of configurations."""

    @writing
    def save(
        self,
        connection: Connection,
        system: str,
        tag: str,
        parameters: Mapping[str, Scalar],
        by: str,
        comment: str = "",
        *,
        expected: int | None = None,
    ) -> ConfigurationRevision:
        """Save a revision; the present one is returned if no parameter differs.

        `expected` is the revision that the user saw (0: none). Conflict if another revision is present now.
        """
        now_ns = self.clock.now_ns()
        return save_configuration(
            connection, system, tag, parameters, by=by, comment=comment, now_ns=now_ns, expected=expected
        )

    @reading
    def get(self, connection: Connection, system: str, tag: str, revision: int | None = None) -> ConfigurationRevision:
        """The present revision, or an older one, which may be a deletion. Raises NotFound."""
        return get_configuration(connection, system, tag, revision)

    @reading
    def list(self, connection: Connection, system: str = "") -> tuple[ConfigurationRevision, ...]:
        """The present configurations of one system or of all."""
        chosen = configuration.c.system == system if system else None
        return current_configurations(connection, chosen)

    @reading
    def history(
        self, connection: Connection, system: str, tag: str = "", *, limit: int = 100
    ) -> tuple[ConfigurationRevision, ...]:
        """The revisions of a system's configurations, newest first."""
        table = configuration_revision
        query = select(table).where(table.c.system == system)
        if tag:
            query = query.where(table.c.tag == tag)
        query = query.order_by(table.c.saved_ns.desc(), table.c.revision.desc()).limit(limit)
        return rows.every(connection, query, ConfigurationRevision)

    @writing
    def delete(
        self, connection: Connection, system: str, tag: str, by: str, comment: str = "", *, with_tags: bool = False
    ) -> tuple[str, ...]:
        """Delete it and, with `with_tags`, the global tags that contain it. Returns the names of these tags.

        Conflict while a tag contains it and `with_tags` is False, or while a partition has it selected.
        """
        now_ns = self.clock.now_ns()
        return delete_configuration(connection, system, tag, by=by, comment=comment, now_ns=now_ns, with_tags=with_tags)

    @reading
    def schema(self, connection: Connection, system: str) -> SchemaRevision | None:
        """The JSON Schema of the system's configurations; None without one."""
        return present_schema(connection, system)

    @writing
    def save_schema(
        self, connection: Connection, system: str, schema: Mapping[str, Any] | None, by: str, comment: str = ""
    ) -> SchemaRevision:
        """Set the JSON Schema of a system's configurations; None removes it. Conflict if a present one violates it."""
        now_ns = self.clock.now_ns()
        saved = save_schema(connection, system, schema, by=by, comment=comment, now_ns=now_ns)
        hold_to_schema(connection, system)
        return saved

    @reading
    def export(self, connection: Connection) -> ConfigurationSet:
        """All present configurations, tags and schemas."""
        return importing.everything(connection)

    async def read(self, document: str) -> ConfigurationSet:
        """Parse a YAML document. Raises Mistaken with each error and its line."""
        return await self.store.beside(lambda: from_yaml(document))

    @writing
    def put(self, connection: Connection, given: ConfigurationSet, by: str, comment: str = "") -> ImportReport:
        """Save every difference as one change; what is not in the set stays. None is saved if a
        configuration violates its schema or a tag names a missing one (Conflict, NotFound, OutOfRange)."""
        now_ns = self.clock.now_ns()
        return importing.put(connection, given, by=by, comment=comment, now_ns=now_ns)
