"""Law: what every device's section has in common, whatever its driver."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from countingroom.core.description import Seconds, Section
from countingroom.core.points import Limits

Duration = Annotated[Seconds, Field(gt=0)]


class PointOverride(Section):
    """What the experiment knows better about a point than its driver."""

    label: str | None = None
    deadband: float | None = None
    alarm_low: float | None = None
    warning_low: float | None = None
    warning_high: float | None = None
    alarm_high: float | None = None
    write_low: float | None = None
    write_high: float | None = None
    stale_after: Seconds | None = None

    def limits(self) -> Limits:
        """The limits as core knows them."""
        return Limits(
            alarm_low=self.alarm_low,
            warning_low=self.warning_low,
            warning_high=self.warning_high,
            alarm_high=self.alarm_high,
        )


class DeviceSection(Section):
    """Base of every driver's section, which adds `driver: Literal["…"]` and its own keys."""

    builder: ClassVar[str] = ""
    """`module:function` that makes the device of it; empty: `build` in the module build.py beside the section's."""

    title: str = ""
    """For people; the device's name where empty."""
    group: str = ""
    """Heading in the console's navigation; the driver's own where empty."""
    poll: Duration = 1.0
    """Between the starts of two polls; unused by drivers that are told of changes."""
    timeout: Duration = 2.0
    """For one answer of the device."""
    reconnect_first: Duration = 0.5
    """The first pause before connecting again; it doubles up to `reconnect_most`."""
    reconnect_most: Duration = 30.0
    apply_on_connect: bool = False
    """Write the settings of this section to the device when it connects. Never while that would be unsafe."""
    points: dict[str, PointOverride] = {}
    """Point name, or a pattern with `*`, -> what to change about it."""
