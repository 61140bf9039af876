"""Finds limits, choices and settings of built devices that can have no effect. They are warnings: the device works.

The points are those in force, so that limits of tables and of `points:` are looked at alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from msgspec.structs import replace

from countingroom.core.errors import OutOfRange
from countingroom.core.points import Point, Type
from countingroom.core.values import Scalar
from countingroom.core.yaml.located import Path, Problem
from countingroom.devices.registry import Hosted
from countingroom.experiment import Loaded

_LOW = ("alarm_low", "warning_low")
_HIGH = ("warning_high", "alarm_high")
_WRITE = ("write_low", "write_high")
_TABLES = ("registers", "values")


def point_warnings(loaded: Loaded, hosted: Mapping[str, Hosted]) -> list[Problem]:
    """What has no effect in the points and settings of these devices, each key once."""
    found: dict[Path, list[Problem]] = {}
    for name, device in hosted.items():
        points = device.points
        for point in points:
            first: dict[Path, list[Problem]] = {}
            for key, message in _without_effect(point):
                path = _path(loaded, device, point, key)
                first.setdefault(path, []).append(loaded.problem(path, message))
            for path, problems in first.items():
                found.setdefault(path, problems)  # a pattern or a table has one key for the points of many boards
        named = {point.name: point for point in points}
        for write in device.behaviour.settings():
            if write.point in named and (refusal := _refusal(named[write.point], write.value)):
                path = ("devices", name, "settings", write.point)
                found.setdefault(path, [loaded.problem(path, refusal)])
    return [problem for problems in found.values() for problem in problems]


def _without_effect(point: Point) -> Iterator[tuple[str, str]]:
    """(key, what is wrong with it)."""
    if point.type in (Type.STRING, Type.BOOL):
        kind = "a text" if point.type is Type.STRING else "on or off"
        for key in _WRITE if point.type is Type.BOOL else (*_LOW, *_HIGH, *_WRITE):
            if getattr(point if key in _WRITE else point.limits, key) is not None:
                yield key, f"{key} is for numbers; {point.name} is {kind}"
    if point.type is Type.BOOL:
        for key in (*_LOW, *_HIGH):
            limit = getattr(point.limits, key)
            if limit is not None and (limit >= 1 if key in _HIGH else limit <= 0):
                side = "above" if key in _HIGH else "below"
                yield key, f"no value of {point.name} is {side} {limit:g}: it is on (1) or off (0)"
    if point.writable:
        for choice in point.choices:
            if refusal := _refusal(point, choice):
                yield "choices", refusal


def _refusal(point: Point, value: Scalar) -> str:
    """Why this value would not be written; empty: it would. Limits of the device itself are not known here."""
    if not point.writable:
        return ""
    try:
        replace(point, limited_by="").check_write(value)
    except OutOfRange as error:
        return error.cause.message
    return ""


def _path(loaded: Loaded, device: Hosted, point: Point, key: str) -> Path:
    """Where the description has this key of the point: in `points:`, or in the table of the device."""
    start: Path = ("devices", device.name)
    for pattern, override in device.section.points.items():
        if fnmatchcase(point.name, pattern) and getattr(override, key, None) is not None:
            return (*start, "points", pattern, key)
    for table in _TABLES:
        for name in (point.name, point.column):
            if (*start, table, name) in loaded.located.keys:
                return (*start, table, name, key)
    return start
