"""Devices and the values of their points, as they are published. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from markupsafe import Markup
from msgspec import Struct

from countingroom.mirror.store.values import RecordRow
from countingroom.site import bodies, zones
from countingroom.site.plots import small_line

DEVICE = "device"
POINT = "point"
TREND_S = 6 * 3600.0
"""Length of a trend."""
_MARKS = {"on": ("full", ""), "off": ("empty", ""), "moving": ("half", ""), "error": ("g1", "g1")}
"""By the kind of a state: its mark, and the class of a cell."""
_LOST = ("stale", "stale")
_GAP_S = 900.0
"""Values further apart are not joined, unless all of the point are."""


class PublishedPoint(Struct, frozen=True, kw_only=True):
    """A point and its newest value that left."""

    device: str
    name: str
    key: str
    """Of its records in the store."""
    value: float | bool | str | None
    """None: it is not known, or it did not leave."""
    unit: str
    quality: str
    at_s: float | None

    @property
    def is_good(self) -> bool:
        """Whether the value can be relied on, as far as the outside is told."""
        return self.quality in ("", "good")

    @property
    def shown(self) -> str:
        """The value as a text, without its unit."""
        match self.value:
            case None:
                return zones.NOTHING
            case bool():
                return "on" if self.value else "off"
            case str():
                return self.value
            case _:
                return f"{self.value:.6g}"


class PublishedDevice(Struct, frozen=True, kw_only=True):
    """A device with its points."""

    name: str
    state: str
    mark: str
    level: str
    """Class of its cell on the page Now; empty: as it should be."""
    since_s: float | None
    trouble: str
    points: tuple[PublishedPoint, ...]


def devices(records: Iterable[RecordRow]) -> list[PublishedDevice]:
    """By name, those in error first. A device of which only points are published has no state."""
    bodies_of: dict[str, bodies.Body] = {}
    points: dict[str, list[PublishedPoint]] = {}
    for one in records:
        if one.body is None:
            continue
        if one.kind == DEVICE:
            bodies_of[bodies.text(one.body, "device") or one.key] = one.body
        elif one.kind == POINT:
            point = _point(one.key, one.body)
            points.setdefault(point.device, []).append(point)
    found = [_device(name, bodies_of.get(name, {}), points.get(name, [])) for name in {*bodies_of, *points}]
    return sorted(found, key=lambda one: (one.level != "g1", one.name))


def _device(name: str, body: bodies.Body, points: Iterable[PublishedPoint]) -> PublishedDevice:
    state = bodies.text(body, "state")
    common, link = bodies.text(body, "common"), bodies.text(body, "link")
    is_lost = common == "no_link" or link == "disconnected"
    mark, level = _LOST if is_lost else _MARKS.get(common, ("", ""))
    return PublishedDevice(
        name=name,
        state=state.replace("_", " ") or common.replace("_", " ") or link,
        mark=mark,
        level=level,
        since_s=bodies.time_s(body, "since"),
        trouble=bodies.text(body, "trouble").replace("_", " "),
        points=tuple(sorted(points, key=lambda one: one.name)),
    )


def _point(key: str, body: bodies.Body) -> PublishedPoint:
    device, _, name = key.partition("/")
    value: float | bool | str | None = bodies.number(body, "value")
    if value is None and isinstance(body.get("is_on"), bool):
        value = bodies.flag(body, "is_on")
    if value is None:
        value = bodies.text(body, "text") or None
    return PublishedPoint(
        device=bodies.text(body, "device") or device,
        name=bodies.text(body, "point") or name or key,
        key=key,
        value=value,
        unit=bodies.text(body, "unit"),
        quality=bodies.text(body, "quality"),
        at_s=bodies.time_s(body, "at"),
    )


def values(records: Sequence[RecordRow]) -> list[tuple[float, PublishedPoint]]:
    """The values of one point with their times in s since 1970, the oldest first. `records`: the newest first."""
    found = [(_point(one.key, one.body), one.at) for one in records if one.body is not None]
    return [(point.at_s or at / 1e6, point) for point, at in reversed(found)]


def trend(found: Sequence[tuple[float, PublishedPoint]], now_s: float) -> Markup:
    """The numbers of the last TREND_S as a line between their least and their most; empty without two of them."""
    numbers = [
        (at_s, point.value)
        for at_s, point in found
        if at_s >= now_s - TREND_S and point.is_good and isinstance(point.value, float)
    ]
    if len(numbers) < 2:
        return Markup()
    least, most = min(value for _, value in numbers), max(value for _, value in numbers)
    steps = sorted(after - before for (before, _), (after, _) in pairwise(numbers))
    gap_s = max(_GAP_S, 3 * steps[len(steps) // 2])
    path, before_s = "", None
    for at_s, value in numbers:
        x = 500 * (at_s - now_s + TREND_S) / TREND_S
        y = 40 - 34 * (value - least) / (most - least) if most > least else 22
        path += f"{'L' if before_s is not None and at_s - before_s <= gap_s else 'M'}{x:.1f} {y:.1f}"
        before_s = at_s
    return small_line(f"The last six hours, from {least:.6g} to {most:.6g}", path, has_tooltip=True)
