"""Saved states of rules. A change is one transaction, synced before the call returns.

Only the alarm department that took over last may write, as with alarms.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, select

from countingroom.core.rules.states import SavedRule
from countingroom.storage.alarm_writer import check_writer
from countingroom.storage.inserting import meeting_insert
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.rule_tables import rule

_saved = msgspec.json.Decoder(SavedRule)


class Rules(Repository):
    """Repository of rules."""

    @reading
    def load(self, connection: Connection) -> Mapping[str, SavedRule]:
        """Every saved rule by its name, also those that the description has no more."""
        query = select(rule.c.name, rule.c.saved)
        return {name: _saved.decode(saved) for name, saved in connection.execute(query)}

    @writing
    def save(self, connection: Connection, writer: int, changed: Mapping[str, SavedRule]) -> None:
        """Store these rules, all or none. `writer`: the number from `Alarms.take_over`; Conflict (`superseded`) where
        another process has taken over since."""
        check_writer(connection, writer)
        if not changed:
            return
        statement = meeting_insert(connection, rule)
        statement = statement.on_conflict_do_update(
            index_elements=[rule.c.name], set_={"saved": statement.excluded.saved}
        )
        values = [{"name": name, "saved": msgspec.json.encode(one).decode()} for name, one in changed.items()]
        connection.execute(statement, values)
