"""The part of a report about rules or interlocks: a table, the list of actions, the differences from the record, and
the spans for the picture. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from countingroom.alarms.replay.picture import Lane
from countingroom.alarms.replay.spans import TOLERANCE_NS, ActiveSpan, total
from countingroom.alarms.replay.written import length_of, second
from countingroom.core.times import format_time
from countingroom.core.values import Scalar


class Acted(Struct, frozen=True, kw_only=True):
    """One action of a rule or an interlock, in the replay or in the record."""

    name: str
    """Name of the rule or interlock."""
    time_ns: int
    kind: str
    """`fired`, `held_back`, `trip`, `act`, …"""
    about: str = ""
    """The cause or effect of an interlock."""
    number: int = 0
    """Number of the firing or trip."""
    text: str = ""
    """The actions that would have been done, or the reason."""
    evidence: Mapping[str, Scalar] = {}
    """Address -> value of each input."""

    def in_words(self) -> str:
        """The evidence as text: `bath 36.1, pump true`; empty without evidence."""
        return ", ".join(f"{name} {_value(value)}" for name, value in self.evidence.items())


class ReplayMember(Struct, frozen=True, kw_only=True):
    """A rule or interlock of the replay."""

    name: str
    title: str
    text: str = ""
    """The trigger as text."""


class ActedDifference(Struct, frozen=True, kw_only=True):
    """An action that only the replay or only the record has."""

    acted: Acted
    replayed: bool
    """True: the replay alone has it; False: the record alone."""


DrawSpans = Callable[[Sequence[Acted], int, int], Mapping[str, list[ActiveSpan]]]
"""(actions of one member, begin_ns, end_ns) -> lane -> spans. The lane "" is that of the member itself."""


class ActedPart:
    """All rules, or all interlocks, of a replay."""

    def __init__(
        self,
        word: str,
        counted: Mapping[str, str],
        compared: Sequence[str],
        members: Sequence[ReplayMember],
        acted: Iterable[Acted],
        recorded: Iterable[Acted] | None,
        draw: DrawSpans,
        begin_ns: int,
        end_ns: int,
        *,
        notes: Sequence[str] = (),
    ) -> None:
        """`word`: `rule` or `interlock`. `counted`: heading -> the kind that is counted below it, the main kind first.
        `compared`: the kinds that follow from recorded data alone. `acted`, `recorded`: in the order of time, also from
        before the begin; `recorded` None: the record has none."""
        self.word = word
        self.notes = notes
        self._counted = counted
        self._members = members
        self.names = tuple(one.name for one in members)
        """The names of all members."""
        self._end_ns = end_ns
        every, known = list(acted), list(recorded or ())
        self.acted = [one for one in every if begin_ns <= one.time_ns < end_ns]
        """The actions within the range of the replay."""
        self._recorded = [one for one in known if begin_ns <= one.time_ns < end_ns]
        self.differences = [] if recorded is None else _differences(self.acted, self._recorded, compared)
        """The differences between replay and record."""
        self._spans = {one.name: draw(_of(every, one.name), begin_ns, end_ns) for one in members}
        self._recorded_spans = {one.name: draw(_of(known, one.name), begin_ns, end_ns) for one in members}
        self.head = (word, *counted, "active", "longest", "first", "recorded", "differs")
        """Headings of the table."""
        self.numbers = (*counted, "active", "longest", "recorded", "differs")

    def table(self) -> Iterator[tuple[object, ...]]:
        """A row for each member, also for members without an action."""
        main = next(iter(self._counted.values()))
        for member in self._members:
            mine = _of(self.acted, member.name)
            kinds = [one.kind for one in mine]
            sums = total(self._spans[member.name].get("", ()), self._end_ns)
            first = next((one.time_ns for one in mine if one.kind == main), None)
            yield (
                member.name,
                *(kinds.count(kind) for kind in self._counted.values()),
                length_of(sums.active_ns),
                length_of(sums.longest_ns),
                "" if first is None else second(first),
                sum(one.kind == main for one in _of(self._recorded, member.name)),
                sum(one.acted.name == member.name for one in self.differences) or "",
            )

    def rows(self, most: int) -> Iterator[tuple[object, ...]]:
        """The first `most` actions for people: time, name, kind, text, evidence."""
        for one in self.acted[:most]:
            yield second(one.time_ns), one.name, _what(one), one.text, one.in_words()

    def difference_rows(self, most: int) -> Iterator[tuple[object, ...]]:
        """The first differences, for people."""
        for one in self.differences[:most]:
            where = "the replay" if one.replayed else "the record"
            yield second(one.acted.time_ns), f"{self.word}.{one.acted.name}", _what(one.acted), where

    def cells(self) -> Iterator[Sequence[object]]:
        """Rows for the CSV file, under the headings of the history of alarms."""
        titles = {one.name: one.title for one in self._members}
        for one in self.acted:
            yield (
                format_time(one.time_ns), f"{self.word}.{one.name}", titles[one.name], one.kind, "", "",
                one.number or "", one.text, one.in_words(), one.about,
            )  # fmt: skip

    def facts(self) -> list[dict[str, Any]]:
        """All results for programs."""
        return [
            {
                self.word: member.name,
                "title": member.title,
                "when": member.text,
                "replayed": _of(self.acted, member.name),
                "recorded": _of(self._recorded, member.name),
                "differences": [one for one in self.differences if one.acted.name == member.name],
                "spans": self._spans[member.name],
                "recorded_spans": self._recorded_spans[member.name],
            }
            for member in self._members
        ]

    def lanes(self) -> Iterator[Lane]:
        """The lanes of the picture, for members with at least one action."""
        for member in self._members:
            mine, theirs = self._spans[member.name], self._recorded_spans[member.name]
            for key in {**mine, **theirs}:
                yield Lane(
                    name=f"{self.word}.{member.name}",
                    title=f"{member.title} / {key}" if key else member.title,
                    replayed=tuple(mine.get(key, ())),
                    recorded=tuple(theirs.get(key, ())),
                )


def _differences(mine: Sequence[Acted], theirs: Sequence[Acted], compared: Sequence[str]) -> list[ActedDifference]:
    """The differences in the order of time. Two actions are the same if name, kind and object are equal and their times
    differ by at most TOLERANCE_NS."""
    left, right = _by_key(mine, compared), _by_key(theirs, compared)
    found: list[ActedDifference] = []
    for key in {**left, **right}:
        waiting = right.get(key, [])
        for one in left.get(key, []):
            while waiting and waiting[0].time_ns < one.time_ns - TOLERANCE_NS:
                found.append(ActedDifference(acted=waiting.pop(0), replayed=False))
            if waiting and waiting[0].time_ns <= one.time_ns + TOLERANCE_NS:
                waiting.pop(0)
            else:
                found.append(ActedDifference(acted=one, replayed=True))
        found += [ActedDifference(acted=one, replayed=False) for one in waiting]
    return sorted(found, key=lambda one: (one.acted.time_ns, one.acted.name))


def _by_key(rows: Iterable[Acted], compared: Sequence[str]) -> dict[tuple[str, str, str], list[Acted]]:
    found: dict[tuple[str, str, str], list[Acted]] = {}
    for one in rows:
        if one.kind in compared:
            found.setdefault((one.name, one.kind, one.about), []).append(one)
    return found


def _of(rows: Iterable[Acted], name: str) -> list[Acted]:
    return [one for one in rows if one.name == name]


def _what(one: Acted) -> str:
    kind = one.kind.replace("_", " ")
    return f"{kind} {one.about}" if one.about else f"{kind} {one.number}" if one.number else kind


def _value(value: Scalar) -> str:
    return f"{value:g}" if isinstance(value, float) else "unknown" if value is None else str(value)
