"""A snapshot: the values of writable points at one time, with readbacks, and the user and reason. Pure."""

from __future__ import annotations

import re

from msgspec import Struct

from countingroom.core.errors import OutOfRange
from countingroom.core.plain_text import hidden_character
from countingroom.core.points import Type
from countingroom.core.values import Int64, Quality, Scalar

LONGEST_NAME = 60
LONGEST_REASON = 500
MOST_POINTS = 20_000
"""Points of one snapshot."""
_SEPARATORS = re.compile(r"[/\\\t\r\n]")


class SavedPoint(Struct, frozen=True, kw_only=True):
    """One writable point as it was."""

    device: str
    point: str
    """Name within the device: `0.hv_setV`."""
    label: str = ""
    type: Type = Type.FLOAT
    unit: str = ""
    value: Scalar
    """None: it had no value (quality BAD)."""
    quality: Quality = Quality.GOOD
    device_ns: Int64 = 0
    """Time stamp of the device."""
    readback: str = ""
    """The point that confirms it; empty: the point itself."""
    readback_value: Scalar = None
    readback_quality: Quality = Quality.GOOD

    @property
    def address(self) -> str:
        """`caen.0.hv_setV`."""
        return f"{self.device}.{self.point}"

    @property
    def is_present(self) -> bool:
        """Whether the value was the present one of the device when the snapshot was taken."""
        return self.value is not None and self.quality <= Quality.UNCERTAIN


class Snapshot(Struct, frozen=True, kw_only=True):
    """A snapshot. It is never changed; a newer one has another name."""

    name: str
    scope: tuple[str, ...]
    """What was asked for: devices, areas (`area:cooling`), points, patterns of them. A golden one counts for it."""
    reason: str
    taken_by: str
    taken_ns: Int64
    imported_by: str = ""
    """The user who imported it from a file; empty: it was taken here."""
    imported_ns: Int64 = 0
    points: tuple[SavedPoint, ...]


class GoldenMark(Struct, frozen=True, kw_only=True):
    """Which snapshot is the golden one of a scope."""

    scope: str
    """The scope of the snapshot as one text, see `scope_text`."""
    snapshot: str
    marked_by: str
    marked_ns: Int64
    reason: str


class SnapshotSummary(Struct, frozen=True, kw_only=True):
    """A snapshot without its points, for lists."""

    name: str
    scope: tuple[str, ...]
    reason: str
    taken_by: str
    taken_ns: Int64
    imported_by: str = ""
    imported_ns: Int64 = 0
    devices: tuple[str, ...]
    points: int
    not_present: int
    """Points without a present value when it was taken: their device was away, or the value is not known."""
    golden: GoldenMark | None = None


class SnapshotAction(Struct, frozen=True, kw_only=True):
    """An entry of the record of snapshots, which is only ever added to."""

    sequence: int = 0
    time_ns: Int64
    who: str
    what: str
    """`take`, `import`, `golden`, `not_golden`, `restore`, `end`, `delete`."""
    snapshot: str
    reason: str = ""
    detail: dict[str, Scalar] = {}


def scope_text(scope: tuple[str, ...]) -> str:
    """A scope as one text: two snapshots of the same words have the same one."""
    return " ".join(sorted(set(scope)))


def checked_name(text: str) -> str:
    """The name without spaces around it. OutOfRange where it is empty, too long, or cannot be shown or linked to."""
    name = text.strip()
    if (
        not name
        or len(name) > LONGEST_NAME
        or _SEPARATORS.search(name)
        or hidden_character(name)
        or name in (".", "..")
    ):
        raise OutOfRange(
            "this cannot be the name of a snapshot",
            source="snapshots",
            suggestion=f"use a text of at most {LONGEST_NAME} characters without / and \\",
        )
    return name


def checked_reason(text: str) -> str:
    """The reason without spaces around it. OutOfRange where it is empty or too long."""
    reason = text.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise OutOfRange(
            "the reason is missing" if not reason else "the reason is too long",
            source="snapshots",
            suggestion=f"write in at most {LONGEST_REASON} characters why",
        )
    return reason


def summary(of: Snapshot, golden: GoldenMark | None = None) -> SnapshotSummary:
    """The snapshot without its points."""
    return SnapshotSummary(
        name=of.name,
        scope=of.scope,
        reason=of.reason,
        taken_by=of.taken_by,
        taken_ns=of.taken_ns,
        imported_by=of.imported_by,
        imported_ns=of.imported_ns,
        devices=tuple(sorted({one.device for one in of.points})),
        points=len(of.points),
        not_present=sum(not one.is_present for one in of.points),
        golden=golden,
    )
