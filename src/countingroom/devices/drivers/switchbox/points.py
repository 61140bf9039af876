"""The points of a switchbox. Pure."""

from __future__ import annotations

from countingroom.core.points import Point, Type
from countingroom.devices.drivers.switchbox.codec import CHANNELS, CHANNELS_ON, enabled_point

NUMBERS = tuple(str(number) for number in range(1, CHANNELS + 1))
"""The names of its channels."""


def points(*, stale_after_s: float, confirm_s: float) -> tuple[Point, ...]:
    """All points. Every one is its own readback, and is switched by commands alone."""

    def point(
        name: str, label: str, kind: Type = Type.BOOL, channel: str = "", column: str = "", step: int = 10
    ) -> Point:
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
            commands=_commands(name, channel),
            restore_step=step,
        )

    return (
        point("lv", "LV", step=20),
        point("hv", "HV", step=30),
        point(CHANNELS_ON, "Channels enabled", Type.INT),
        *(point(enabled_point(number), "Enabled", channel=number, column="enabled") for number in NUMBERS),
    )


def _commands(name: str, channel: str) -> dict[str, str]:
    """Value -> the command that gives it. Channels are enabled one by one, so their mask has none."""
    if channel:
        return {"true": "enable", "false": "disable"}
    return {} if name == CHANNELS_ON else {"true": f"{name}_on", "false": f"{name}_off"}
