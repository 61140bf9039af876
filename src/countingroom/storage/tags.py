"""Global tags: one configuration for each system. A partition can select a tag that covers exactly its systems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection, Select, and_, delete, func, insert, select

from countingroom.core.configurations import CUSTOM, ConfigurationRevision, TagRevision, covers
from countingroom.core.errors import Cause, Conflict, NotFound
from countingroom.storage import checked, rows
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.tables import configuration, configuration_revision, tag, tag_member, tag_revision


class Tags(Repository):
    """Repository of tags."""

    @writing
    def save(
        self,
        connection: Connection,
        name: str,
        systems: Mapping[str, str],
        by: str,
        comment: str = "",
        *,
        expected: int | None = None,
    ) -> TagRevision:
        """Save a revision, or return the present one if equal. NotFound with a cause for each missing configuration.

        `expected` is the revision that the user saw (0: none). Conflict if another revision is present now.
        """
        now_ns = self.clock.now_ns()
        return save_tag(connection, name, systems, by=by, comment=comment, now_ns=now_ns, expected=expected)

    @reading
    def get(self, connection: Connection, name: str, revision: int | None = None) -> TagRevision:
        """The present revision, or an older one. Raises NotFound."""
        return get_tag(connection, name, revision)

    @reading
    def list(self, connection: Connection) -> tuple[TagRevision, ...]:
        """All present tags, by name."""
        return current_tags(connection)

    async def covering(self, systems: Iterable[str]) -> tuple[TagRevision, ...]:
        """The tags that name a configuration for exactly these systems."""
        wanted = frozenset(systems)
        return tuple(one for one in await self.list() if covers(one.systems, wanted))

    @reading
    def resolve(self, connection: Connection, name: str) -> dict[str, ConfigurationRevision]:
        """System -> the present revision of the configuration that the tag names. NotFound."""
        return resolve_tag(connection, name)

    @reading
    def history(self, connection: Connection, name: str = "", *, limit: int = 100) -> tuple[TagRevision, ...]:
        """The revisions of a tag, or of all tags, newest first."""
        query = select(tag_revision).where(tag_revision.c.name == name) if name else select(tag_revision)
        query = query.order_by(tag_revision.c.saved_ns.desc(), tag_revision.c.revision.desc()).limit(limit)
        return _revisions(connection, query)

    @writing
    def delete(self, connection: Connection, name: str, by: str, comment: str = "") -> None:
        """Delete it. Partitions that selected it keep their selected configurations. Raises NotFound."""
        delete_tag(connection, name, by=by, comment=comment, now_ns=self.clock.now_ns())


def current_tags(connection: Connection) -> tuple[TagRevision, ...]:
    """All present tags, by name."""
    return _revisions(connection, _current().order_by(tag.c.name))


def get_tag(connection: Connection, name: str, revision: int | None = None) -> TagRevision:
    """One revision; the present one if `revision` is None."""
    if revision is None:
        query = _current().where(tag.c.name == name)
    else:
        query = select(tag_revision).where(tag_revision.c.name == name, tag_revision.c.revision == revision)
    found = _revisions(connection, query)
    if not found:
        raise NotFound(f"there is no tag {name}", source="tags", suggestion="check the list of tags")
    return found[0]


def resolve_tag(connection: Connection, name: str) -> dict[str, ConfigurationRevision]:
    """System -> the present revision of the configuration in the tag. NotFound."""
    get_tag(connection, name)
    revision = configuration_revision
    query = (
        select(revision)
        .join(configuration, and_(*(configuration.c[key] == revision.c[key] for key in ("system", "tag", "revision"))))
        .join(
            tag_member,
            and_(tag_member.c.system == configuration.c.system, tag_member.c.configuration == configuration.c.tag),
        )
        .where(tag_member.c.name == name)
    )
    return {one.system: one for one in rows.every(connection, query, ConfigurationRevision)}


def _is_free(name: str) -> None:
    """Conflict for a name that the system gives itself."""
    if name == CUSTOM:
        raise Conflict(
            f"{CUSTOM} stands for configurations that are selected one by one, and is no name of a tag",
            source="tags",
            code="reserved",
            suggestion="choose another name",
        )


def save_tag(
    connection: Connection,
    name: str,
    systems: Mapping[str, str],
    *,
    by: str,
    comment: str,
    now_ns: int,
    expected: int | None = None,
) -> TagRevision:
    """Within the caller's transaction."""
    _is_free(name)
    present = next(iter(_revisions(connection, _current().where(tag.c.name == checked.name(name, "tag")))), None)
    if expected is not None and expected != (present.revision if present else 0):
        raise Conflict(
            f"the tag {name} was changed by another user",
            source=f"tags.{name}",
            evidence={"present": present.revision if present else 0, "expected": expected},
            suggestion="check what changed, then save again",
        )
    _are_there(connection, name, systems)
    # The same content makes no revision: a tag saved at every start of a script would fill the history.
    if present and present.systems == dict(systems):
        return present
    # A tag that was deleted and is saved again goes on counting, so that a run's tag and revision name one content.
    last = connection.scalar(select(func.max(tag_revision.c.revision)).where(tag_revision.c.name == name)) or 0
    saved = TagRevision(
        name=name, revision=last + 1, systems=dict(systems), saved_by=by, saved_ns=now_ns, comment=comment
    )
    connection.execute(insert(tag_revision).values(**rows.columns(saved)))
    if present:
        connection.execute(tag.update().where(tag.c.name == name).values(revision=saved.revision))
        connection.execute(delete(tag_member).where(tag_member.c.name == name))
    else:
        connection.execute(insert(tag).values(name=name, revision=saved.revision))
    if systems:
        members = [{"name": name, "system": system, "configuration": chosen} for system, chosen in systems.items()]
        connection.execute(insert(tag_member), members)
    return saved


def delete_tag(connection: Connection, name: str, *, by: str, comment: str, now_ns: int) -> None:
    """Within the caller's transaction."""
    present = get_tag(connection, name)
    gone = msgspec.structs.replace(
        present, revision=present.revision + 1, saved_by=by, saved_ns=now_ns, comment=comment, deleted=True
    )
    connection.execute(insert(tag_revision).values(**rows.columns(gone)))
    connection.execute(delete(tag).where(tag.c.name == name))


def missing_configurations(connection: Connection, systems: Mapping[str, str]) -> list[Cause]:
    """One cause for each configuration (system -> tag) that does not exist."""
    existing = {(row[0], row[1]) for row in connection.execute(select(configuration.c.system, configuration.c.tag))}
    return [
        Cause(
            code="not_found",
            message=f"{system} has no configuration {chosen}",
            source=f"configurations.{system}",
            suggestion=f"save it, or choose another one for {system}",
        )
        for system, chosen in sorted(systems.items())
        if (system, chosen) not in existing
    ]


def _are_there(connection: Connection, name: str, systems: Mapping[str, str]) -> None:
    if causes := missing_configurations(connection, systems):
        raise NotFound(
            f"the tag {name} names configurations that do not exist",
            source=f"tags.{name}",
            causes=causes,
            suggestion="save them first",
        )


def _current() -> Select[tuple[object, ...]]:
    on = and_(tag.c.name == tag_revision.c.name, tag.c.revision == tag_revision.c.revision)
    return select(tag_revision).select_from(tag_revision.join(tag, on))


def _revisions(connection: Connection, query: Select[tuple[object, ...]]) -> tuple[TagRevision, ...]:
    return rows.every(connection, query, TagRevision)
