"""Computes the spans in which an alarm was active, with their priorities, from the rows of its history. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.states import Priority


class AlarmSpan(Struct, frozen=True, kw_only=True):
    """The alarm was active from its begin until before its end. Times are ns since the epoch."""

    begin_ns: int
    end_ns: int | None
    """None: it is active at the end of the range."""
    priority: Priority


def active_spans(rows: Iterable[AlarmEntry], from_ns: int, resolution_ns: int = 0) -> tuple[AlarmSpan, ...]:
    """The spans of one alarm, oldest first.

    `rows` are in the order of their times, and all before the end of the range; what was before `from_ns` is only the
    state at the begin. Spans that a picture of this resolution cannot separate are one, with the most urgent priority.
    """
    found: list[AlarmSpan] = []
    present: Priority | None = None
    begin_ns = from_ns
    for row in rows:
        after = row.priority if row.base.is_active and row.kind is not HistoryKind.CLOSED else None
        if after == present:
            continue
        time_ns = max(row.time_ns, from_ns)
        if present is not None and time_ns > begin_ns:
            _add(found, AlarmSpan(begin_ns=begin_ns, end_ns=time_ns, priority=present), resolution_ns)
        present, begin_ns = after, time_ns
    if present is not None:
        _add(found, AlarmSpan(begin_ns=begin_ns, end_ns=None, priority=present), resolution_ns)
    return tuple(found)


def _add(found: list[AlarmSpan], span: AlarmSpan, resolution_ns: int) -> None:
    last = found[-1] if found else None
    if last is None or last.end_ns is None or span.begin_ns - last.end_ns > resolution_ns:
        found.append(span)
        return
    is_short = min(_length(last), _length(span)) < resolution_ns
    if last.priority == span.priority or is_short:
        priority = min(last.priority, span.priority)
        found[-1] = AlarmSpan(begin_ns=last.begin_ns, end_ns=span.end_ns, priority=priority)
    else:
        found.append(span)


def _length(span: AlarmSpan) -> float:
    return float("inf") if span.end_ns is None else span.end_ns - span.begin_ns
