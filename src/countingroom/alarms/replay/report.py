"""The report of a replay: one row for each alarm, the differences from the record, and the lanes of the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from countingroom.alarms.replay.acted import ActedPart
from countingroom.alarms.replay.picture import Lane
from countingroom.alarms.replay.run import NOT_REPLAYED, OF_STATES, is_chosen, is_replayed
from countingroom.alarms.replay.spans import ActiveSpan, Difference, Total, differences, spans, total
from countingroom.alarms.replay.written import length_of, second
from countingroom.core import units
from countingroom.core.alarms import identity
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.history import AlarmEntry
from countingroom.core.points import Limits, Point
from countingroom.core.series import Series
from countingroom.core.times import format_time

MAY_DIFFER = (
    "may differ: after a restart of the engine its delays, counts, rates and silences began anew; here they go on",
    "may differ: where a clock was set back, readings are replayed by their times; where it was set forward, a delay "
    "that ended in the time left out ended for the engine up to a minute later",
    "may differ: what the engine got more than 2 s after it was sent, as after a lost link of the bus",
)
"""Reasons why a correct replay may have other rows than the engine had."""


class Report:
    """The results of one replay."""

    HEAD: ClassVar = (
        "alarm", "priority", "times", "announced", "active", "longest", "first", "recorded", "active then", "differs",
    )  # fmt: skip
    NUMBERS: ClassVar = ("priority", "times", "announced", "active", "longest", "recorded", "active then", "differs")

    def __init__(
        self,
        *,
        begin_ns: int,
        end_ns: int,
        readings: int,
        rows: Sequence[AlarmEntry],
        recorded: Sequence[AlarmEntry],
        definitions: Mapping[str, AlarmDefinition],
        points: Mapping[str, Point],
        patterns: Sequence[str] = (),
        has_states: bool = True,
        problems: Sequence[str] = (),
        parts: Sequence[ActedPart] = (),
        has_alarms: bool = True,
    ) -> None:
        """`rows`, `recorded`: in the order of time, also from before the begin. `points`: address -> point. `parts`:
        the parts about rules and interlocks. `has_alarms`: whether the report has alarms."""
        self.parts = parts
        self.has_alarms = has_alarms
        self.begin_ns = begin_ns
        self.end_ns = end_ns
        self.readings = readings
        self.has_states = has_states
        self._definitions = definitions
        self._points = points
        self._problems = problems

        interlocks = {identity.of_interlock(name) for part in parts if part.word == "interlock" for name in part.names}

        def wanted(row: AlarmEntry) -> bool:
            is_asked_for = has_alarms and is_chosen(row.alarm, patterns)
            return is_asked_for and is_replayed(row.alarm, states=has_states, interlocks=interlocks)

        every = [row for row in rows if wanted(row)]
        known = [row for row in recorded if wanted(row)]
        self._spans = spans(every, begin_ns, end_ns)
        self._recorded_spans = spans(known, begin_ns, end_ns)
        self.rows = [row for row in every if begin_ns <= row.time_ns < end_ns]
        """The history rows of the replay within its range."""
        self._recorded = [row for row in known if begin_ns <= row.time_ns < end_ns]

    @property
    def title(self) -> str:
        """`Replay of 2026-11-28T00:00:00Z to 2026-11-29T00:00:00Z: 1,000,000 readings`."""
        return f"Replay of {second(self.begin_ns)} to {second(self.end_ns)}: {self.readings:,} readings"

    def names(self) -> list[str]:
        """The alarms that were active in the replay or in the record, the most urgent first."""
        found = {**self._spans, **self._recorded_spans}
        return sorted(found, key=lambda name: (self._priority(name), -self._total(name).active_ns, name))

    def differences(self) -> list[Difference]:
        """The rows that only the replay or only the record has."""
        return self._differences

    @cached_property
    def _differences(self) -> list[Difference]:
        return differences(self.rows, self._recorded)

    def table(self) -> Iterator[tuple[object, ...]]:
        """A row for each alarm, under HEAD."""
        counts: dict[str, int] = {}
        for one in self._differences:
            counts[one.entry.alarm] = counts.get(one.entry.alarm, 0) + 1
        for name in self.names():
            mine, then = self._total(name), self._then(name)
            yield (
                name,
                self._priority(name),
                mine.times,
                mine.announced,
                length_of(mine.active_ns),
                length_of(mine.longest_ns),
                "" if mine.first_ns is None else second(mine.first_ns),
                then.times,
                length_of(then.active_ns),
                counts.get(name, 0) or "",
            )

    def difference_rows(self, most: int) -> Iterator[tuple[object, ...]]:
        """The first `most` differences for people."""
        for one in self._differences[:most]:
            entry = one.entry
            what = f"{entry.kind.value}, priority {entry.priority}{f': {entry.text}' if entry.text else ''}"
            yield second(entry.time_ns), entry.alarm, what, "the replay" if one.replayed else "the record"

    def notes(self) -> Iterator[str]:
        """The limits of the replay, one sentence each."""
        for part in self.parts:
            yield from part.notes
        if self._differences or any(part.differences for part in self.parts):
            yield from MAY_DIFFER
        if not self.has_alarms:
            return
        yield from self._problems
        kinds = ", ".join(NOT_REPLAYED if self.has_states else (*NOT_REPLAYED, *OF_STATES))
        yield f"not replayed, because not all that they follow from is recorded: alarms of the kinds {kinds}"

    def cells(self) -> Iterator[Sequence[object]]:
        """The replayed history as rows of a table, the first one with the headings."""
        yield ("time", "alarm", "title", "kind", "priority", "state", "occurrence", "text", "value", "cause")
        for row in self.rows:
            yield (
                format_time(row.time_ns),
                row.alarm,
                row.title,
                row.kind.value,
                row.priority,
                row.base.value,
                row.occurrence,
                row.text,
                row.value,
                row.cause_id,
            )
        for part in self.parts:
            yield from part.cells()

    def facts(self) -> dict[str, Any]:
        """All results for programs."""
        alarms = [
            {
                "alarm": name,
                "title": self._title(name),
                "priority": self._priority(name),
                "replayed": self._total(name),
                "recorded": self._then(name),
                "spans": self._spans.get(name, []),
                "recorded_spans": self._recorded_spans.get(name, []),
            }
            for name in self.names()
        ]
        return {
            "from_ns": self.begin_ns,
            "to_ns": self.end_ns,
            "readings": self.readings,
            "alarms": alarms,
            **{f"{part.word}s": part.facts() for part in self.parts},
            "history": self.rows,
            "differences": self._differences,
            "notes": list(self.notes()),
        }

    def curves(self, most: int) -> list[str]:
        """The addresses of the points whose values the picture shows."""
        found = (self._address(name) for name in self.names()[:most])
        return list(dict.fromkeys(one for one in found if one in self._points))

    def lanes(self, curves: Mapping[str, Series]) -> list[Lane]:
        """The lanes of the picture, in the order of the table."""
        alarms = [self._lane(name, curves.get(self._address(name))) for name in self.names()]
        return [*(lane for part in self.parts for lane in part.lanes()), *alarms]

    def _lane(self, name: str, curve: Series | None) -> Lane:
        point = self._points.get(self._address(name))
        limits: Limits | None = None
        if point is not None and name.startswith("point."):
            limits = point.limits
        return Lane(
            name=name,
            title=self._title(name),
            replayed=tuple(self._spans.get(name, ())),
            recorded=tuple(self._recorded_spans.get(name, ())),
            curve=curve if curve is not None and curve.text is None else None,
            limits=limits,
            unit=units.written(point.unit) if point and point.unit else "",
        )

    def _address(self, name: str) -> str:
        definition = self._definitions.get(name)
        return f"{definition.device}.{definition.point}" if definition and definition.point else ""

    def _title(self, name: str) -> str:
        definition = self._definitions.get(name)
        return definition.title if definition and definition.title else name

    def _priority(self, name: str) -> int:
        every: list[ActiveSpan] = [*self._spans.get(name, ()), *self._recorded_spans.get(name, ())]
        return min(one.priority for one in every)

    def _total(self, name: str) -> Total:
        return total(self._spans.get(name, ()), self.end_ns)

    def _then(self, name: str) -> Total:
        return total(self._recorded_spans.get(name, ()), self.end_ns)
