"""Static checks of a state table, before it is used.

Errors: a state that cannot be reached; a state from which no safe state can be reached; an event that a state declares
twice with different next states; a name in `initial` or `safe` that is in no row. Odd findings work, but may be
mistakes. Reachability is a breadth-first search over the rows, forwards from the initial state and backwards from the
safe states.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from enum import StrEnum

from msgspec import Struct

from countingroom.core.charts.chart import Chart
from countingroom.core.charts.table import StateMap, Table
from countingroom.core.yaml.located import Place


class Severity(StrEnum):
    """Severity of a finding."""

    ERROR = "error"
    """The machine can get stuck, or the table is ambiguous."""
    ODD = "odd"
    """The table works, but this may be a mistake."""


class Finding(Struct, frozen=True, kw_only=True):
    """One error or oddity in a table."""

    severity: Severity
    code: str
    """A stable code for programs: `unreachable`, `no_way_to_safe`, `declared_twice` …"""
    place: Place
    text: str
    suggestion: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.severity.value}: {self.text}"


def check(table: Table | Chart) -> tuple[Finding, ...]:
    """All findings of one table, in the order of its lines."""
    table = Table.of(table) if isinstance(table, Chart) else table
    found = [
        *_declared_twice(table),
        *_unknown_names(table),
        *_unreachable(table),
        *_stuck(table),
        *_missing_from_one(table),
        *_same_events(table),
        *_unmapped(table),
    ]
    return tuple(sorted(found, key=lambda finding: (finding.place.file, finding.place.line)))


def check_map(states: StateMap, charts: Iterable[Chart]) -> tuple[Finding, ...]:
    """All findings of a state map, together with the charts that use it."""
    known = dict.fromkeys(state for chart in charts for state in chart.states)
    unmapped = [state for state in known if state not in states.common]
    found: list[Finding] = []
    first: dict[str, tuple[str, Place]] = {}
    for row in states.rows:
        if row.private not in known:
            text = f"no state uses the map row {row.private} → {row.common}"
            hint = _similar_name(row.private, unmapped) or "remove the row"
            found.append(_odd("unused_map_row", row.place, text, hint))
        if row.private in first:
            common, place = first[row.private]
            differs = common != row.common
            text = f"{row.private} is mapped twice, at line {place.line} to {common} and here to {row.common}"
            make = _error if differs else _odd
            found.append(make("mapped_twice", row.place, text, f"keep one row; line {place.line} counts now"))
        first.setdefault(row.private, (row.common, row.place))
    return tuple(found)


def _declared_twice(table: Table) -> Iterator[Finding]:
    first: dict[tuple[str, str], tuple[str, Place]] = {}
    for row, place in zip(table.chart.rows, table.places, strict=True):
        end, earlier = first.setdefault((row.state, row.event), (row.next, place))
        if earlier is place:
            continue
        lines = f"line {earlier.line} to {end}" if earlier.line else f"to {end}"
        text = f"{row.state} declares {row.event} twice: {lines}, and here to {row.next}"
        make = _error if end != row.next else _odd
        yield make("declared_twice", place, text, f"keep one of the rows; {end} counts now")


def _unknown_names(table: Table) -> Iterator[Finding]:
    chart = table.chart
    if chart.initial not in chart.states:
        text = f"initial state {chart.initial} is in no row"
        yield _error("unknown_state", table.initial_place, text, _similar_name(chart.initial, chart.states))
    for state, place in zip(chart.safe, table.safe_places, strict=False):
        if state not in chart.states:
            text = f"safe state {state} is in no row"
            yield _error("unknown_state", place, text, _similar_name(state, chart.states))


def _unreachable(table: Table) -> Iterator[Finding]:
    chart = table.chart
    if chart.initial not in chart.states:
        return
    reached = _reachable({chart.initial}, {(row.state, row.next) for row in chart.rows})
    for state in chart.states:
        if state not in reached:
            text = f"{state} can never be reached from {chart.initial}"
            others = [other for other in chart.states if other != state]
            hint = _similar_name(state, others) or f"let an event lead to {state}, or remove its rows"
            yield _error("unreachable", _place(table, state), text, hint)


def _stuck(table: Table) -> Iterator[Finding]:
    chart = table.chart
    safe = ", ".join(chart.safe)
    saved = _reachable(set(chart.safe) & set(chart.states), {(row.next, row.state) for row in chart.rows})
    for state in chart.states:
        others = [other for other in chart.states if other != state]
        ends = not chart.allowed(state)
        if ends and state in chart.safe:
            text = f"{state} is a dead end: no event leads out of it"
            yield _odd("dead_end", _place(table, state), text, "give it an event, unless the machine ends there")
        elif ends and chart.safe:
            text = f"{state} is a dead end: no event leads out of it, so no safe state ({safe}) can be reached"
            hint = _similar_name(state, others) or f"give it an event that leads towards {safe}"
            yield _error("no_way_to_safe", _place(table, state), text, hint)
        elif chart.safe and state not in saved:
            text = f"from {state} no safe state ({safe}) can be reached"
            yield _error("no_way_to_safe", _place(table, state), text, f"give it an event that leads towards {safe}")


def _missing_from_one(table: Table) -> Iterator[Finding]:
    """An event that leads from all states but one to the same state: a row was probably forgotten."""
    chart = table.chart
    for event in dict.fromkeys(row.event for row in chart.rows):
        rows = [row for row in chart.rows if row.event == event]
        end = rows[0].next
        having = {row.state for row in rows}
        without = [state for state in chart.states if state not in having | {end}]
        if len(having) < 3 or len(without) != 1 or any(row.next != end for row in rows):
            continue
        state = without[0]
        if any(row.state == state and row.next == end for row in chart.rows):
            continue  # another event leads there
        text = f"{event} leads to {end} from every state but {state}"
        yield _odd("missing_from_one", _place(table, state), text, f"add {state},{event},{end} unless this is intended")


def _same_events(table: Table) -> Iterator[Finding]:
    chart = table.chart
    ways: dict[frozenset[tuple[str, str]], list[str]] = {}
    for event in dict.fromkeys(row.event for row in chart.rows):
        way = frozenset((row.state, row.next) for row in chart.rows if row.event == event)
        ways.setdefault(way, []).append(event)
    for events in ways.values():
        if len(events) > 1:
            place = next(place for row, place in zip(chart.rows, table.places, strict=True) if row.event == events[1])
            text = f"{' and '.join(events)} have the same effect in every state"
            yield _odd("same_events", place, text, "keep one, unless they come from different senders")


def _unmapped(table: Table) -> Iterator[Finding]:
    if table.states is None:
        return
    mapped = table.states.common
    for state in table.chart.states:
        if state not in mapped:
            text = f"{state} has no row in {table.states.file}, so it is shown under its private name"
            yield _odd("unmapped", _place(table, state), text, f"add {state},COMMON to {table.states.file}")


def _reachable(start: Collection[str], steps: Collection[tuple[str, str]]) -> set[str]:
    """All states reachable from `start` over the (begin, end) steps, by breadth-first search."""
    reached = set(start)
    frontier = set(start)
    while frontier:
        frontier = {end for begin, end in steps if begin in frontier} - reached
        reached |= frontier
    return reached


def _place(table: Table, state: str) -> Place:
    """The place of the first row with the state."""
    for row, place in zip(table.chart.rows, table.places, strict=True):
        if state in (row.state, row.next):
            return place
    return Place(table.file)


def _similar_name(word: str, known: Iterable[str]) -> str:
    """A hint on a probable typing error: `did you mean Active?`, or empty."""
    # `Step1` and `Step2`, or `HV_ON` and `HV_ON_RAMP`, are different on purpose, although their spelling is close.
    like = [one for one in known if abs(len(one) - len(word)) <= 2 and _digits(one) == _digits(word)]
    close = get_close_matches(word, like, n=1, cutoff=0.8)
    return f"did you mean {close[0]}?" if close else ""


def _digits(word: str) -> str:
    return "".join(filter(str.isdigit, word))


def _error(code: str, place: Place, text: str, suggestion: str = "") -> Finding:
    return Finding(severity=Severity.ERROR, code=code, place=place, text=text, suggestion=suggestion)


def _odd(code: str, place: Place, text: str, suggestion: str = "") -> Finding:
    return Finding(severity=Severity.ODD, code=code, place=place, text=text, suggestion=suggestion)
