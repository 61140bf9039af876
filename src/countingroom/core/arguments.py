"""Checks the arguments of a command against its declaration: names, types and limits. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.errors import OutOfRange
from countingroom.core.messages import CommandSpec
from countingroom.core.points import Point
from countingroom.core.values import Scalar


def checked(spec: CommandSpec, arguments: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The arguments converted to their declared types; an argument of None counts as not given.

    OutOfRange (`unknown_argument`, `missing_argument`, `wrong_type`, `out_of_range`) when one does not fit.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    known = {parameter.name for parameter in spec.parameters}
    for name in given:
        if name not in known:
            takes = f"use: {', '.join(sorted(known))}" if known else f"{spec.name} has no arguments"
            raise OutOfRange(f"{spec.name} has no argument {name}", code="unknown_argument", suggestion=takes)
    taken: dict[str, Scalar] = {}
    for parameter in spec.parameters:
        if parameter.name in given:
            like = Point(
                name=parameter.name,
                type=parameter.type,
                unit=parameter.unit,
                choices=parameter.choices,
                writable=True,
                write_low=parameter.low,
                write_high=parameter.high,
            )
            taken[parameter.name] = like.check_write(given[parameter.name])
        elif not parameter.optional:
            raise OutOfRange(
                f"{spec.name} needs the argument {parameter.name}",
                code="missing_argument",
                suggestion=f"give {parameter.name}{f' in {parameter.unit}' if parameter.unit else ''}",
            )
    return taken
