"""The physics of a MARTA plant: a chiller, a CO2 pump and an accumulator that sets the boiling point. Pure.

Times are shortened so that a start-up can be watched. Pressures and temperatures of CO2 follow its boiling curve.
"""

from __future__ import annotations

import math
import random
from typing import NamedTuple

ROOM_C = 20.0
_CHILLER_COLD_C = -42.0
_CHILLER_LAG_S = 20.0
_CO2_LAG_S = 8.0
_RAMP_C_PER_S = 0.5
_PUMP_RPM_PER_S = 600.0
_FLOW_LAG_S = 2.0
_FLOW_AT_FULL_SPEED = 5.0
_FULL_SPEED_RPM = 6000.0
_LONGEST_STEP_S = 0.5
READY, OPERATING, ALARM = 1, 2, 3


class Inputs(NamedTuple):
    """What the operator has set."""

    chiller: bool = False
    co2: bool = False
    flow_active: bool = False
    alarm_reset: bool = False
    temperature_c: float = 15.0
    speed_rpm: float = 1500.0
    flow_g_per_s: float = 2.0


def boiling_pressure(temperature_c: float) -> float:
    """Pressure of boiling CO2 in bar, within 2 % of the tables from -40 to 25 degC."""
    return 73.8 * math.exp(6.6 * (1 - 304.1 / (temperature_c + 273.15)))


class Plant:
    """The state of a plant."""

    def __init__(self, *, seed: int = 1) -> None:
        self.inputs = Inputs()
        self.causes: set[str] = set()
        """Alarm bits with a present reason."""
        self.alarms: set[str] = set()
        """Alarm bits that are set: full stops stay until they are reset, warnings end with their reason."""
        self.chiller_c = ROOM_C
        self.boiling_c = ROOM_C
        self.target_c = ROOM_C
        self.liquid_c = ROOM_C
        self.speed_rpm = 0.0
        self.flow_g_per_s = 0.0
        self._random = random.Random(seed)  # noqa: S311 (noise, not secrets)

    @property
    def stopped(self) -> bool:
        """Whether an alarm has stopped the plant."""
        return any(not name.endswith("_W") for name in self.alarms)

    @property
    def chiller_runs(self) -> bool:
        return self.inputs.chiller and not self.stopped

    @property
    def co2_runs(self) -> bool:
        """The pump refuses to run without the chiller."""
        return self.inputs.co2 and self.chiller_runs

    @property
    def status(self) -> int:
        if self.stopped:
            return ALARM
        return OPERATING if self.co2_runs and self.flow_g_per_s > 0.2 else READY

    def set(self, inputs: Inputs) -> None:
        """Take the operator's inputs. The reset acts on its rising edge."""
        if inputs.alarm_reset and not self.inputs.alarm_reset:
            self.alarms &= self.causes
        self.inputs = inputs

    def step(self, seconds: float) -> None:
        """Let that much time pass."""
        self.alarms = {name for name in self.alarms if not name.endswith("_W")} | self.causes
        while seconds > 0:
            self._short_step(min(seconds, _LONGEST_STEP_S))
            seconds -= _LONGEST_STEP_S

    def _short_step(self, seconds: float) -> None:
        cold = _CHILLER_COLD_C if self.chiller_runs else ROOM_C
        self.chiller_c += (cold - self.chiller_c) * seconds / _CHILLER_LAG_S
        wanted = self.inputs.temperature_c if self.co2_runs else ROOM_C
        self.target_c += max(-_RAMP_C_PER_S * seconds, min(_RAMP_C_PER_S * seconds, wanted - self.target_c))
        reachable = max(self.target_c, self.chiller_c + 3) if self.co2_runs else self.target_c
        self.boiling_c += (reachable - self.boiling_c) * seconds / _CO2_LAG_S
        cooled = self.chiller_c + 6 if self.co2_runs else self.boiling_c
        self.liquid_c += (min(cooled, self.boiling_c - 1) - self.liquid_c) * seconds / _CO2_LAG_S
        pump = self._wanted_speed()
        change = _PUMP_RPM_PER_S * seconds
        self.speed_rpm += max(-change, min(change, pump - self.speed_rpm))
        flowing = _FLOW_AT_FULL_SPEED * self.speed_rpm / _FULL_SPEED_RPM
        self.flow_g_per_s += (flowing - self.flow_g_per_s) * seconds / _FLOW_LAG_S

    def _wanted_speed(self) -> float:
        if not self.co2_runs:
            return 0.0
        if self.inputs.flow_active:
            return min(_FULL_SPEED_RPM, self.inputs.flow_g_per_s / _FLOW_AT_FULL_SPEED * _FULL_SPEED_RPM)
        return self.inputs.speed_rpm

    def values(self) -> dict[str, float]:
        """The instruments' values, by register name."""
        boiling, lift = boiling_pressure(self.boiling_c), 9.0 * (self.speed_rpm / _FULL_SPEED_RPM) ** 2
        drop = 0.5 * self.flow_g_per_s
        inlet = self.boiling_c if self.co2_runs else ROOM_C
        valve = max(0.0, min(100.0, 2.2 * (ROOM_C - self.chiller_c)))
        heater = max(0.0, min(100.0, 20.0 * (self.target_c - self.boiling_c) + 8.0 * self.co2_runs))
        shown = {
            **dict.fromkeys(("PT01_CO2", "PT04_CO2", "PT06_CO2"), boiling),
            **dict.fromkeys(("PT02_CO2", "PT03_CO2"), boiling + lift),
            "PT05_CO2": boiling + drop,
            "PT01_R452A": 1.4 + 0.14 * (self.chiller_c - _CHILLER_COLD_C),
            "PT03_R452A": 11.0 + 5.0 * self.chiller_runs,
            "PT04_R452A": 10.8 + 4.8 * self.chiller_runs,
            "TT01_R452A": self.chiller_c + 4,
            "TT02_R452A": self.chiller_c + 2,
            "TT03_R452A": ROOM_C + 45 * self.chiller_runs,
            "TT04_R452A": ROOM_C + 12 * self.chiller_runs,
            **dict.fromkeys(("TT01_CO2", "TT02_CO2", "TT03_CO2"), self.liquid_c),
            "TT04_CO2": self.boiling_c + 0.15 * heater,
            "TT05_CO2": inlet + 0.3,
            "TT06_CO2": inlet,
            "TT07_CO2": ROOM_C,
            "FT01_CO2": self.flow_g_per_s,
            "SH01_R452A_calc": 6.0,
            "SH03_R452A_calc": 25.0,
            "ST01_R452A_calc": self.chiller_c,
            "ST03_R452A_calc": ROOM_C + 15 * self.chiller_runs,
            **{f"ST0{number}_CO2_calc": self.boiling_c for number in range(1, 7)},
            **{f"SC0{number}_CO2_calc": self.boiling_c - self.liquid_c for number in range(1, 6)},
            "SC01_CO2_Start_calc": self.boiling_c - self.liquid_c,
            "DP01_CO2_calc": 0.02 * self.flow_g_per_s,
            "DP02_CO2_calc": 0.03 * self.flow_g_per_s,
            "DP03_CO2_calc": lift,
            "DP04_CO2_calc": drop,
            "DT02_CO2_calc": 0.2 * self.flow_g_per_s,
            "DT03_CO2_calc": 0.4 * self.flow_g_per_s,
            "DP_EV3C_CO2_calc": 0.1 * self.flow_g_per_s,
            **dict.fromkeys(("EV1_valve_pos", "EV2_valve_pos"), valve),
            **dict.fromkeys(("EV3_valve_pos", "EV3C_valve_pos"), 40.0 * self.co2_runs + 5.0),
            "EH_power": heater,
        }
        noisy = {name: value + self._random.gauss(0.0, 0.002 * max(1.0, abs(value))) for name, value in shown.items()}
        return noisy | {
            "LP_speed": round(self.speed_rpm),
            "TC04_TSP": self.target_c,
            "temperature_setpoint": self.inputs.temperature_c,
            "speed_setpoint": self.inputs.speed_rpm,
            "flow_setpoint": self.inputs.flow_g_per_s,
        }
