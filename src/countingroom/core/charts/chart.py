"""A state machine as a table of (state, event, next state). Legality, buttons and diagrams all use the same table."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from countingroom.core.errors import NotAllowed


class Row(Struct, frozen=True):
    """In `state`, `event` leads to `next`."""

    state: str
    event: str
    next: str


class Chart(Struct, frozen=True, kw_only=True, dict=True):
    """A state machine. Its states are those in its rows, in order of first appearance."""

    name: str
    rows: tuple[Row, ...]
    initial: str
    safe: tuple[str, ...] = ()
    """States in which the experiment can be left alone; `check` requires that one is reachable from every state."""
    common: dict[str, str] = {}
    """Private state -> common state."""

    @cached_property
    def _table(self) -> dict[str, dict[str, str]]:
        table: dict[str, dict[str, str]] = {}
        for row in self.rows:
            table.setdefault(row.state, {}).setdefault(row.event, row.next)
            table.setdefault(row.next, {})
        return table

    @property
    def states(self) -> tuple[str, ...]:
        """All states, in order of first appearance."""
        return tuple(self._table)

    def allowed(self, state: str) -> tuple[str, ...]:
        """The events that this state allows, in table order."""
        return tuple(self._table.get(state, {}))

    def step(self, state: str, event: str) -> str:
        """The next state; NotAllowed, with the allowed events, when the state does not allow the event."""
        try:
            return self._table[state][event]
        except KeyError:
            raise NotAllowed(state, event, self.allowed(state), source=self.name) from None

    def to_common(self, state: str) -> str:
        """The common state; the state itself when the map does not contain it."""
        return self.common.get(state, state)
