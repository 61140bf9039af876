"""Derives a partition's state from the present reports of its systems, so a restarted owner is right at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Cause
from countingroom.core.partitions import Member
from countingroom.core.systems import ACTIVE, CONFIGURING, NO_CONNECTION, RECORDING, SystemState
from countingroom.runs.planner.template import Level, Template


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


def is_right(member: Member, seen: Seen, *, any_key: bool = False) -> bool:
    """It is Active or Recording with the configuration that is wanted (any, where none is selected)."""
    if not seen.connected or seen.state is None or seen.state.common not in (ACTIVE, RECORDING):
        return False
    return any_key or member.wanted is None or seen.state.key == member.wanted.key


class LevelView(Struct, frozen=True, kw_only=True):
    """How far a level is."""

    level: Level
    members: tuple[Member, ...]
    """Those included."""
    right: frozenset[str]
    going: bool
    """A member is in Configuring."""
    missing: tuple[str, ...]
    """Critical and not right."""
    ready: bool


class Survey(Struct, frozen=True, kw_only=True):
    """What the reports prove, looked at once."""

    state: str
    """Of the template's chart."""
    configured: str
    """The state by the configurations that are selected: below `state` while another selection is not configured."""
    levels: tuple[LevelView, ...]
    ready: int
    """How many levels are ready, counted from the lowest without a gap."""
    common: Mapping[str, str]
    """Of every member, as it is seen."""
    recording: bool
    """Every recorder that is included records; there is one at least. A run that is over does not count."""
    left: tuple[str, ...]
    """Recorders that are included, needed, and do not record."""
    stale: Mapping[str, int] = {}
    """Recorder -> the run that it records although it is over: it was not heard when it ended."""

    @property
    def any_records(self) -> bool:
        """Whether a recorder records, also one that is excluded."""
        return RECORDING in self.common.values()

    @property
    def any_right(self) -> bool:
        """Whether a single member is right."""
        return any(view.right for view in self.levels)


def survey(
    template: Template,
    members: Iterable[Member],
    seen: Mapping[str, Seen],
    *,
    run: int,
    joining: Collection[str] = (),
    rests_in: str = "",
) -> Survey:
    """Look at all members. Those `joining` a recording are no loss while they are not ready. `run`: the one that is
    open; a recording that was begun elsewhere has no number, and counts.

    While all recorders record, what is selected for later does not count: a run is never disturbed by it. Nor does it
    take down a partition without a goal, which stays where it `rests_in`: configuring does.
    """
    here: dict[str, list[Member]] = {level.name: [] for level in template.levels}
    common: dict[str, str] = {}
    included: set[str] = set()
    for member in members:
        common[member.system] = seen.get(member.system, UNSEEN).common
        if member.included and member.level in here:
            included.add(member.system)
            here[member.level].append(member)
    recorders = [name for name in template.recorders if name in included]
    stale = {name: over for name in template.recorders if (over := _run_of(seen.get(name, UNSEEN))) not in (0, run)}
    # A recorder that was away when its run ended still records the old number: for the present run it does not record.
    quiet = tuple(name for name in recorders if common[name] != RECORDING or name in stale)
    needed = tuple(name for name in quiet if name not in template.waived)
    left = needed or (quiet if len(quiet) == len(recorders) else ())  # a run is over when none of its recorders records
    recording = bool(recorders) and not left
    views = tuple(
        _view(level, here[level.name], seen, common, joining=joining, any_key=recording) for level in template.levels
    )
    ready = _ready(views)
    configured = state = _state(template, views, ready, recording)
    # A second look that accepts every configuration tells what the systems themselves allow.
    if rests_in and not recording:
        shown = tuple(
            _view(level, here[level.name], seen, common, joining=joining, any_key=True) for level in template.levels
        )
        state = _kept(template, configured, rests_in, _state(template, shown, _ready(shown), recording))
    return Survey(
        state=state,
        configured=configured,
        levels=views,
        ready=ready,
        common=common,
        recording=recording,
        left=left,
        stale=stale,
    )


def _kept(template: Template, configured: str, present: str, possible: str) -> str:
    """The state of a partition without a goal: it stays where it is, as far as its systems allow."""
    lower = min(present, possible, key=template.reached)
    return lower if template.reached(lower) > template.reached(configured) else configured


def _ready(views: Sequence[LevelView]) -> int:
    return next((index for index, view in enumerate(views) if not view.ready), len(views))


def _run_of(seen: Seen) -> int:
    """The run that it records; 0: none, or none that was numbered."""
    return seen.state.run if seen.state and seen.common == RECORDING else 0


def _view(
    level: Level,
    here: Sequence[Member],
    seen: Mapping[str, Seen],
    common: Mapping[str, str],
    *,
    joining: Collection[str],
    any_key: bool,
) -> LevelView:
    right = frozenset(m.system for m in here if is_right(m, seen.get(m.system, UNSEEN), any_key=any_key))
    wrong = [member for member in here if member.system not in right]
    missing = tuple(member.system for member in wrong if member.critical and member.system not in joining)
    return LevelView(
        level=level,
        members=tuple(here),
        right=right,
        going=any(common[member.system] == CONFIGURING for member in wrong),
        missing=missing,
        ready=not missing and len(right) >= level.minimum,
    )


def _state(template: Template, views: Sequence[LevelView], ready: int, recording: bool) -> str:
    # Levels above the first one that is not ready are not looked at: their systems only come down with it.
    for view in views[: ready + 1]:
        if view.going and not (view.ready and view.right):
            return view.level.configuring
    if not any(view.right for view in views):
        return template.idle
    if ready == len(views):
        return template.recording if recording else template.top
    return template.below(ready)


def moves(chart: Chart, before: str, after: str, *, prefer: Collection[str] = ()) -> tuple[Row, ...]:
    """The shortest way through the chart, each row a move that is recorded; empty where there is none or no need.

    Of ways equally short, the one with the preferred events is taken. `abort` is used only if it is preferred, or if no
    other event leads there.
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
