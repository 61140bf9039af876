"""Which points a snapshot is taken of: devices, areas, points, and patterns of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from countingroom.core.errors import NotFound, OutOfRange
from countingroom.core.messages import Catalogue
from countingroom.core.points import Point
from countingroom.core.snapshots.rules import SnapshotRules, is_kept
from countingroom.core.snapshots.values import MOST_POINTS

AREA = "area:"
_SOURCE = "snapshots"


def chosen_points(
    words: Sequence[str], catalogues: Mapping[str, Catalogue], rules: SnapshotRules
) -> dict[str, tuple[Point, ...]]:
    """Device -> its points, of what these words name.

    A word is `area:cooling` (with the areas in it), a device or a pattern of devices without a dot, or a point
    `<device>.<point>` or a pattern of points. NotFound for a word that names no point that can be written.
    """
    if not words:
        raise OutOfRange("no device, area or point is given", source=_SOURCE, suggestion="name one, or * for all")
    kept = {
        device: [point for point in catalogue.points if is_kept(rules, device, point)]
        for device, catalogue in sorted(catalogues.items())
    }
    wanted: dict[str, set[str]] = {}
    for word in words:
        found = False
        for device, points in kept.items():
            names = {point.name for point in points if _fits(word, device, point.name, rules)}
            if names:
                found = True
                wanted.setdefault(device, set()).update(names)
        if not found:
            raise NotFound(
                f"{word} names no point that can be written",
                source=_SOURCE,
                suggestion=_hint(word, catalogues, rules),
            )
    chosen = {
        device: tuple(point for point in kept[device] if point.name in names)
        for device, names in sorted(wanted.items())
    }
    if sum(map(len, chosen.values())) > MOST_POINTS:
        raise OutOfRange(
            f"these are more than {MOST_POINTS} points", source=_SOURCE, suggestion="take them as several snapshots"
        )
    return chosen


def _fits(word: str, device: str, point: str, rules: SnapshotRules) -> bool:
    if word.startswith(AREA):
        area = word.removeprefix(AREA).strip("/")
        return bool(area) and f"{rules.areas.get(device, '')}/".startswith(f"{area}/")
    if "." in word:
        return fnmatchcase(f"{device}.{point}", word)
    return fnmatchcase(device, word)


def _hint(word: str, catalogues: Mapping[str, Catalogue], rules: SnapshotRules) -> str:
    if word.startswith(AREA):
        areas = sorted(set(filter(None, rules.areas.values())))
        return f"areas with devices: {', '.join(areas) or 'none: give a device its area in the description'}"
    return f"devices: {', '.join(sorted(catalogues)) or 'none yet'}; a point is <device>.<point>"
