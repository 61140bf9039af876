"""Saved views of the page of trends. Each belongs to the user that created it; the request is in the audit."""

from __future__ import annotations

import msgspec
from sqlalchemy import Column, Connection, Integer, Table, delete, insert, select, update

from countingroom.core.errors import Conflict, Denied, NotFound
from countingroom.core.trend_views import TrendView, checked_name, checked_query
from countingroom.storage import rows
from countingroom.storage.columns import metadata, ns, text
from countingroom.storage.repository import Repository, reading, writing

MOST = 500
"""Views of an experiment, so that no program makes the table grow."""

trend_view = Table(
    "trend_view",
    metadata,
    text("name", primary_key=True),
    text("query"),
    text("owner"),
    ns("created_ns"),
    text("changed_by"),
    ns("changed_ns"),
    Column("revision", Integer, nullable=False),
)


class TrendViews(Repository):
    """Repository of saved views. `administers`: whether the user may change the views of others."""

    @reading
    def list(self, connection: Connection) -> tuple[TrendView, ...]:
        """Every view, by name."""
        found = rows.every(connection, select(trend_view), TrendView)
        return tuple(sorted(found, key=lambda one: (one.name.casefold(), one.name)))

    @reading
    def get(self, connection: Connection, name: str) -> TrendView:
        """One view. Raises NotFound."""
        return _get(connection, name)

    @writing
    def save(
        self,
        connection: Connection,
        name: str,
        query: str,
        by: str,
        *,
        expected: int | None = None,
        administers: bool = False,
    ) -> TrendView:
        """Create a view, or overwrite revision `expected` of it.

        OutOfRange for a wrong name or query; Denied if it belongs to another user; Conflict if the name is taken and
        `expected` is None, if the revision is another one, or if there are too many views.
        """
        name = checked_name(name)
        query = checked_query(query)
        now_ns = self.clock.now_ns()
        present = _find(connection, name)
        if present is None:
            if expected is not None:
                raise NotFound(f"the view {name} was deleted", source="views", suggestion="save it as a new view")
            if len(connection.execute(select(trend_view.c.name)).all()) >= MOST:
                raise Conflict(f"there are {MOST} views", source="views", suggestion="delete some of them")
            made = TrendView(
                name=name, query=query, owner=by, created_ns=now_ns, changed_by=by, changed_ns=now_ns, revision=1
            )
            connection.execute(insert(trend_view).values(**rows.columns(made)))
            return made
        _check_owner(present, by, administers)
        if expected != present.revision:
            raise Conflict(
                f"the view {name} exists, in revision {present.revision} by {present.changed_by}",
                source="views",
                suggestion="look at it, then overwrite it or choose another name",
            )
        change = {"query": query, "changed_by": by, "changed_ns": now_ns, "revision": present.revision + 1}
        connection.execute(update(trend_view).where(trend_view.c.name == name).values(**change))
        return msgspec.structs.replace(present, **change)

    @writing
    def delete(self, connection: Connection, name: str, by: str, *, administers: bool = False) -> TrendView:
        """Delete a view and return it as it was. NotFound; Denied if it belongs to another user."""
        present = _get(connection, name)
        _check_owner(present, by, administers)
        connection.execute(delete(trend_view).where(trend_view.c.name == name))
        return present


def _check_owner(view: TrendView, by: str, administers: bool) -> None:
    if view.owner != by and not administers:
        raise Denied(
            f"the view {view.name} belongs to {view.owner}",
            source="views",
            suggestion=f"save under another name, or ask {view.owner} or an administrator",
        )


def _find(connection: Connection, name: str) -> TrendView | None:
    return rows.first(connection, select(trend_view).where(trend_view.c.name == name), TrendView)


def _get(connection: Connection, name: str) -> TrendView:
    found = _find(connection, name)
    if found is None:
        raise NotFound(f"there is no view {name}", source="views", suggestion="choose one of the list on /trends")
    return found
