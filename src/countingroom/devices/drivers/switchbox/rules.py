"""What may be switched now: HV needs LV, LV stays on under HV, channels stay as they are under HV, four at most. Pure.

A value that is not known counts as the one that forbids. Switching the high voltage off is never forbidden.
"""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.admission import NOTHING_TO_DO
from countingroom.core.errors import Cause
from countingroom.core.values import Quality, Reading
from countingroom.devices.drivers.switchbox.codec import enabled_point
from countingroom.devices.drivers.switchbox.points import NUMBERS

MOST_ENABLED = 4

_WAIT = "wait until the box has sent a status that can be read"
_HV_OFF = "switch the HV off first: hv_off"


def known(readings: Mapping[str, Reading], name: str) -> bool | None:
    """Whether it is on; None while its reading is STALE or BAD."""
    reading = readings.get(name)
    if reading is None or reading.quality > Quality.UNCERTAIN or not isinstance(reading.value, bool):
        return None
    return reading.value


def enabled(readings: Mapping[str, Reading]) -> tuple[str, ...] | None:
    """The channels that are enabled; None while one of them is not known."""
    states = {number: known(readings, enabled_point(number)) for number in NUMBERS}
    if None in states.values():
        return None
    return tuple(number for number, is_on in states.items() if is_on)


def forbidden(command: str, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
    """Why this command must not be given now, or None."""
    match command:
        case "hv_on":
            return _hv_on(readings)
        case "lv_off":
            return _under_hv("the LV is not switched off", readings) or _lv_is_off(readings)
        case "enable" | "disable":
            what = f"channel {channel} is not {command}d"
            return _under_hv(what, readings) or (_one_more(channel, readings) if command == "enable" else None)
        case "disable_all":
            return _under_hv("channels are not disabled", readings)
        case _:
            return None


def _hv_on(readings: Mapping[str, Reading]) -> Cause | None:
    lv = known(readings, "lv")
    if lv is None:
        return _cause("unknown", "the HV is not switched on while it is not known whether the LV is on", _WAIT)
    if not lv:
        return _cause("lv_off", "the HV is not switched on while the LV is off", "switch the LV on first: lv_on")
    on = enabled(readings)
    if on is None:
        return _cause("unknown", "the HV is not switched on while it is not known which channels are enabled", _WAIT)
    return too_many(on)


def _under_hv(what: str, readings: Mapping[str, Reading]) -> Cause | None:
    hv = known(readings, "hv")
    if hv is None:
        return _cause("unknown", f"{what} while it is not known whether the HV is off", _WAIT)
    return _cause("hv_on", f"{what} while the HV is on", _HV_OFF) if hv else None


def _lv_is_off(readings: Mapping[str, Reading]) -> Cause | None:
    return _cause(NOTHING_TO_DO, "the LV is off already", "nothing") if known(readings, "lv") is False else None


def _one_more(channel: str, readings: Mapping[str, Reading]) -> Cause | None:
    on = enabled(readings)
    if on is None:
        return _cause(
            "unknown", f"channel {channel} is not enabled while it is not known which others are enabled", _WAIT
        )
    if channel in on or len(on) < MOST_ENABLED:
        return None
    return Cause(
        code="too_many_channels",
        message=f"{len(on)} channels are enabled already ({', '.join(on)}); at most {MOST_ENABLED} may be",
        evidence={"enabled": len(on)},
        suggestion="disable one of them first",
    )


def too_many(on: tuple[str, ...]) -> Cause | None:
    """The Cause where more channels are enabled than may be."""
    if len(on) <= MOST_ENABLED:
        return None
    return Cause(
        code="too_many_channels",
        message=f"{len(on)} channels are enabled ({', '.join(on)}); at most {MOST_ENABLED} may be",
        evidence={"enabled": len(on)},
        suggestion="switch the HV off, then disable channels until four are left: disable_all, or disable of a channel",
    )


def _cause(code: str, message: str, suggestion: str) -> Cause:
    return Cause(code=code, message=message, suggestion=suggestion)
