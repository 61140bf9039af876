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


class LogAnswer(Struct, frozen=True, kw_only=True, tag="fleet_logs"):
    """The answer; QueryRefusal where there is no such instance, or its node does not answer."""

    lines: tuple[str, ...] = ()


LONGEST_TAIL = 5000
