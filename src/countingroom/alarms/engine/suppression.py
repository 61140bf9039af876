"""Suppression by design: suppresses alarms while a condition of the description is true. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from countingroom.alarms.engine.book import AlarmBook
from countingroom.alarms.fleet_kinds import fleet_reason
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.events import AlarmEvent, EndSuppression, Suppress


class Suppression:
    """Makes the events that suppress alarms and end their suppression."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        """`reasons`: name of a suppression -> its reason as text for people."""
        self._reasons = reasons
        self._active: frozenset[str] = frozenset()
        self._seen: frozenset[str] = frozenset()
        """Names of suppressions whose condition was true at least once since the start."""
        self._all_known = False

    def update(self, active: frozenset[str], *, all_known: bool) -> None:
        """`active`: names of the suppressions whose condition is true. `all_known`: all others count as false. After a
        start conditions are unknown for some seconds; alarms that were suppressed before stay so during that time."""
        self._active = active
        self._seen |= active
        self._all_known = all_known

    def events(self, defined: Iterable[AlarmDefinition], book: AlarmBook) -> dict[str, AlarmEvent]:
        """The events that bring all alarms to the present suppressions."""
        found: dict[str, AlarmEvent] = {}
        for one in defined:
            entry = book.get(one.id)
            present = entry.record.suppressed if entry else ""
            ends = entry is not None and entry.record.suppression_ends_ns is not None
            why = next((self._why(name) for name in one.suppressions if name in self._active), "")
            if why and (why != present or ends):
                found[one.id] = Suppress(why=why)
            elif present and not why and not ends and (self._all_known or self._seen & set(one.suppressions)):
                found[one.id] = EndSuppression(delay_ns=round(one.on_delay_s * 1e9))
        return found

    def _why(self, name: str) -> str:
        return self._reasons.get(name) or fleet_reason(name)
