"""The simulated air of a hall: temperature, humidity, CO2 and vapours that drift during a day without steps. Pure."""

from __future__ import annotations

import math
import random

_DAY_S = 86400.0
_MIDDLES = {"temp": 21.0, "humi": 42.0, "co2": 620.0, "tvoc": 90.0, "pressure": 1005.0}
_SWINGS = {"temp": 1.5, "humi": 6.0, "co2": 140.0, "tvoc": 40.0, "pressure": 4.0}
_NOISES = {"temp": 0.03, "humi": 0.15, "co2": 4.0, "tvoc": 2.0, "pressure": 0.05}
_DECIMALS = {"temp": 2, "humi": 2, "co2": 0, "tvoc": 0, "pressure": 2}


class Air:
    """What a board measures. Each place has its own offset."""

    def __init__(self, place: str, *, seed: int = 1) -> None:
        self._random = random.Random(f"{place} {seed}")  # noqa: S311 (noise, not secrets)
        self._offset = self._random.uniform(-1.0, 1.0)
        self._slow = 0.0

    def measure(self, quantity: str, seconds: float) -> float:
        """The quantity (last word of a topic) that many seconds after midnight; 1.0 and noise for one not known."""
        self._slow = 0.98 * self._slow + self._random.gauss(0.0, 0.02)
        swing = math.sin(2 * math.pi * (seconds / _DAY_S - 0.3)) + 0.3 * self._offset + self._slow
        value = _MIDDLES.get(quantity, 1.0) + _SWINGS.get(quantity, 0.1) * swing
        value += self._random.gauss(0.0, _NOISES.get(quantity, 0.01))
        return round(max(0.0, value) if quantity != "temp" else value, _DECIMALS.get(quantity, 3))
