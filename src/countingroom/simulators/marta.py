"""A simulated MARTA plant: written registers are its inputs, the other registers its instruments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from countingroom.core.clock import Clock
from countingroom.core.errors import NotFound
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Scalar
from countingroom.simulators.arguments import text
from countingroom.simulators.marta_plant import Inputs, Plant
from countingroom.simulators.modbus import LINK_FAULTS, ModbusSimulator

_ENDINGS = ("_FS", "_TS", "_W")
_SETPOINTS = {
    "set_temperature_setpoint": "temperature_c",
    "set_speed_setpoint": "speed_rpm",
    "set_flow_setpoint": "flow_g_per_s",
}


class MartaSimulator(ModbusSimulator):
    """A CO2 plant over Modbus TCP."""

    faults = (
        *LINK_FAULTS,
        CommandSpec(
            name="trip",
            description="an alarm bit is set: a stop until it is reset, a warning until restore",
            parameters=(Parameter(name="alarm", type=Type.STRING, optional=True),),
        ),
        CommandSpec(
            name="persist",
            description="an alarm whose reason stays until restore",
            parameters=(Parameter(name="alarm", type=Type.STRING, optional=True),),
        ),
    )

    def __init__(self, parameters: Mapping[str, Any], *, clock: Clock | None = None, seed: int = 1) -> None:
        super().__init__(parameters, clock=clock, seed=seed)
        self.plant = Plant(seed=seed)
        for register, name in _SETPOINTS.items():
            self.image.put(register, getattr(self.plant.inputs, name))

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        match name:
            case "trip":
                alarm = self._alarm(arguments)
                (self.plant.causes if alarm.endswith("_W") else self.plant.alarms).add(alarm)
            case "persist":
                self.plant.causes.add(self._alarm(arguments))
            case _:
                if name == "restore":
                    self.plant.causes.clear()
                await super().fault(name, arguments)
        self._show()

    def written(self) -> None:
        """Apply the inputs at once, so that a short pulse is not missed."""
        get = self.image.get
        setpoints = {name: float(get(register)) for register, name in _SETPOINTS.items()}
        self.plant.set(
            Inputs(
                chiller=bool(get("set_start_chiller")),
                co2=bool(get("set_start_co2")),
                flow_active=bool(get("set_flow_active")),
                alarm_reset=bool(get("set_alarm_reset")),
                **setpoints,
            )
        )
        self._show()

    def tick(self, seconds: float) -> None:
        self.plant.step(seconds)
        self._show()

    def _show(self) -> None:
        for name, value in self.plant.values().items():
            self.image.put(name, value)
        self.image.put("status", self.plant.status)
        for name, entry in self.image.table.items():
            if name.endswith(_ENDINGS) and entry.get("type") == "bool":
                self.image.put(name, name in self.plant.alarms or name in self.plant.causes)
        self.hide_spoilt()

    def _alarm(self, arguments: Mapping[str, Scalar]) -> str:
        name = text(arguments, "alarm", "CP_LP_FS")
        if name not in self.image.table or not name.endswith(_ENDINGS):
            raise NotFound(f"there is no alarm bit {name}", suggestion="name one ending in _FS, _TS or _W")
        return name
