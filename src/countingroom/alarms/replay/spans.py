"""The results of a replay for each alarm: the spans in which it was active, their sums, and the differences from the
record. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from countingroom.core.alarms.history import AlarmEntry, HistoryKind

_BEGINS = frozenset({HistoryKind.ANNOUNCED, HistoryKind.ACTIVATED, HistoryKind.ANNOUNCED_AGAIN})
_TOLD = frozenset({HistoryKind.ANNOUNCED, HistoryKind.ANNOUNCED_AGAIN})
_ENDS = frozenset({HistoryKind.RETURNED, HistoryKind.CLOSED})
_CHANGES = frozenset({HistoryKind.RAISED, HistoryKind.LOWERED})
COMPARED = frozenset(
    {HistoryKind.ANNOUNCED, HistoryKind.ACTIVATED, HistoryKind.RETURNED, HistoryKind.RAISED, HistoryKind.LOWERED}
)
"""Kinds of rows that follow from readings alone."""
TOLERANCE_NS = 2_000_000_000
"""A row of the engine and a row of the replay are the same if their times differ by at most this. The engine uses the
time at which a message arrives, the replay the time at which it was sent."""


class ActiveSpan(Struct, frozen=True, kw_only=True):
    """A span of time in which an alarm, rule or interlock was active."""

    name: str
    """Identity of the alarm."""
    begin_ns: int
    end_ns: int | None
    """None: it was still active at the end."""
    priority: int
    """The most urgent priority that it had."""
    announced: bool
    """False: it was shelved, suppressed or out of service, or was the consequence of another alarm."""
    text: str = ""


class Total(Struct, frozen=True, kw_only=True):
    """The spans of one alarm together."""

    times: int = 0
    announced: int = 0
    active_ns: int = 0
    longest_ns: int = 0
    first_ns: int | None = None


class Difference(Struct, frozen=True, kw_only=True):
    """A row that only the replay or only the record has."""

    entry: AlarmEntry
    replayed: bool
    """True: only the replay has it. False: only the record has it."""


class _Open(Struct):
    begin_ns: int
    priority: int
    announced: bool
    text: str


def spans(rows: Iterable[AlarmEntry], begin_ns: int, end_ns: int) -> dict[str, list[ActiveSpan]]:
    """Alarm -> its spans in [begin_ns, end_ns), from rows in the order of time. A span that began earlier is cut."""
    found: dict[str, list[ActiveSpan]] = {}
    active: dict[str, _Open] = {}

    def close(name: str, until_ns: int | None) -> None:
        if (one := active.pop(name, None)) is not None and (until_ns is None or until_ns >= begin_ns):
            found.setdefault(name, []).append(
                ActiveSpan(
                    name=name,
                    begin_ns=max(one.begin_ns, begin_ns),
                    end_ns=until_ns,
                    priority=one.priority,
                    announced=one.announced,
                    text=one.text,
                )
            )

    for row in rows:
        if row.time_ns >= end_ns:
            break
        known = active.get(row.alarm)
        if row.kind in _BEGINS:
            told = row.kind in _TOLD
            if known is None:
                active[row.alarm] = _Open(row.time_ns, row.priority, told, row.text)
            else:
                known.announced |= told
        elif row.kind in _CHANGES and known is not None:
            known.priority = min(known.priority, row.priority)
        elif row.kind in _ENDS:
            close(row.alarm, row.time_ns)
    for name in list(active):
        close(name, None)
    return found


def total(of: Sequence[ActiveSpan], end_ns: int) -> Total:
    """The sums of the spans of one alarm."""
    lengths = [(end_ns if one.end_ns is None else one.end_ns) - one.begin_ns for one in of]
    return Total(
        times=len(of),
        announced=sum(one.announced for one in of),
        active_ns=sum(lengths),
        longest_ns=max(lengths, default=0),
        first_ns=min((one.begin_ns for one in of), default=None),
    )


def differences(
    replayed: Iterable[AlarmEntry], recorded: Iterable[AlarmEntry], *, tolerance_ns: int = TOLERANCE_NS
) -> list[Difference]:
    """The rows that only one side has, in the order of time. Two rows are the same if alarm, kind, priority and base
    state are equal and their times differ by at most the tolerance."""
    left, right = _by_alarm(replayed), _by_alarm(recorded)
    found: list[Difference] = []
    for name in {**left, **right}:
        mine, theirs = left.get(name, []), right.get(name, [])
        pairs = _paired(mine, theirs, tolerance_ns)
        of_mine, of_theirs = {one for one, _ in pairs}, {other for _, other in pairs}
        found += [Difference(entry=row, replayed=True) for place, row in enumerate(mine) if place not in of_mine]
        found += [Difference(entry=row, replayed=False) for place, row in enumerate(theirs) if place not in of_theirs]
    return sorted(found, key=lambda one: (one.entry.time_ns, one.entry.alarm))


def _by_alarm(rows: Iterable[AlarmEntry]) -> Mapping[str, list[AlarmEntry]]:
    found: dict[str, list[AlarmEntry]] = {}
    for row in rows:
        if row.kind in COMPARED:
            found.setdefault(row.alarm, []).append(row)
    return found


def _paired(mine: Sequence[AlarmEntry], theirs: Sequence[AlarmEntry], tolerance_ns: int) -> list[tuple[int, int]]:
    """Index pairs of rows that are the same; both sides keep their order."""
    pairs: list[tuple[int, int]] = []
    begin = 0
    for place, row in enumerate(mine):
        for other in range(begin, len(theirs)):
            if theirs[other].time_ns > row.time_ns + tolerance_ns:
                break
            if _same(row, theirs[other], tolerance_ns):
                pairs.append((place, other))
                begin = other + 1
                break
    return pairs


def _same(one: AlarmEntry, other: AlarmEntry, tolerance_ns: int) -> bool:
    return (one.kind, one.priority, one.base) == (other.kind, other.priority, other.base) and abs(
        one.time_ns - other.time_ns
    ) <= tolerance_ns
