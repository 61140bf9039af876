"""Units as Home Assistant writes them, and the device class of a point, where its unit is one that the class accepts.

A class with another unit is refused by Home Assistant (a warning until 2025.7), so a unit that none accepts has none.
Where several classes have a unit (percent: humidity, battery …; ppm: gases), none is guessed. Kelvin has none: Home
Assistant would show a cryostat at 4.2 K as -268.95 °C, and a difference of 1 K as -272.15 °C. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core import units

_CLASSES: Mapping[str, Mapping[str, str]] = {
    "temperature": {"degC": "°C", "celsius": "°C", "degF": "°F"},
    "voltage": {"V": "V", "volt": "V", "mV": "mV", "uV": "µV", "kV": "kV"},
    "current": {"A": "A", "ampere": "A", "mA": "mA"},
    "power": {"W": "W", "watt": "W", "mW": "mW", "kW": "kW", "MW": "MW"},
    "apparent_power": {"VA": "VA", "V*A": "VA"},
    "pressure": {
        **{name: name for name in ("Pa", "hPa", "kPa", "bar", "cbar", "mbar", "psi", "mmHg", "inHg")},
        "pascal": "Pa",
    },
    "frequency": {"Hz": "Hz", "hertz": "Hz", "kHz": "kHz", "MHz": "MHz", "GHz": "GHz"},
    "duration": {
        **{name: name for name in ("ms", "s", "min", "h", "d")},
        "second": "s",
        "minute": "min",
        "hour": "h",
        "day": "d",
    },
    "distance": {name: name for name in ("mm", "cm", "m", "km")},
    "weight": {"mg": "mg", "g": "g", "kg": "kg"},
    "illuminance": {"lux": "lx", "lx": "lx"},
    "irradiance": {"W/m**2": "W/m²", "W/m^2": "W/m²"},
    "volume_flow_rate": {
        **dict.fromkeys(("l/min", "L/min", "liter/min", "liter/minute"), "L/min"),
        **dict.fromkeys(("m**3/h", "m^3/h"), "m³/h"),
        **dict.fromkeys(("ml/s", "mL/s"), "mL/s"),
    },
    "speed": {name: name for name in ("m/s", "mm/s", "km/h")},
    "signal_strength": {"dBm": "dBm"},
}
_KNOWN = {name: (shown, kind) for kind, names in _CLASSES.items() for name, shown in names.items()}
_NUMBER_ONLY = frozenset(["dimensionless"])


def of_home_assistant(unit: str) -> tuple[str, str]:
    """The unit as Home Assistant writes it, and the device class; each empty where there is none."""
    if unit in _NUMBER_ONLY:
        return "", ""
    return _KNOWN.get(unit) or (units.written(unit), "")
