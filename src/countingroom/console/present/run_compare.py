"""Two runs side by side: what took part, with which configurations, what was counted. Pure.

A row differs where a person would ask why. Counters always differ, so they have a difference and are not marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from countingroom.console.present.partition_views import conditions, counted, duration, ended, natural
from countingroom.core.configurations import compare_parameters
from countingroom.core.run_book import Run
from countingroom.core.values import Scalar

NOTHING = "–"


class CompareRow(Struct, frozen=True, kw_only=True):
    """One line: a name, what it was in both runs, and the difference in words."""

    name: str
    before: str
    after: str
    difference: str = ""
    differs: bool = False
    inner: bool = False
    """A parameter of the row above."""


class CompareSection(Struct, frozen=True, kw_only=True):
    """A heading with its lines."""

    title: str
    rows: tuple[CompareRow, ...]
    beside: bool = False
    """It stands in the right half of the page."""


def remarks(run: Run) -> str:
    """Its comments, newest first, as one line."""
    return " · ".join(note.text for note in reversed(run.notes) if note.kind == "comment" and note.text)


def excluded(run: Run) -> list[str]:
    """The systems that were excluded while it ran and not included again."""
    out: dict[str, None] = {}
    for note in run.notes:
        if note.kind == "exclude" and note.system:
            out[note.system] = None
        elif note.kind == "include":
            out.pop(note.system, None)
    return sorted(out, key=natural)


def compare_runs(one: Run, other: Run, now_ns: int, units: Mapping[str, str]) -> tuple[CompareSection, ...]:
    """What differs between two runs, by subject; sections without lines are left out. `units`: of each point."""
    systems = sorted({*one.members, *other.members}, key=lambda name: (_order(name, one), _order(name, other)))
    sections = (
        CompareSection(title="Members and configurations", rows=tuple(_members(one, other, systems))),
        CompareSection(title="Software", rows=tuple(_versions(one, other))),
        CompareSection(title="The run", rows=tuple(_facts(one, other, now_ns)), beside=True),
        CompareSection(title="Conditions at the beginning", rows=tuple(_conditions(one, other, units)), beside=True),
        CompareSection(title="Counters", rows=tuple(_counters(one, other)), beside=True),
    )
    return tuple(section for section in sections if section.rows)


def differing(sections: Sequence[CompareSection]) -> tuple[int, int]:
    """(lines that differ, lines); parameters are not counted for themselves."""
    rows = [row for section in sections for row in section.rows if not row.inner]
    return sum(row.differs for row in rows), len(rows)


def _order(name: str, run: Run) -> int:
    return run.members.index(name) if name in run.members else len(run.members)


def _members(one: Run, other: Run, systems: Sequence[str]) -> Iterator[CompareRow]:
    for name in systems:
        had = [run.configurations.get(name) if name in run.members else None for run in (one, other)]
        words = [_took_part(run, name) for run in (one, other)]
        first, second = ((each.parameters if each else {}) for each in had)
        changes = compare_parameters(first, second) if all(had) else ()
        differs = words[0] != words[1] or bool(changes)
        told = ""
        if changes:
            told = f"{len(changes)} of {len({*first, *second})} parameters"
        elif differs:
            told = "not in A" if name not in one.members else "not in B" if name not in other.members else "differs"
        yield CompareRow(name=name, before=words[0], after=words[1], difference=told or "same", differs=differs)
        for change in changes:
            yield CompareRow(
                name=change.name,
                before=NOTHING if change.added else str(change.before),
                after=NOTHING if change.removed else str(change.after),
                difference=_by(change.before, change.after),
                differs=True,
                inner=True,
            )


def _took_part(run: Run, name: str) -> str:
    if name not in run.members:
        return "not in it"
    had = run.configurations.get(name)
    tag = had.tag if had else "no configuration"
    return f"{tag}, excluded" if name in excluded(run) else tag


def _versions(one: Run, other: Run) -> Iterator[CompareRow]:
    for name in sorted({*one.versions, *other.versions}, key=natural):
        yield _row(name, one.versions.get(name, NOTHING), other.versions.get(name, NOTHING))


def _facts(one: Run, other: Run, now_ns: int) -> Iterator[CompareRow]:
    yield _row("partition", one.partition, other.partition)
    yield _row("tag", one.tag or NOTHING, other.tag or NOTHING)
    yield _row("quality", one.quality or "not judged", other.quality or "not judged")
    yield _row("ended", ended(one), ended(other))
    yield _row("flags", ", ".join(one.flagged) or "none", ", ".join(other.flagged) or "none")
    yield _row("requested by", one.requested_by, other.requested_by)
    yield CompareRow(name="length", before=duration(one, now_ns), after=duration(other, now_ns))
    yield CompareRow(name="notes", before=str(len(one.notes)), after=str(len(other.notes)))


def _counters(one: Run, other: Run) -> Iterator[CompareRow]:
    for name in sorted({*one.counters, *other.counters}, key=natural):
        before, after = one.counters.get(name), other.counters.get(name)
        words = [NOTHING if value is None else counted(value) for value in (before, after)]
        yield CompareRow(name=name, before=words[0], after=words[1], difference=_percent(before, after))


def _conditions(one: Run, other: Run, units: Mapping[str, str]) -> Iterator[CompareRow]:
    """At the beginning of each run: values differ always a little, so they are not marked."""
    values = [{name: begin for name, begin, _ in conditions(run, units)} for run in (one, other)]
    for name in sorted({*values[0], *values[1]}, key=natural):
        first, second = (run.conditions_begin.get(name) for run in (one, other))
        difference = _by(first.value if first else None, second.value if second else None)
        before, after = (each.get(name, NOTHING) for each in values)
        yield CompareRow(name=name, before=before, after=after, difference=difference)


def _row(name: str, before: str, after: str) -> CompareRow:
    return CompareRow(
        name=name,
        before=before,
        after=after,
        difference="same" if before == after else "differs",
        differs=before != after,
    )


def _is_number(value: Scalar) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _by(before: Scalar, after: Scalar) -> str:
    """How far A is from B: `+3`; empty where they are no numbers."""
    if not (_is_number(before) and _is_number(after)):
        return ""
    return f"{float(before or 0) - float(after or 0):+.6g}".replace("-", "\u2212")


def _percent(before: Scalar, after: Scalar) -> str:
    """How far A is from B, in per cent of B."""
    if not (_is_number(before) and _is_number(after)) or not after:
        return ""
    return f"{100 * (float(before or 0) - float(after)) / float(after):+.1f} %".replace("-", "\u2212")
