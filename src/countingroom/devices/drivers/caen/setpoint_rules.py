"""Which values of a CAEN channel may be written now: setpoints and settings refused because HV or LV is on. Pure.

The voltage of an LV output is not changed while it is on, settings are not applied to a channel with HV or LV on, and
switches are set by commands only.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from countingroom.core.errors import Cause
from countingroom.core.values import Quality, Reading
from countingroom.devices.drivers.caen.columns import CODES, status_text

CLEAR_ALARM = "clear_alarm"
"""The point that clears the trips of all channels."""


def setpoint_refusal(point: str, inactive: Container[str], readings: Mapping[str, Reading]) -> Cause | None:
    """Why this point must not be written now, or None."""
    channel, _, column = point.rpartition(".")
    if point == CLEAR_ALARM or column.endswith("_pw"):
        names = "clear_alarms" if point == CLEAR_ALARM else f"{column[:2]}_on and {column[:2]}_off"
        return Cause(
            code="command_only",
            message=f"{point} is set by commands only",
            source=channel,
            suggestion=f"use the commands {names}",
        )
    if channel in inactive:
        return Cause(
            code="inactive",
            message=f"channel {channel} has no module: it is monitored but not commanded",
            source=channel,
            suggestion="name its module in the description",
        )
    if column == "lv_setV":
        return _unless_off(channel, "lv", readings, "the low voltage is not changed")
    return None


def settings_refusal(channel: str, readings: Mapping[str, Reading]) -> Cause | None:
    """Why the settings of this channel must not be applied now, or None."""
    # HV first: an operator must switch it off before the LV, and the message must not suggest the other order.
    return _unless_off(channel, "hv", readings, "settings are not applied") or _unless_off(
        channel, "lv", readings, "settings are not applied"
    )


def status_word(readings: Mapping[str, Reading], name: str) -> int | None:
    """A status word, or None while its reading is STALE or BAD."""
    number = measured(readings, name)
    return None if number is None else int(number)


def measured(readings: Mapping[str, Reading], name: str) -> float | None:
    """A number, or None while its reading is STALE or BAD."""
    reading = readings.get(name)
    if reading is None or reading.quality > Quality.UNCERTAIN or not isinstance(reading.value, (int, float)):
        return None
    return float(reading.value)


def _unless_off(channel: str, side: str, readings: Mapping[str, Reading], refusal: str) -> Cause | None:
    # An unknown status counts as on: a ramping output with a lost status word must not get another voltage.
    status = status_word(readings, f"{channel}.{side}_status")
    # The switch counts before the status word, which follows later, as in `behaviour.py`.
    is_switched_on = measured(readings, f"{channel}.{side}_pw") == 1
    if status is not None and not status & 1 and not is_switched_on:
        return None
    is_on = is_switched_on or bool(status)
    now = "unknown" if status is None else CODES.get(str(status), status_text(status))
    return Cause(
        code=f"{side}_on" if is_on else "unknown",
        message=f"channel {channel}: {refusal} while {side.upper()} is on (it is {now})"
        + (", and its switch is on" if is_switched_on else ""),
        source=channel,
        evidence={f"{side}_status": status, **({f"{side}_pw": 1} if is_switched_on else {})},
        suggestion=f"switch it off first: {side}_off" if is_on else "wait until its status is known",
    )
