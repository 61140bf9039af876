"""Law: a state machine is a table; legality, buttons and pictures come from that one table."""

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
    """A state machine. States are those named by its rows, in order of first mention."""

    name: str
    rows: tuple[Row, ...]
    initial: str
    safe: tuple[str, ...] = ()
    """States a person can leave the experiment in; `check` wants one reachable from everywhere."""
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
        """Every state, in order of first mention."""
        return tuple(self._table)

    def allowed(self, state: str) -> tuple[str, ...]:
        """The events this state allows, in table order."""
        return tuple(self._table.get(state, {}))

    def step(self, state: str, event: str) -> str:
        """The next state; NotAllowed with what is allowed otherwise."""
        try:
            return self._table[state][event]
        except KeyError:
            raise NotAllowed(state, event, self.allowed(state), source=self.name) from None

    def to_common(self, state: str) -> str:
        """The common state; the state itself where no map names it."""
        return self.common.get(state, state)
