"""The bath of a chiller: heated and cooled by a controller of limited power, with losses to its surroundings. Pure."""

from __future__ import annotations

import random
from typing import NamedTuple

ROOM_C = 21.0
_HEATING_C_PER_S = 0.25
"""How fast full power changes the bath's temperature; real baths need a tenth of it, and patience."""
_LEAK_PER_S = 0.002
"""Part of the difference to the room that is lost every second."""
_GAIN_PER_C = 25.0
"""Per cent of power for each degree off the setpoint."""
_EXTERNAL_LAG_S = 12.0
_EXTERNAL_LEAK = 0.08
"""The loop outside is this much nearer to the room than the bath."""
_NOISE_C = 0.01
_LONGEST_STEP_S = 0.5


class Trouble(NamedTuple):
    """A fault as STATUS gives it."""

    code: int
    text: str


class Bath:
    """The state of a circulator, and what happens to it."""

    def __init__(self, *, seed: int = 1) -> None:
        self.setpoints = [20.0, 5.0, -20.0]
        self.used = 0
        self.external_control = False
        self.sensor_plugged = True
        self.running = False
        self.manual = False
        self.stage = 1
        self.trouble: Trouble | None = None
        self.refusal: Trouble | None = None
        """Why the last setting was refused; STATUS tells it once."""
        self.temperature = ROOM_C
        self.external = ROOM_C
        self.power = 0.0
        self._random = random.Random(seed)  # noqa: S311 (noise, not secrets)

    def step(self, seconds: float) -> None:
        """Let that much time pass."""
        while seconds > 0:
            self._short_step(min(seconds, _LONGEST_STEP_S))
            seconds -= _LONGEST_STEP_S

    def _short_step(self, seconds: float) -> None:
        self.power = self._wanted_power() if self.running else 0.0
        change = self.power / 100 * _HEATING_C_PER_S - _LEAK_PER_S * (self.temperature - ROOM_C)
        self.temperature += change * seconds
        reached = self.temperature + _EXTERNAL_LEAK * (ROOM_C - self.temperature)
        self.external += (reached - self.external) * min(1.0, seconds / _EXTERNAL_LAG_S)

    def _wanted_power(self) -> float:
        """Per cent: what holds the setpoint against the leak, and more or less for being off it."""
        target = self.setpoints[self.used]
        seen = self.external if self.external_control and self.sensor_plugged else self.temperature
        holding = _LEAK_PER_S * (target - ROOM_C) / _HEATING_C_PER_S * 100
        return max(-100.0, min(100.0, holding + _GAIN_PER_C * (target - seen)))

    def set_running(self, running: bool) -> None:
        """Start or stop; a circulator in trouble does not start."""
        self.running = running and self.trouble is None

    def trip(self, trouble: Trouble) -> None:
        """Something goes wrong: it stops by itself."""
        self.trouble = trouble
        self.running = False

    def noisy(self, value: float) -> float:
        """A temperature as its sensor gives it."""
        return value + self._random.gauss(0.0, _NOISE_C)

    def status(self) -> Trouble:
        """What STATUS says; a refusal once."""
        refusal, self.refusal = self.refusal, None
        if refusal is not None:
            return refusal
        if self.trouble is not None:
            return self.trouble
        code = (0 if self.manual else 2) + self.running
        return Trouble(code, f"{'MANUAL' if self.manual else 'REMOTE'} {'START' if self.running else 'STOP'}")
