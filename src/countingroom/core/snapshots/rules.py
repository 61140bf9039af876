"""Rules of the description for snapshots: tolerances, the order of a restore, points that are left out. Pure."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase

from msgspec import Struct

from countingroom.core.points import Point, Type
from countingroom.core.values import Scalar

SWITCH_STEP = 90
"""The step of a switch whose driver gives none: after all other values."""


class PointRule(Struct, frozen=True, kw_only=True):
    """What counts for the points of a pattern."""

    match: str
    """Pattern of `<device>.<point>`: `caen.*.hv_setV`."""
    absolute: float | None = None
    relative: float | None = None
    leave_out: bool = False
    """Neither taken nor restored."""


class SnapshotRules(Struct, frozen=True, kw_only=True):
    """The section `snapshots`, and the areas of devices."""

    absolute: float = 0.0
    relative: float = 1e-6
    points: tuple[PointRule, ...] = ()
    """The first that fits counts."""
    order: tuple[tuple[str, ...], ...] = ()
    """Stages, each of patterns of points. Points that are in no stage come before the first."""
    areas: dict[str, str] = {}
    """Device -> path of its area."""

    def of(self, address: str) -> PointRule | None:
        """The rule for a point."""
        return next((rule for rule in self.points if fnmatchcase(address, rule.match)), None)

    def stage(self, address: str) -> int:
        """Number of the stage of a point, from 1; 0: it is in none."""
        for number, patterns in enumerate(self.order, 1):
            if any(fnmatchcase(address, pattern) for pattern in patterns):
                return number
        return 0


class Tolerance(Struct, frozen=True, kw_only=True):
    """Two numbers are equal within the larger of both."""

    absolute: float = 0.0
    relative: float = 0.0

    def about(self, value: Scalar) -> float:
        """The greatest difference at this value that counts as equal; 0 for what is no number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return 0.0
        return max(self.absolute, self.relative * abs(value))

    def equal(self, saved: Scalar, present: Scalar) -> bool:
        """Whether both are equal. Texts, switches and mixed types by equality; None equals nothing."""
        if saved is None or present is None:
            return False
        if isinstance(saved, bool) or isinstance(present, bool):
            return isinstance(saved, bool) and isinstance(present, bool) and saved == present
        if isinstance(saved, str) or isinstance(present, str):
            return saved == present
        if not (math.isfinite(saved) and math.isfinite(present)):
            return False
        return abs(saved - present) <= self.about(saved)


EXACT = Tolerance()


def tolerance(rules: SnapshotRules, device: str, point: Point) -> Tolerance:
    """The tolerance of a point: of the first rule that gives one, else that of its confirmation and the default.
    Enumerations have none."""
    if point.choices or point.codes or point.type in (Type.BOOL, Type.STRING):
        return EXACT
    rule = rules.of(f"{device}.{point.name}")
    if rule is not None and (rule.absolute is not None or rule.relative is not None):
        return Tolerance(absolute=rule.absolute or 0.0, relative=rule.relative or 0.0)
    return Tolerance(absolute=max(point.tolerance, rules.absolute), relative=rules.relative)


def is_kept(rules: SnapshotRules, device: str, point: Point) -> bool:
    """Whether a point is taken into snapshots: it can be written, it keeps its value, and no rule leaves it out."""
    if not point.writable or point.momentary or (point.command_only and not point.commands):
        return False
    rule = rules.of(f"{device}.{point.name}")
    return rule is None or not rule.leave_out


def is_switch(point: Point) -> bool:
    """Whether its false value means off."""
    return point.type is Type.BOOL or bool(point.commands)


def step_of(point: Point) -> int:
    """Its place in the order of its driver."""
    return point.restore_step or (SWITCH_STEP if is_switch(point) else 0)
