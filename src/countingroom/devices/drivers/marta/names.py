"""Unit, severity and text of a MARTA register, derived from its name. Pure."""

from __future__ import annotations

import re

FULL_STOP, STOP, WARNING = 1, 2, 3
"""Priorities of the alarm bits `_FS`, `_TS` and `_W`."""

_SEVERITIES = {"FS": FULL_STOP, "TS": STOP, "W": WARNING}
_GRAVITY = {FULL_STOP: "Full stop", STOP: "Stop", WARNING: "Warning"}

_UNITS = (
    (r"PT\d", "bar"),
    (r"(TT|ST|TC)\d", "degC"),
    (r"(SC|SH|DT)\d", "K"),
    (r"DP(\d|_)", "bar"),
    (r"FT\d", "g/s"),
    (r"EV\d+C?_valve_pos", "percent"),
    (r"LP_speed|(set_)?speed_setpoint", "rpm"),
    (r"EH_power", "percent"),
    (r"(set_)?temperature_setpoint", "degC"),
    (r"(set_)?flow_setpoint", "g/s"),
)

_WORDS = {
    "CP": "compressor",
    "LP": "low pressure",
    "HP": "high pressure",
    "LT": "low temperature",
    "HT": "high temperature",
    "CB": "circuit breaker",
    "IOErr": "input error",
    "CEr": "controller error",
    "Cnt": "contactor",
    "PS": "pressure switch",
    "EB": "emergency button",
    "EH": "heater",
    "V": "fans",
    "UPS": "uninterruptible supply",
    "MODE": "in use",
    "ChTT": "chiller temperatures",
    "ChPT": "chiller pressures",
}

MAIN = frozenset(
    (
        *("temperature_setpoint", "TC04_TSP", "ST04_CO2_calc", "TT04_CO2", "TT05_CO2", "TT06_CO2"),
        *("PT01_CO2", "PT04_CO2", "PT06_CO2", "DP03_CO2_calc", "DP04_CO2_calc"),
        *("speed_setpoint", "LP_speed", "flow_setpoint", "FT01_CO2", "EH_power", "EV3C_valve_pos", "SC01_CO2_calc"),
        *("set_start_chiller", "set_start_co2", "set_flow_active", "status"),
        *("set_temperature_setpoint", "set_speed_setpoint", "set_flow_setpoint"),
    )
)
"""Points of the main table; the others are under `all values`."""


def unit_of(name: str) -> str:
    """The unit of the name's family; empty for bits and numbers without one."""
    return next((unit for pattern, unit in _UNITS if re.match(pattern, name)), "")


def severity_of(name: str) -> int:
    """The priority of an alarm bit, by its ending; 0 where the name has none."""
    return _SEVERITIES.get(name.rpartition("_")[2], 0)


def composed_text(name: str) -> str:
    """A text for an alarm bit without one: `CP_LP_FS` is `Full stop: compressor low pressure`."""
    stem, _, _ = name.rpartition("_")
    words = " ".join(_WORDS.get(word, word) for word in stem.split("_"))
    return f"{_GRAVITY.get(severity_of(name), 'Alarm')}: {words or name}"
