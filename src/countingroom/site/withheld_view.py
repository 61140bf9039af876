"""How much was withheld: records that did not leave, and lines of logs, by what they are about. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from countingroom.mirror.store.values import SourceRow, WithheldRow

_OF_SOURCES = (("host", "clients of runs"), ("cluster", "computers of clusters"))
_NAMES = {
    "partition": "partitions",
    "run": "runs",
    "device": "devices",
    "alarm": "alarms",
    "node": "nodes",
    "service": "services",
    "point": "points",
    "event": "events",
    "role": "processes",
    "note": "notes",
}


class WithheldOfKind(Struct, frozen=True, kw_only=True):
    """What was withheld of a kind so far."""

    name: str
    records: int
    """That did not leave at all."""
    lines: int
    """Of logs, that came."""
    lines_withheld: int


class WithheldView(Struct, frozen=True, kw_only=True):
    """What was withheld so far, in all and by kind."""

    records: int
    lines: int
    lines_withheld: int
    kinds: tuple[WithheldOfKind, ...]
    """Those of which something came to be counted."""


def withheld(sources: Sequence[SourceRow], rows: Iterable[WithheldRow]) -> WithheldView:
    """Of the upstreams (`sources`), and of the experiment itself (`rows`)."""
    kinds: list[WithheldOfKind] = []
    for kind, name in _OF_SOURCES:
        mine = [one for one in sources if one.kind == kind]
        kinds.append(
            WithheldOfKind(
                name=name,
                records=sum(one.withheld for one in mine),
                lines=sum(one.lines for one in mine),
                lines_withheld=sum(one.lines_withheld for one in mine),
            )
        )
    for row in rows:
        name = _NAMES.get(row.kind, row.kind)
        kinds.append(WithheldOfKind(name=name, records=row.records, lines=row.lines, lines_withheld=row.lines_withheld))
    return WithheldView(
        records=sum(one.records for one in kinds),
        lines=sum(one.lines for one in kinds),
        lines_withheld=sum(one.lines_withheld for one in kinds),
        kinds=tuple(one for one in kinds if one.records or one.lines),
    )
