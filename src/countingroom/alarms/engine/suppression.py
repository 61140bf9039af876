"""Suppression by design: which alarms are suppressed while which condition of the description is true. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from countingroom.alarms.engine.book import AlarmBook
from countingroom.alarms.fleet_kinds import fleet_reason
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.events import AlarmEvent, EndSuppression, Suppress


class Suppression:
    """What the conditions of suppressions ask of alarms."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        """`reasons`: name of a suppression -> why, for people."""
        self._reasons = reasons
        self._active: frozenset[str] = frozenset()
        self._seen: frozenset[str] = frozenset()
        """Names of those whose condition has been true since the start."""
        self._all_known = False

    def update(self, active: frozenset[str], *, all_known: bool) -> None:
        """`active`: names of those whose condition is true. `all_known`: the others are false, or will not be known:
        after a start the conditions are not known at once, and what was suppressed before stays so until then."""
        self._active = active
        self._seen |= active
        self._all_known = all_known

    def events(self, defined: Iterable[AlarmDefinition], book: AlarmBook) -> dict[str, AlarmEvent]:
        """What is to be given to alarms so that those are suppressed that should be."""
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
