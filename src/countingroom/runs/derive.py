"""Law: a partition's state is proven by what its systems report now, so a restarted owner is right at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from countingroom.core.charts import Chart, Row
from countingroom.core.errors import Cause
from countingroom.core.partitions import Member
from countingroom.core.systems import ACTIVE, CONFIGURING, NO_CONNECTION, RECORDING, SystemState
from countingroom.runs.template import Level, Template


class Seen(Struct, frozen=True, kw_only=True):
    """A system as its partition sees it."""

    state: SystemState | None = None
    """Its last report; None: it never reported."""
    connected: bool = False
    cause: Cause | None = None
    """Why it is not connected."""

    @property
    def common(self) -> str:
        """Its common state, or `Connection Problem`."""
        return self.state.common if self.state and self.connected else NO_CONNECTION


UNSEEN = Seen()


def is_right(member: Member, seen: Seen) -> bool:
    """It is Active or Recording with the configuration that is wanted (any, where none is selected)."""
    if not seen.connected or seen.state is None or seen.state.common not in (ACTIVE, RECORDING):
        return False
    return member.wanted is None or seen.state.key == member.wanted.key


class LevelView(Struct, frozen=True, kw_only=True):
    """How far a level is; names of included members."""

    level: Level
    members: tuple[str, ...]
    right: tuple[str, ...]
    going: tuple[str, ...]
    """In Configuring."""
    missing: tuple[str, ...]
    """Critical and not right."""
    ready: bool


def view(level: Level, members: Iterable[Member], seen: Mapping[str, Seen]) -> LevelView:
    """Look at one level. A level without included members is ready."""
    here = [member for member in members if member.level == level.name and member.included]
    right = tuple(member.system for member in here if is_right(member, seen.get(member.system, UNSEEN)))
    missing = tuple(member.system for member in here if member.critical and member.system not in right)
    return LevelView(
        level=level,
        members=tuple(member.system for member in here),
        right=right,
        going=tuple(member.system for member in here if seen.get(member.system, UNSEEN).common == CONFIGURING),
        missing=missing,
        ready=not missing and len(right) >= min(level.minimum, len(here)),
    )


def ready_levels(template: Template, members: Sequence[Member], seen: Mapping[str, Seen]) -> int:
    """How many levels are ready, counted from the lowest without a gap."""
    for index, level in enumerate(template.levels):
        if not view(level, members, seen).ready:
            return index
    return len(template.levels)


def all_record(template: Template, members: Iterable[Member], seen: Mapping[str, Seen]) -> bool:
    """Every recorder that is included records; there is one at least."""
    recorders = [member.system for member in members if member.system in template.recorders and member.included]
    return bool(recorders) and all(seen.get(name, UNSEEN).common == RECORDING for name in recorders)


def derive(template: Template, members: Sequence[Member], seen: Mapping[str, Seen]) -> str:
    """The state of the template's chart that the reports prove."""
    ready = ready_levels(template, members, seen)
    if ready == len(template.levels):
        return template.recording if all_record(template, members, seen) else template.top
    following = view(template.levels[ready], members, seen)
    return following.level.configuring if following.going else template.below(ready)


def moves(chart: Chart, before: str, after: str, *, prefer: Collection[str] = ()) -> tuple[Row, ...]:
    """The shortest way through the chart, each row a move that is recorded; empty where there is none or no need.

    Of ways equally short the preferred events are taken; `abort` only then, or where nothing else leads there.
    """

    def taste(row: Row) -> int:
        return 0 if row.event in prefer else 2 if row.event == "abort" else 1

    ways: deque[tuple[Row, ...]] = deque([()])
    been = {before}
    while ways:
        way = ways.popleft()
        at = way[-1].next if way else before
        if at == after:
            return way
        for row in sorted((row for row in chart.rows if row.state == at), key=taste):
            if row.next not in been:
                been.add(row.next)
                ways.append((*way, row))
    return ()
