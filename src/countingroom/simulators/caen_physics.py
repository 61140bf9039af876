"""The physics of the outputs of a power supply, in steps of time. Pure.

Low voltage rises in its ramp time and supplies a module that draws current and warms its board; high voltage rises and
falls at its set speeds over a sensor with leakage. A current above the limit for longer than the trip time trips the
output: off at once (Kill) or down at the usual speed (Ramp). Status words are CAEN's: bit 0 on, 1 ramping up, 2 ramping
down, 3 over-current, 4 over-voltage, 9 tripped.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

OFF, ON, RAMP_UP, RAMP_DOWN = 0, 1, 3, 5
OVER_CURRENT, OVER_VOLTAGE, TRIPPED = 8, 16, 512

Value = float | int

LV_DEFAULTS: dict[str, Value] = {
    "V0Set": 12.0,
    "I0Set": 2.5,
    "Trip": 10.0,
    "TripInt": 0,
    "TripExt": 17,
    "UNVThr": 0.0,
    "OVVThr": 15.0,
    "RUpTime": 100.0,
    "RDwTime": 100.0,
}
HV_DEFAULTS: dict[str, Value] = {
    "V0Set": 200.0,
    "I0Set": 500.0,
    "Trip": 10.0,
    "TripInt": 0,
    "TripExt": 17,
    "RUp": 50.0,
    "RDWn": 50.0,
    "ImRange": 0,
    "PDwn": 0,
}

AMBIENT_C, K_PER_W, THERMAL_LAG_S = 24.0, 0.6, 40.0
MODULE_OHM = 7.5
"""Of the module at its low voltage: 1.6 A at 12 V."""
LEAKAGE_UA_PER_V = 0.0025
"""Of the sensor at its high voltage: 0.5 uA at 200 V."""


class Output:
    """One output: its settings, its switch and what is measured at it."""

    def __init__(self, settings: Mapping[str, Value]) -> None:
        self.settings = dict(settings)
        self.switched_on = False
        self.volts = 0.0
        self.current = 0.0
        self.fault = 0
        self.extra_current = 0.0
        """Current of a simulated fault behind the output."""
        self._over_s = 0.0
        self._down_after_trip = False

    @property
    def target(self) -> float:
        """The voltage that the output ramps to."""
        return float(self.settings["V0Set"]) if self.switched_on else 0.0

    @property
    def status(self) -> int:
        """CAEN's status word."""
        if self.fault:
            return self.fault
        over = OVER_CURRENT if self._over_s else 0
        moving = self.target - self.volts
        if abs(moving) > 1e-9 and self._shows_ramp():
            return (RAMP_UP if moving > 0 else RAMP_DOWN) | over
        return (ON | over) if self.switched_on else OFF

    def _shows_ramp(self) -> bool:
        return True

    def switch(self, on: bool) -> None:
        """Set the switch; a tripped output stays off until it is cleared."""
        self.switched_on = on and not self.fault
        if not on:
            self._over_s = 0.0

    def clear(self) -> None:
        """Clear a trip."""
        self.fault = 0
        self._down_after_trip = False

    def trip(self, fault: int = TRIPPED) -> None:
        """Switch off and keep the fault."""
        self.fault = fault
        self.switched_on = False
        self.extra_current = 0.0
        self._over_s = 0.0
        self._down_after_trip = bool(self.settings.get("PDwn", 0))
        if not self._down_after_trip:
            self.volts = 0.0

    def _ramp(self, up_v_per_s: float, down_v_per_s: float, dt_s: float) -> None:
        moving = self.target - self.volts
        if moving > 0:
            self.volts += min(moving, up_v_per_s * dt_s)
        else:
            self.volts -= min(-moving, down_v_per_s * dt_s)

    def _watch(self, dt_s: float) -> None:
        self._over_s = self._over_s + dt_s if self.current > float(self.settings["I0Set"]) else 0.0
        if self._over_s > float(self.settings["Trip"]):
            self.trip()


class LowVoltage(Output):
    """Feeds a module."""

    def __init__(self, settings: Mapping[str, Value]) -> None:
        super().__init__({**LV_DEFAULTS, **settings})
        self.celsius = AMBIENT_C

    def _shows_ramp(self) -> bool:
        return False  # its ramp is shorter than the polling interval

    def step(self, dt_s: float) -> None:
        """Let that much time pass."""
        full = max(float(self.settings["V0Set"]), 0.1)
        up_s, down_s = (max(float(self.settings[name]), 1.0) / 1000 for name in ("RUpTime", "RDwTime"))
        self._ramp(full / up_s, full / down_s, dt_s)
        self.current = self.volts / MODULE_OHM + (self.extra_current if self.volts else 0.0)
        warm = AMBIENT_C + K_PER_W * self.volts * self.current
        self.celsius += (warm - self.celsius) * min(1.0, dt_s / THERMAL_LAG_S)
        self._watch(dt_s)
        if self.volts > float(self.settings["OVVThr"]):
            self.trip(OVER_VOLTAGE)

    def measured(self, noise: random.Random) -> dict[str, Value]:
        """What its meters show."""
        live = 1.0 if self.volts else 0.0
        return {
            "VMon": round(self.volts + live * noise.gauss(0, 0.004), 3),
            "IMon": round(max(0.0, self.current + live * noise.gauss(0, 0.004)), 3),
            "Temp": round(self.celsius + noise.gauss(0, 0.05), 1),
            "Status": self.status,
            "Pw": int(self.switched_on),
        }


class HighVoltage(Output):
    """Biases a sensor."""

    def __init__(self, settings: Mapping[str, Value]) -> None:
        super().__init__({**HV_DEFAULTS, **settings})

    def step(self, dt_s: float) -> None:
        """Let that much time pass."""
        self._ramp(max(float(self.settings["RUp"]), 0.1), max(float(self.settings["RDWn"]), 0.1), dt_s)
        self.current = self.volts * LEAKAGE_UA_PER_V + (self.extra_current if self.volts else 0.0)
        self._watch(dt_s)

    def measured(self, noise: random.Random) -> dict[str, Value]:
        """What its meters show; the low range of the current meter shows ten times smaller steps."""
        live = 1.0 if self.volts else 0.0
        low_range = not self.settings["ImRange"]
        sigma, digits = (0.002, 3) if low_range else (0.02, 2)
        return {
            "VMon": round(self.volts + live * noise.gauss(0, 0.02), 2),
            "IMon": round(max(0.0, self.current + live * noise.gauss(0, sigma)), digits),
            "Status": self.status,
            "Pw": int(self.switched_on),
        }
