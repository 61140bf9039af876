"""The plan of a restore: the writes in their order, and the points that are not written, with the reasons. Pure.

Switches that go off come first, in the reverse order. Then come all other values in order: by the stages of the
description, then by the steps of the driver (protections, ramps, LV before HV, voltages before switches). So no channel
is on with a wrong value, and a restored channel is switched on last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from fnmatch import fnmatchcase
from hashlib import sha256

import msgspec
from msgspec import Struct

from countingroom.core import command_permissions
from countingroom.core.admission import NOTHING_TO_DO
from countingroom.core.errors import Cause, OutOfRange
from countingroom.core.interlocks.hold import HELD
from countingroom.core.messages import Catalogue, CommandSpec, DeviceState, Link
from countingroom.core.points import Point, value_key
from countingroom.core.policy import Permission
from countingroom.core.snapshots.rules import SnapshotRules, is_kept, is_switch, step_of, tolerance
from countingroom.core.snapshots.values import SavedPoint, Snapshot
from countingroom.core.values import Quality, Reading, Scalar

SET = "set"
ANSWER_S = 15.0
"""Added to the deadline of a command: the time until it is accepted, and until its end is published."""
RAMP_S = 900.0
"""Added to the deadline of a command that ends in a state: the longest ramp of a device."""


class DeviceNow(Struct, frozen=True, kw_only=True):
    """The present state of a device."""

    catalogue: Catalogue
    points: Mapping[str, Point]
    """Those of the catalogue, by name."""
    readings: Mapping[str, Reading]
    state: DeviceState | None
    channels: Mapping[str, DeviceState]
    is_alive: bool
    """Whether a device host serves it."""


class PlannedWrite(Struct, frozen=True, kw_only=True):
    """One command of a restore."""

    device: str
    point: str
    label: str = ""
    unit: str = ""
    words: dict[str, str] = {}
    """The meanings of `old` and `new`, where the values of the point have names."""
    old: Scalar = None
    """None: it is not known."""
    new: Scalar
    action: str = SET
    """`set`, or the command of the device that switches it."""
    channel: str = ""
    """For a command of a channel."""
    wait_s: float
    """The end of the command is awaited so long."""
    is_dangerous: bool = False
    """It needs an expert."""
    reason: str
    """Why it stands here: `switched off first`, `step 30`."""

    @property
    def address(self) -> str:
        """`caen.0.hv_setV`."""
        return f"{self.device}.{self.point}"


class LeftPoint(Struct, frozen=True, kw_only=True):
    """A point of the snapshot that is not written, with the reason."""

    device: str
    point: str
    label: str = ""
    unit: str = ""
    words: dict[str, str] = {}
    """The meanings of `old` and `new`, where the values of the point have names."""
    old: Scalar = None
    new: Scalar
    cause: Cause


EQUAL = "equal"
"""Code of the cause of a point that is left because it has the value already."""


class RestorePlan(Struct, frozen=True, kw_only=True):
    """The plan of a restore."""

    snapshot: str
    writes: tuple[PlannedWrite, ...]
    left: tuple[LeftPoint, ...]
    digest: str
    """Of what is written, in this order: a restore is begun with the digest of the plan that the user has seen."""
    silent: tuple[str, ...] = ()
    """Devices that did not tell which values they would refuse now."""

    @property
    def equal(self) -> int:
        """Points that have their value already."""
        return sum(one.cause.code == EQUAL for one in self.left)


Permit = Callable[[str, Permission], Cause | None]
"""(device, permission) -> why the user lacks it, or None."""


class OrderedWrite(Struct, frozen=True, kw_only=True):
    """A write, and its place in the order."""

    place: tuple[int, ...]
    write: PlannedWrite


class Refusals(Struct, frozen=True, kw_only=True):
    """The writes that devices would refuse now."""

    causes: Mapping[str, Cause] = {}
    """`<device>.<point>` -> why `set` is refused for the value of the snapshot."""
    silent: tuple[str, ...] = ()
    """Devices that have not told it."""


NO_REFUSALS = Refusals()


def plan_restore(
    snapshot: Snapshot,
    now: Mapping[str, DeviceNow],
    rules: SnapshotRules,
    permit: Permit,
    only: Sequence[str] = (),
    refusals: Refusals = NO_REFUSALS,
) -> RestorePlan:
    """What is to be written now. `only`: patterns of `<device>.<point>` or devices; empty: all of the snapshot."""
    return as_plan(snapshot, judged_points(snapshot, now, rules, permit, only), now, refusals)


def sets_of(judged: Iterable[OrderedWrite | LeftPoint]) -> dict[str, dict[str, Scalar]]:
    """Device -> the values that would be set by `set`, which it may refuse in its present state."""
    found: dict[str, dict[str, Scalar]] = {}
    for one in judged:
        if isinstance(one, OrderedWrite) and one.write.action == SET:
            found.setdefault(one.write.device, {})[one.write.point] = one.write.new
    return found


def judged_points(
    snapshot: Snapshot, now: Mapping[str, DeviceNow], rules: SnapshotRules, permit: Permit, only: Sequence[str] = ()
) -> Iterator[OrderedWrite | LeftPoint]:
    """Each point of the snapshot: how it is written, or why it is left; one in a step, for many of them."""
    for saved in snapshot.points:
        if only and not any(fnmatchcase(saved.address, one) or fnmatchcase(saved.device, one) for one in only):
            continue
        yield _planned(saved, now.get(saved.device), rules, permit)


def as_plan(
    snapshot: Snapshot,
    judged: Iterable[OrderedWrite | LeftPoint],
    now: Mapping[str, DeviceNow],
    refusals: Refusals = NO_REFUSALS,
) -> RestorePlan:
    """The plan of these points: in order, without what a device refuses in its present state."""
    writes: list[OrderedWrite] = []
    left: list[LeftPoint] = []
    for one in judged:
        if isinstance(one, LeftPoint):
            left.append(one)
        else:
            writes.append(one)
    writes.sort(key=lambda one: (one.place, one.write.address))
    ordered, refused = _allowed([one.write for one in writes], now, refusals.causes)
    left += refused
    left.sort(key=lambda one: (one.cause.code == EQUAL, one.device, one.point))
    return RestorePlan(
        snapshot=snapshot.name,
        writes=tuple(ordered),
        left=tuple(left),
        digest=_digest(ordered),
        silent=refusals.silent,
    )


def _digest(writes: Iterable[PlannedWrite]) -> str:
    rows = [(one.device, one.point, one.new, one.action, one.channel) for one in writes]
    return sha256(msgspec.json.encode(rows)).hexdigest()[:16]


def _planned(
    saved: SavedPoint, now: DeviceNow | None, rules: SnapshotRules, permit: Permit
) -> OrderedWrite | LeftPoint:
    if now is None:
        return _left(saved, None, _cause("no_device", f"there is no device {saved.device}", "see the description"))
    point = now.points.get(saved.point)
    present = _present(now, saved.point)
    if point is None or not is_kept(rules, saved.device, point):
        message = f"{saved.point} is no point of {saved.device} that can be written"
        return _left(saved, present, _cause("not_writable", message, "remove it from the description, or set it there"))
    if not saved.is_present:
        message = "it had no present value when the snapshot was taken"
        return _left(saved, present, _cause("no_value", message, "set it by hand, or take another snapshot"), point)
    if away := _away(now, point):
        return _left(saved, present, away, point)
    if present is not None and tolerance(rules, saved.device, point).equal(saved.value, present):
        return _left(saved, present, _cause(EQUAL, "it has this value already", "nothing has to be done"), point)
    try:
        new = point.check_write(saved.value)
    except OutOfRange as error:
        return _left(saved, present, error.cause, point)
    action, spec = _command(now.catalogue, point, new)
    if action is None:
        message = f"no command of {saved.device} gives {saved.point} this value"
        return _left(saved, present, _cause("command_only", message, "use the commands of the device"), point)
    needed = command_permissions.of_device(spec) if spec else command_permissions.of_point(point)
    if denied := permit(saved.device, needed):
        return _left(saved, present, denied, point)
    goes_off = is_switch(point) and not new
    stage, step = rules.stage(saved.address), step_of(point)
    write = PlannedWrite(
        device=saved.device,
        point=saved.point,
        label=point.label,
        unit=point.unit,
        words=point.words(present, new),
        old=present,
        new=new,
        action=action,
        channel=point.channel if spec and spec.scope == "channel" else "",
        wait_s=_wait_s(point, spec),
        is_dangerous=needed is Permission.ENDANGER,
        reason="off first" if goes_off else f"stage {stage}, step {step}" if stage else f"step {step}",
    )
    return OrderedWrite(place=(0, -stage, -step) if goes_off else (1, stage, step), write=write)


def _command(catalogue: Catalogue, point: Point, value: Scalar) -> tuple[str | None, CommandSpec | None]:
    """The command that gives a point its value: `set` and None, or one of the device; None where there is none."""
    name = point.commands.get(value_key(value))
    if name is None:
        return (None, None) if point.command_only or point.commands else (SET, None)
    scope = "channel" if point.channel else "device"
    spec = next((one for one in catalogue.commands if one.name == name and one.scope == scope), None)
    return (None, None) if spec is None else (name, spec)


def _wait_s(point: Point, spec: CommandSpec | None) -> float:
    if spec is None:
        return point.confirm_s + ANSWER_S
    return spec.deadline_s + ANSWER_S + (RAMP_S if spec.done_in else 0.0)


def _allowed(
    writes: Sequence[PlannedWrite], now: Mapping[str, DeviceNow], sets: Mapping[str, Cause]
) -> tuple[list[PlannedWrite], list[LeftPoint]]:
    """Writes without the commands that are refused now, unless an earlier write of the plan may change that."""
    kept: list[PlannedWrite] = []
    refused: list[LeftPoint] = []
    moved: set[tuple[str, str]] = set()
    """(device, channel) for which the plan has a command already; the empty channel is the whole device."""
    for one in writes:
        cause = _refusal(one, now[one.device], sets)
        channel = now[one.device].points[one.point].channel if one.action == SET else one.channel
        may_change = cause is not None and cause.code != HELD and _touches(moved, one.device, channel)
        if cause is not None and cause.code != NOTHING_TO_DO and not may_change:
            refused.append(
                LeftPoint(
                    device=one.device,
                    point=one.point,
                    label=one.label,
                    unit=one.unit,
                    words=one.words,
                    old=one.old,
                    new=one.new,
                    cause=cause,
                )
            )
            continue
        kept.append(one)
        if one.action != SET:
            moved.add((one.device, one.channel))
    return kept, refused


def _touches(moved: Set[tuple[str, str]], device: str, channel: str) -> bool:
    """Whether an earlier command acts on the same channel, or on the device as a whole; or, for a command of the
    device, on any of its channels."""
    channels = {one for other, one in moved if other == device}
    return bool(channels) if not channel else bool(channels & {channel, ""})


def _refusal(write: PlannedWrite, now: DeviceNow, sets: Mapping[str, Cause]) -> Cause | None:
    """Why the device would refuse this command in its present state."""
    if write.action == SET:
        return sets.get(write.address)
    state = now.channels.get(write.channel) if write.channel else now.state
    return None if state is None else state.refusals.get(write.action)


def _away(now: DeviceNow, point: Point) -> Cause | None:
    """Why the device, or its channel, cannot be commanded now."""
    device = now.catalogue.device
    state = now.channels.get(point.channel) if point.channel else now.state
    if not now.is_alive:
        return _cause("away", f"no device host serves {device}", "start it, then make the plan again")
    if state is None or state.link is not Link.CONNECTED:
        under = (state.cause,) if state and state.cause else ()
        return Cause(
            code="away",
            message=f"{device} is not reached",
            source="snapshots",
            suggestion="restore the link, then make the plan again",
            causes=under,
        )
    if not state.active:
        return _cause(
            "inactive",
            f"channel {point.channel} is monitored but not commanded",
            "give the channel a module in the description to make it active",
        )
    return None


def _present(now: DeviceNow, point: str) -> Scalar:
    reading = now.readings.get(point)
    return reading.value if reading is not None and reading.quality <= Quality.UNCERTAIN else None


def _left(saved: SavedPoint, present: Scalar, cause: Cause, point: Point | None = None) -> LeftPoint:
    return LeftPoint(
        device=saved.device,
        point=saved.point,
        label=saved.label,
        unit=saved.unit,
        words=point.words(present, saved.value) if point else {},
        old=present,
        new=saved.value,
        cause=cause,
    )


def _cause(code: str, message: str, suggestion: str) -> Cause:
    return Cause(code=code, message=message, source="snapshots", suggestion=suggestion)
