"""The keys that the section of every device has, whatever its driver."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, ClassVar

from pydantic import Field

from countingroom.core.points import Limits
from countingroom.core.yaml.section import Seconds, Section

Duration = Annotated[Seconds, Field(gt=0)]
Silence = Annotated[Seconds, Field(ge=0)]
"""A time without messages; 0 switches the rule off."""
Deadband = Annotated[float, Field(ge=0)]
Precision = Annotated[int, Field(ge=0, le=15)]
"""Significant decimals."""
Address = Annotated[str, Field(min_length=1)]
"""A host, or a port of this machine."""

_ORDERS = (("alarm_low", "warning_low", "warning_high", "alarm_high"), ("write_low", "write_high"), ("low", "high"))


def disorder(section: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """Problems of limits in the wrong order. With them every write would be refused, or every value be an alarm."""
    for order in _ORDERS:
        given = [(key, limit) for key in order if (limit := getattr(section, key, None)) is not None]
        for (lower, low), (upper, high) in pairwise(given):
            if high < low:
                yield (upper,), f"{upper} {high:g} is below {lower} {low:g}"


class PointOverride(Section):
    """Changes that the description makes to a point of the driver."""

    label: str | None = None
    deadband: Deadband | None = None
    alarm_low: float | None = None
    warning_low: float | None = None
    warning_high: float | None = None
    alarm_high: float | None = None
    write_low: float | None = None
    write_high: float | None = None
    stale_after: Silence | None = None
    dangerous: bool | None = None
    """Writing it can harm, and needs the role expert."""

    def problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Limits in the wrong order."""
        return disorder(self)

    def limits(self) -> Limits:
        """The limits as a value of core."""
        return Limits(
            alarm_low=self.alarm_low,
            warning_low=self.warning_low,
            warning_high=self.warning_high,
            alarm_high=self.alarm_high,
        )


class CommandOverride(Section):
    """Changes that the description makes to a command of the driver."""

    dangerous: bool
    """It can harm: it needs the role expert, and the console asks in red."""


class DeviceSection(Section):
    """Base of every driver's section, which adds `driver: Literal["…"]` and its own keys."""

    builder: ClassVar[str] = ""
    """`module:function` that makes the device of it; empty: `build` in the module build.py beside the section's."""

    title: str = ""
    """The title in the console; the device's name where empty."""
    group: str = ""
    """Heading in the console's navigation; the driver's own where empty."""
    poll: Duration = 1.0
    """Between the starts of two polls; unused by monitoring drivers."""
    timeout: Duration = 2.0
    """For one answer of the device."""
    reconnect_first: Duration = 0.5
    """The first pause before connecting again; it doubles up to `reconnect_most`."""
    reconnect_most: Duration = 30.0
    apply_on_connect: bool = False
    """Write the settings of this section to the device when it connects, unless its `may_apply` refuses."""
    points: dict[str, PointOverride] = {}
    """Point name, or a pattern with `*`, -> the changes."""
    commands: dict[str, CommandOverride] = {}
    """Command -> the changes."""
