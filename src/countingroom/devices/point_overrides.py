"""Changes to the points and commands of a device that the description makes. An override without a point is refused."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from countingroom.core.errors import Cause, ConfigurationError
from countingroom.core.messages import CommandSpec
from countingroom.core.points import Limits, Point
from countingroom.devices.section import CommandOverride, PointOverride, disorder

_PLAIN = ("label", "deadband", "write_low", "write_high", "dangerous", "every_change")


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
    changed: list[Point] = []
    wrong: dict[str, Cause] = {}
    for point in points:
        fitting = [(pattern, o) for pattern, o in ordered if fnmatchcase(point.name, pattern)]
        changed.append(_overridden(point, [override for _, override in fitting]))
        if fitting and (contradiction := _contradiction(changed[-1])) and not _contradiction(point):
            pattern = fitting[-1][0]  # one Cause for a pattern, however many points it fits
            wrong.setdefault(
                pattern,
                Cause(
                    code="configuration",
                    message=f"{contradiction} of {point.name}",
                    source=f"{source}.{pattern}",
                    suggestion="give both limits, the lower one first",
                ),
            )
    if wrong:
        causes = tuple(wrong.values())
        raise ConfigurationError(", and ".join(cause.message for cause in causes), source=source, causes=causes)
    return tuple(changed)


def _contradiction(point: Point) -> str:
    """The limits of this point that are in the wrong order, as text; empty if the order is right."""
    return next((message for limited in (point, point.limits) for _, message in disorder(limited)), "")


def overridden_commands(
    commands: tuple[CommandSpec, ...], overrides: Mapping[str, CommandOverride], *, source: str = "commands"
) -> tuple[CommandSpec, ...]:
    """The commands with the overrides applied."""
    names = {command.name for command in commands}
    near = f"choose from {', '.join(sorted(names)) or 'none: this device has no commands'}"
    unknown = tuple(
        Cause(
            code="configuration",
            message=f"no command is named {name}",
            source=f"{source}.{name}",
            suggestion=near,
        )
        for name in overrides
        if name not in names
    )
    if unknown:
        message = ", and ".join(cause.message for cause in unknown)
        raise ConfigurationError(message, source=source, suggestion=near, causes=unknown)
    return tuple(
        msgspec.structs.replace(one, dangerous=overrides[one.name].dangerous) if one.name in overrides else one
        for one in commands
    )


def _overridden(point: Point, overrides: list[PointOverride]) -> Point:
    for override in overrides:
        given = override.model_dump(exclude_none=True)
        limits = {key: value for key, value in given.items() if key in Limits.__struct_fields__}
        plain = {key: value for key, value in given.items() if key in _PLAIN}
        if "stale_after" in given:
            plain["stale_after_s"] = given["stale_after"]
        # A limit of the device itself can be made narrower, never wider.
        for key, narrower in (("write_low", max), ("write_high", min)):
            source = f"{key}_source"
            if key in plain and getattr(point, source):
                kept = getattr(point, key)
                plain[key] = narrower(plain[key], kept)
                if plain[key] != kept:
                    plain[source] = ""
        point = msgspec.structs.replace(point, limits=msgspec.structs.replace(point.limits, **limits), **plain)
    return point
