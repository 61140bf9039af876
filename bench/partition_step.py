"""One step of a partition takes a fraction of a millisecond for each report, and grows with its members alone."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from bench.row import Row
from countingroom.core.partitions import Configuration, Goal, Member
from countingroom.core.systems import ACTIVE, SystemKind, SystemState
from countingroom.runs.description import shipped
from countingroom.runs.planner.events import Fact, GoalSet, LinkChanged, Reported
from countingroom.runs.planner.forecast import forecast
from countingroom.runs.planner.members import resolve_members
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.recorders import with_recorders
from countingroom.runs.planner.step import step

ROUNDS = 7
NOW_NS = 1_000_000_000
COUNTS = (200, 1000, 2000)


def run() -> list[Row]:
    """A step with one report, with a report of every member, and a whole forecast."""
    rows: list[Row] = []
    for count in COUNTS:
        idle, active = _partition(count, ""), _partition(count, ACTIVE)
        ready = _all_recording(active)
        start = [GoalSet(goal=Goal(state="Recording"), run=1)]
        one = [Reported(state=_state(active.members[1], ACTIVE, 9))]
        every = [Reported(state=_state(member, ACTIVE, 9)) for member in active.members]
        named: dict[str, Callable[[], object]] = {
            "step with one report": lambda partition=active, facts=one: step(partition, facts, now_ns=NOW_NS),
            "step with a report of each": lambda partition=active, facts=every: step(partition, facts, now_ns=NOW_NS),
            "step that starts every member": lambda partition=ready, facts=start: step(partition, facts, now_ns=NOW_NS),
            "plan to the top": lambda partition=idle: forecast(partition, Goal(state="QA_Active"), now_ns=NOW_NS),
        }
        for name, job in named.items():
            goal = "<= 10 ms" if count == 1000 and name != "plan to the top" else ""
            rows.append(Row(name=f"{name}, {count} detectors", value=_best(job), unit="ms", goal=goal))
    return rows


def _all_recording(partition: PartitionModel) -> PartitionModel:
    """The same, where every member takes data."""
    described = msgspec.structs.replace(partition.template, recorders=("all",))
    return msgspec.structs.replace(partition, template=with_recorders(described, partition.members))


def _partition(count: int, common: str) -> PartitionModel:
    template = shipped("cbm").template("cbm")
    members = tuple(
        Member(
            system=member.system,
            kind=member.kind,
            level=member.level,
            wanted=Configuration(tag="physics", key=f"{member.system}/physics"),
        )
        for member in resolve_members(template, [f"d{number}" for number in range(count)])
    )
    partition = PartitionModel(name="beam", template=template, members=members, state=template.idle, since_ns=0)
    facts: list[Fact] = []
    for member in members:
        facts += [LinkChanged(system=member.system, connected=True), Reported(state=_state(member, common, 1))]
    return step(partition, facts, now_ns=NOW_NS)[0]


def _state(member: Member, common: str, sequence: int) -> SystemState:
    common = common or "Unconfigured"
    key = member.wanted.key if member.wanted and common == ACTIVE else ""
    return SystemState(
        system=member.system,
        kind=SystemKind(member.kind),
        state=common,
        common=common,
        tag="physics" if key else "",
        key=key,
        sequence=sequence,
        boot="bench",
        since_ns=0,
    )


def _best(job: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        job()
        best = min(best, time.perf_counter() - begin)
    return best * 1000
