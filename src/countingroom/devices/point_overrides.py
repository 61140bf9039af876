"""Changes to the points of a device that the description makes. An override without a point is refused."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from countingroom.core.errors import Cause, ConfigurationError
from countingroom.core.points import Limits, Point
from countingroom.devices.section import PointOverride


def overridden(
    points: tuple[Point, ...], overrides: Mapping[str, PointOverride], *, source: str = "points"
) -> tuple[Point, ...]:
    """The points with the overrides applied: patterns in the order of the description, then exact names."""
    names = {point.name for point in points}
    near = f"{', '.join(sorted(names)[:12])}{' …' if len(names) > 12 else ''}"
    unknown = tuple(
        Cause(
            code="configuration",
            message=f"no point is named {pattern}",
            source=f"{source}.{pattern}",
            suggestion=f"choose from {near}",
        )
        for pattern in overrides
        if not any(fnmatchcase(name, pattern) for name in names)
    )
    if unknown:
        message = ", and ".join(cause.message for cause in unknown)
        raise ConfigurationError(message, source=source, suggestion=f"choose from {near}", causes=unknown)
    ordered = sorted(overrides.items(), key=lambda item: item[0] in names)
    return tuple(
        _overridden(point, [o for pattern, o in ordered if fnmatchcase(point.name, pattern)]) for point in points
    )


def _overridden(point: Point, overrides: list[PointOverride]) -> Point:
    for override in overrides:
        given = override.model_dump(exclude_none=True)
        limits = {key: value for key, value in given.items() if key in Limits.__struct_fields__}
        plain = {key: value for key, value in given.items() if key in ("label", "deadband", "write_low", "write_high")}
        if "stale_after" in given:
            plain["stale_after_s"] = given["stale_after"]
        point = msgspec.structs.replace(point, limits=msgspec.structs.replace(point.limits, **limits), **plain)
    return point
