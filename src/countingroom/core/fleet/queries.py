"""Questions to the fleet that have no effect, and their answers. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.fleet.plan import FleetPlan


class FleetPlanQuery(Struct, frozen=True, kw_only=True):
    """`query.fleet.plan`: what would `apply` do now?"""

    revision: int = 0
    """Of an earlier revision, for a rollback; 0: of the description as it is now."""


class FleetPlanAnswer(Struct, frozen=True, kw_only=True, tag="fleet_plan"):
    """The answer; QueryRefusal where the description has mistakes."""

    plan: FleetPlan
    mark: str
    """Changes with the plan. `apply` takes it, and is refused where another plan holds by then."""


class LogQuery(Struct, frozen=True, kw_only=True):
    """`query.fleet.logs`: the last lines of the output of an instance."""

    service: str
    node: str
    index: int = 0
    tail: int = 200
    since_ns: int = 0
    """Only lines from this time on, where their times are known."""


class LogAnswer(Struct, frozen=True, kw_only=True, tag="fleet_logs"):
    """The answer; QueryRefusal where there is no such instance, or its node does not answer."""

    lines: tuple[str, ...] = ()
    times_ns: tuple[int, ...] = ()
    """When each was written; 0: not known."""


class LogSource(Struct, frozen=True, kw_only=True):
    """An instance whose log is read."""

    service: str
    node: str
    index: int = 0


class LogFollowQuery(Struct, frozen=True, kw_only=True):
    """`query.fleet.log_lines`: the next lines of a session, answered as soon as there are some."""

    session: str
    """Given by the reader. Its first question begins it; without questions it ends."""
    of: tuple[LogSource, ...] = ()
    tail: int = 200
    """So many lines of before, of each."""
    since_ns: int = 0
    is_end: bool = False
    """The reader has gone."""


class FollowedLine(Struct, frozen=True, array_like=True):
    """A line of one of the instances of a session."""

    of: int
    """Its place in `LogFollowQuery.of`."""
    time_ns: int
    text: str


class LogFollowAnswer(Struct, frozen=True, kw_only=True, tag="fleet_log_lines"):
    """The answer; QueryRefusal where there is no such node, or there are too many readers."""

    lines: tuple[FollowedLine, ...] = ()
    missed: int = 0
    """Lines that the reader was too slow for."""


LONGEST_TAIL = 5000
