"""Comparison of a snapshot with the present values or with another snapshot. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum

from msgspec import Struct

from countingroom.core.points import Point
from countingroom.core.snapshots.rules import Tolerance
from countingroom.core.snapshots.values import SavedPoint
from countingroom.core.values import Scalar


class PointVerdict(StrEnum):
    """The result of a comparison for one point."""

    DIFFERS = "differs"
    UNKNOWN = "unknown"
    """One of both has no present value: the device is away, or was."""
    MISSING = "missing"
    """The other side has no such point."""
    ADDED = "added"
    """Only the other side has it."""
    EQUAL = "equal"


_NO_POINTS: Mapping[str, Point] = {}
_FIRST = list(PointVerdict)
"""Differing rows come first."""


class ComparedPoint(Struct, frozen=True, kw_only=True):
    """One row of a comparison."""

    device: str
    point: str
    label: str = ""
    unit: str = ""
    words: dict[str, str] = {}
    """The meanings of both values, where the values of the point have names."""
    saved: Scalar = None
    """In the snapshot."""
    other: Scalar = None
    """Now, or in the other snapshot."""
    difference: float | None = None
    """`other` less `saved`, where both are numbers."""
    tolerance: float = 0.0
    verdict: PointVerdict


class Comparison(Struct, frozen=True, kw_only=True):
    """All rows, and how many there are of each verdict."""

    rows: tuple[ComparedPoint, ...]
    counts: dict[PointVerdict, int]

    @property
    def differs(self) -> int:
        """Points that are known to differ."""
        return sum(self.counts.get(one, 0) for one in (PointVerdict.DIFFERS, PointVerdict.MISSING, PointVerdict.ADDED))


def compared_rows(
    saved: Iterable[SavedPoint],
    other: Iterable[SavedPoint],
    tolerance: Callable[[SavedPoint], Tolerance],
    points: Mapping[str, Point] = _NO_POINTS,
) -> Iterator[ComparedPoint]:
    """Yields a row for each point of both sides, in the order of addresses, so that a caller with many points can pause
    between rows. `points`: address -> present point, which gives values their names."""
    before = {one.address: one for one in saved}
    after = {one.address: one for one in other}
    for address in sorted(before.keys() | after.keys()):
        yield _row(before, after, address, tolerance, points.get(address))


def comparison(found: Iterable[ComparedPoint]) -> Comparison:
    """These rows, those that differ first, with their counts."""
    rows = sorted(found, key=lambda row: _FIRST.index(row.verdict))
    counted = Counter(row.verdict for row in rows)
    return Comparison(rows=tuple(rows), counts={one: counted[one] for one in PointVerdict if counted[one]})


def compare(
    saved: Iterable[SavedPoint], other: Iterable[SavedPoint], tolerance: Callable[[SavedPoint], Tolerance]
) -> Comparison:
    """Every point of both sides, differing ones first, then in the order of addresses."""
    return comparison(compared_rows(saved, other, tolerance))


def _row(
    before: Mapping[str, SavedPoint],
    after: Mapping[str, SavedPoint],
    address: str,
    tolerance: Callable[[SavedPoint], Tolerance],
    point: Point | None,
) -> ComparedPoint:
    old, new = before.get(address), after.get(address)
    about = old or new
    if about is None:
        raise LookupError(address)  # it comes from one of both
    within = tolerance(about)
    saved, present = old and old.value, new and new.value
    return ComparedPoint(
        device=about.device,
        point=about.point,
        label=about.label,
        unit=about.unit,
        words=point.words(saved, present) if point else {},
        saved=saved,
        other=present,
        difference=_difference(saved, present),
        tolerance=within.about(saved),
        verdict=_verdict(old, new, within),
    )


def _verdict(old: SavedPoint | None, new: SavedPoint | None, within: Tolerance) -> PointVerdict:
    if old is None:
        return PointVerdict.ADDED
    if new is None:
        return PointVerdict.MISSING
    if not (old.is_present and new.is_present):
        return PointVerdict.UNKNOWN
    return PointVerdict.EQUAL if within.equal(old.value, new.value) else PointVerdict.DIFFERS


def _difference(saved: Scalar, present: Scalar) -> float | None:
    if isinstance(saved, bool | str) or isinstance(present, bool | str) or saved is None or present is None:
        return None
    return float(present - saved)
