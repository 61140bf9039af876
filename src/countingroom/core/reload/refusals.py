"""Why a reload is not done now: it would disturb a run, an interlock, or the whole of the experiment. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.reload.content import ReloadContent
from countingroom.core.reload.plan import Entails, ReloadPlan

SOURCE = "reload"
RUN_CONTROL = ("runs", "agents")
"""Processes, or the first part of their names, that a partition at work needs."""
ALARMS = "alarms"
RESTART_S = 10.0
"""Longest time in which a process is started again and heard."""


class ReloadSituation(Struct, frozen=True, kw_only=True):
    """The present activity of the experiment."""

    busy: dict[str, tuple[str, ...]] = {}
    """Partition that takes a run or is on its way to another state -> its systems."""
    acting: tuple[str, ...] = ()
    """Interlocks that are tripped, or whose state is unknown."""


def refusals(plan: ReloadPlan, old: ReloadContent, now: ReloadSituation) -> tuple[Cause, ...]:
    """Every reason against it; empty: it may be done."""
    return (*_of_up(plan), *_of_runs(plan, old, now), *_of_interlocks(plan, old, now))


def _of_up(plan: ReloadPlan) -> Iterator[Cause]:
    if paths := [one.path for one in plan.of(Entails.UP)]:
        yield Cause(
            code="needs_restart",
            message=f"{_listed(paths)} can only be changed by a restart of up",
            source=SOURCE,
            suggestion="take this back and reload the rest, or stop `countingroom up` and start it again",
        )


def _of_runs(plan: ReloadPlan, old: ReloadContent, now: ReloadSituation) -> Iterator[Cause]:
    needed = [name for name in plan.restarts if name.partition("-")[0] in RUN_CONTROL]
    for partition, systems in sorted(now.busy.items()):
        if needed:
            yield Cause(
                code="in_run",
                message=f"partition {partition} is at work, and {_listed(needed)} would start again because of "
                f"{_listed([path for name in needed for path in plan.restarts[name]])}",
                source=SOURCE,
                suggestion=f"reload when {partition} is at rest, or take this back and reload the rest",
            )
        devices = {old.commanded[name] for name in systems if name in old.commanded}
        if disturbed := sorted(devices & plan.touched):
            yield Cause(
                code="in_run",
                message=f"partition {partition} is at work with {_listed(disturbed)}, whose link would be lost",
                source=SOURCE,
                suggestion=f"reload when {partition} is at rest, or take this back and reload the rest",
            )


def _of_interlocks(plan: ReloadPlan, old: ReloadContent, now: ReloadSituation) -> Iterator[Cause]:
    for device in sorted(plan.touched & old.interlocked.keys()):
        yield Cause(
            code="interlocked",
            message=f"interlock {_listed(list(old.interlocked[device]))} needs {device}, whose link would be lost",
            source=SOURCE,
            suggestion="change its title, area, points or commands only, or stop `countingroom up` and start it again",
        )
    if ALARMS not in plan.restarts:
        return
    if now.acting:
        yield Cause(
            code="interlocked",
            message=f"interlock {_listed(list(now.acting))} acts, and the alarm department would start again because "
            f"of {_listed(plan.restarts[ALARMS])}",
            source=SOURCE,
            suggestion="reset it first, or take this back and reload the rest",
        )
    if old.silent_s is not None and old.silent_s < RESTART_S:
        yield Cause(
            code="interlocked",
            message=f"the alarm department would start again, and device hosts switch off when it is silent for "
            f"{old.silent_s:g} s",
            source=SOURCE,
            suggestion=f"give `engine_silent.after` at least {RESTART_S:g} s, or restart `countingroom up`",
        )


def _listed(names: list[str] | tuple[str, ...]) -> str:
    once = list(dict.fromkeys(names))
    more = f" and {len(once) - 5} more" if len(once) > 5 else ""
    return ", ".join(once[:5]) + more
