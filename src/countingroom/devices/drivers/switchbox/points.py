"""The points of a switchbox. Pure."""

from __future__ import annotations

from countingroom.core.points import Point, Type
from countingroom.devices.drivers.switchbox.codec import CHANNELS, CHANNELS_ON, enabled_point

NUMBERS = tuple(str(number) for number in range(1, CHANNELS + 1))
"""The names of its channels."""


def points(*, stale_after_s: float, confirm_s: float) -> tuple[Point, ...]:
    """All points. Every one is its own readback, and is switched by commands alone."""

    def point(name: str, label: str, kind: Type = Type.BOOL, channel: str = "", column: str = "") -> Point:
        return Point(
            name=name,
            channel=channel,
            column=column,
            label=label,
            type=kind,
            precision=0,
            stale_after_s=stale_after_s,
            confirm_s=confirm_s,
            writable=True,
            choices=(0,) if name == CHANNELS_ON else (),
            command_only=True,
        )

    return (
        point("lv", "LV"),
        point("hv", "HV"),
        point(CHANNELS_ON, "Channels enabled", Type.INT),
        *(point(enabled_point(number), "Enabled", channel=number, column="enabled") for number in NUMBERS),
    )
