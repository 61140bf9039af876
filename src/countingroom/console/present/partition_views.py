"""What pages of partitions and runs show when they are rendered, as plain values. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from countingroom.console.present.present_alarms import Alarm
from countingroom.core import subjects
from countingroom.core.commands.experiment import EXPERIMENT
from countingroom.core.commands.partition import DIRECT, PARTITION
from countingroom.core.commands.row import ButtonPlace, CommandTable
from countingroom.core.errors import Cause
from countingroom.core.partitions import MemberState, PartitionState
from countingroom.core.policy import Principal, decide
from countingroom.core.run_book import Run, RunCondition
from countingroom.core.systems import ACTIVE, CONFIGURING, ERROR, NO_CONNECTION, RECORDING, SystemKind
from countingroom.core.times import duration as shown
from countingroom.core.values import Quality

_DISCS = {CONFIGURING: "moving", ACTIVE: "ready", RECORDING: "on", ERROR: "error", NO_CONNECTION: "no_link"}


class Group(Struct, frozen=True, kw_only=True):
    """A heading of the table of systems."""

    title: str
    members: tuple[MemberState, ...]


def natural(name: str) -> list[tuple[str, int]]:
    """Sort key of a name with numbers: MVD2 before MVD10."""
    return [(word, int(digits or 0)) for word, digits in re.findall(r"(\D*)(\d*)", name.casefold())]


def foremost(states: Mapping[str, PartitionState]) -> str:
    """The partition that is named on every page: the one with the newest run, else the one that last left its lowest
    state; empty where there is none."""
    return max(
        states, key=lambda name: (states[name].run, disc(states[name]) != "off", states[name].since_ns), default=""
    )


def rests(state: PartitionState) -> list[str]:
    """The states that can be a goal, lowest first, from its chart."""
    chart, found = state.chart, [state.chart.initial]
    while "configure" in chart.allowed(found[-1]):
        found.append(chart.step(chart.step(found[-1], "configure"), "success"))
    if "start_recording" in chart.allowed(found[-1]):
        found.append(chart.step(found[-1], "start_recording"))
    return found


def disc(state: PartitionState) -> str:
    """How full its disc is drawn."""
    there = rests(state)
    if state.state == there[0]:
        return "off"
    if state.state not in there:
        return "moving"
    if state.state == there[-1] and "start_recording" in (row.event for row in state.chart.rows):
        return "on"
    return "ready" if "start_recording" in state.chart.allowed(state.state) else "part"


def disc_of(common: str) -> str:
    """How full the disc of a system's common state is drawn."""
    return _DISCS.get(common, "off")


def groups(state: PartitionState) -> list[Group]:
    """Its systems as they are listed: global ones in order of levels, then detectors by name."""
    shared = tuple(one for one in state.members if one.kind is SystemKind.GLOBAL)
    detectors = sorted(
        (one for one in state.members if one.kind is SystemKind.DETECTOR), key=lambda one: natural(one.system)
    )
    found = (Group(title="Global systems", members=shared), Group(title="Detectors", members=tuple(detectors)))
    return [group for group in found if group.members]


def link(alarm: Alarm) -> str:
    """The page where an alarm is seen best."""
    if alarm.partition:
        return f"/partitions/{alarm.partition}"
    if not alarm.device:
        return f"/alarms#{alarm.id}"
    return f"/devices/{alarm.device}#{alarm.point}" if alarm.point else f"/devices/{alarm.device}"


def denied(principal: Principal, partition: str, now_ns: int) -> dict[str, Cause]:
    """The commands of a partition that this person's role does not allow, and why."""
    return _denied(PARTITION, principal, f"partition.{partition}", now_ns)


def denied_experiment(principal: Principal, now_ns: int) -> dict[str, Cause]:
    """The same for the commands of the experiment as a whole."""
    return _denied(EXPERIMENT, principal, subjects.EXPERIMENT, now_ns)


def _denied(table: CommandTable, principal: Principal, target: str, now_ns: int) -> dict[str, Cause]:
    verdicts = {row.name: decide(principal, row.permission, target, now_ns=now_ns) for row in table.values()}
    return {command: cause for command, cause in verdicts.items() if cause is not None}


def gone(partition: str) -> dict[str, Cause | None]:
    """Every command of a partition after its owner is gone, and why it cannot be given. Stop and abort can: the console
    sends them to the systems itself."""
    cause = Cause(
        code="not_looked_after",
        message=f"{partition} has no owner: its run control is gone or sends no heartbeat",
        source=f"runs.{partition}",
        suggestion="start run control; it takes the partition over as it is",
    )
    return {name: None if name in DIRECT else cause for name in PARTITION}


def leased() -> list[str]:
    """The commands of a partition that only the user in control may give."""
    return [row.name for row in PARTITION.values() if row.under_lease]


def buttons() -> list[dict[str, object]]:
    """The commands that have a button on the page of a partition, in order, as the page's script takes them."""
    return [msgspec.to_builtins(row) for row in PARTITION.values() if row.button is not ButtonPlace.NONE]


def label(command: str) -> str:
    """What the button of a command says on the pages of the experiment and of a run."""
    row = EXPERIMENT[command]
    return f"{row.label}…" if row.confirmed else row.label


def duration(run: Run, now_ns: int) -> str:
    """How long it recorded: `1 h 48 min`, `42 s`."""
    lasted_s = run.lasted_s(now_ns)
    if lasted_s is None:
        return "–"
    return shown(int(lasted_s))


def events(run: Run) -> str:
    """The number of events: that of the system that counted most."""
    counts = [
        value
        for name, value in run.counters.items()
        if name.rpartition(".")[2] == "events" and isinstance(value, int) and not isinstance(value, bool)
    ]
    return counted(max(counts)) if counts else "–"


def counted(value: object) -> str:
    """A counter as text, whole numbers in groups of three digits."""
    return f"{value:,}".replace(",", "\u202f") if isinstance(value, int) and not isinstance(value, bool) else str(value)


def ended(run: Run) -> str:
    """How it ended: `running`, `stopped by m.rossi`."""
    if run.end is None:
        return "running" if run.started_ns else "starting"
    return f"{run.end} by {run.ended_by}" if run.ended_by else str(run.end)


def flag_texts(run: Run, kind: str) -> str:
    """What the flags of this kind are for, as one line."""
    return " · ".join(flag.what for flag in run.flags if flag.flag == kind)


def conditions(run: Run, units: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Point, value at the beginning and value at the end, as texts. `units`: address of a point -> its unit."""
    names = sorted({*run.conditions_begin, *run.conditions_end}, key=natural)

    def told(held: Mapping[str, RunCondition], name: str) -> str:
        return _value(held.get(name), units.get(name, ""))

    return [(name, told(run.conditions_begin, name), told(run.conditions_end, name)) for name in names]


def _value(condition: RunCondition | None, unit: str) -> str:
    if condition is None or condition.value is None:
        return "–"
    quality = "" if condition.quality is Quality.GOOD else f" {condition.quality.name}"
    value = condition.value
    if isinstance(value, bool | str):
        return f"{value}{quality}"
    return (f"{value:.6g}" if isinstance(value, float) else str(value)) + (f" {unit}" if unit else "") + quality


def qualities(runs: Iterable[Run]) -> list[str]:
    """The words for quality: the usual ones and those in use."""
    return sorted({"good", "bad", "test", *(run.quality for run in runs if run.quality)})
