"""The section of a device whose points are computed from points of other devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from countingroom.core.alarms.expression_errors import ExpressionError
from countingroom.core.alarms.expressions import ADDRESS, Expression, compile_expression
from countingroom.devices.calibration_section import FilterSection
from countingroom.devices.section import DeviceSection, Precision, Problem, ShownValue, disorder

INPUTS_MISSING = "inputs_missing"
"""The point that the driver makes: how many inputs have no present value."""

ValueName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)?$")]
"""`name`, or `channel.column`."""


class DerivedValue(ShownValue):
    """One derived point."""

    value: Annotated[str, Field(min_length=1)]
    """The expression: `dew_point(room.temperature, room.humidity)`. An address that is no Python name is written
    `point("caen.0.lv_vMon")`."""
    names: dict[str, str] = {}
    """Short name in the expression -> address of a point."""
    type: Literal["float", "bool"] = "float"
    """A bool is whether the expression is true."""
    precision: Precision = 2
    filter: FilterSection | None = None
    """Applied to what the expression gives."""
    check_units: bool = True
    """False where constants of the expression have units, so that the unit of its result cannot be checked."""

    def problems(self) -> Iterator[Problem]:
        """An expression that cannot be used, and keys that contradict each other."""
        yield from disorder(self)
        for name, address in self.names.items():
            if not ADDRESS.fullmatch(address):
                yield ("names", name), f"{address!r} is no address of a point, as device.point"
        try:
            expression = self.expression()
        except ExpressionError as error:
            yield ("value",), f"{error.cause.message}; {error.cause.suggestion}"
        else:
            if not expression.references:
                yield ("value",), "it names no point"
        if self.type == "bool" and self.filter is not None:
            yield ("filter",), "a filter is for numbers"

    def expression(self) -> Expression:
        """ExpressionError: it cannot be used."""
        return compile_expression(self.value, self.names)


class DerivedSection(DeviceSection):
    """A device without hardware: its points are computed from points of other devices."""

    has_hardware: ClassVar[bool] = False

    driver: Literal["derived"]
    values: Annotated[dict[ValueName, DerivedValue], Field(min_length=1)]

    def problems(self) -> Iterator[Problem]:
        """Names that are taken."""
        if INPUTS_MISSING in self.values:
            yield ("values", INPUTS_MISSING), f"{INPUTS_MISSING} is the name of a point that the driver makes"

    def inputs(self, device: str) -> Mapping[str, tuple[str, ...]]:
        """Address of each derived point -> the addresses that it needs; those with a wrong expression are left out."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in self.values.items():
            try:
                found[f"{device}.{name}"] = value.expression().references
            except ExpressionError:
                continue
        return found
