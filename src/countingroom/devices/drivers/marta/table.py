"""The register table of a MARTA plant, for a description without its own register file. Pure.

Measured values are float32 from 100 to 211, two registers each; alarms are the bits of 300 to 303; setpoints and
switches are 305 and 310 to 315; the plant's status is 320. The meaning of addresses 170 and 188 is unknown.
"""

from __future__ import annotations

from typing import Any

_FLOATS: dict[int, str] = {
    100: "PT01_R452A PT03_R452A PT04_R452A PT01_CO2 PT02_CO2 PT03_CO2 PT04_CO2 PT05_CO2 PT06_CO2",
    118: "TT01_R452A TT02_R452A TT03_R452A TT04_R452A",
    126: "TT01_CO2 TT02_CO2 TT03_CO2 TT04_CO2 TT05_CO2 TT06_CO2 TT07_CO2 FT01_CO2",
    142: "SH01_R452A_calc SH03_R452A_calc ST01_R452A_calc ST03_R452A_calc",
    150: "ST01_CO2_calc ST02_CO2_calc ST03_CO2_calc ST04_CO2_calc ST05_CO2_calc ST06_CO2_calc",
    162: "SC01_CO2_calc SC02_CO2_calc SC03_CO2_calc SC04_CO2_calc",
    172: "SC05_CO2_calc DP01_CO2_calc DP02_CO2_calc DP04_CO2_calc DP03_CO2_calc",
    182: "DT02_CO2_calc DT03_CO2_calc DP_EV3C_CO2_calc",
    190: "SC01_CO2_Start_calc EV1_valve_pos EV2_valve_pos EV3_valve_pos EV3C_valve_pos LP_speed EH_power",
    204: "temperature_setpoint speed_setpoint flow_setpoint TC04_TSP",
}
"""First address -> names of consecutive float32 values."""

_BITS: dict[int, str] = {
    300: (
        "ChTT_IOErr_FS ChPT_IOErr_FS PS_HP_FS PS_LP_FS CP_HP_FS CP_HP_W CP_LP_FS CP_LP_W SH03_R452A_FS SH03_R452A_W "
        "TT03_R452A_HT_W TT03_R452A_LT_FS TT03_R452A_LT_W ST01_R452A_TS ST01_R452A_W TT04_R452A_HT_FS"
    ),
    301: "TT04_R452A_HT_W EV1_CEr_FS EV2_CEr_FS EV3_CEr_FS CP_CB_FS V_CB_FS UPS_MODE_FS EB_FS CP_Cnt_FS",
    302: (
        "TT_IOErr_FS PT_IOErr_FS DP01_CO2_FS DP01_CO2_W DP02_CO2_FS DP02_CO2_W DP03_CO2_LP_FS DP03_CO2_LP_W "
        "DP03_CO2_HP_FS DP03_CO2_HP_W DT03_CO2_HT_FS DT03_CO2_HT_W PT02_CO2_HP_FS SC01_CO2_FS SC01_CO2_W TT01_CO2_LT_FS"
    ),
    303: ("PT04_CO2_HP_FS PT04_CO2_HP_W TT04_CO2_HT_FS TT04_CO2_HT_TS TT04_CO2_HT_W EV3C_CEr_FS EH_CB_FS LP_CB_FS"),
}
"""Address -> names of its bits, from the least significant."""

_SWITCHES = ("set_start_chiller", "set_start_co2", "set_flow_active", "set_alarm_reset")
_SETPOINTS = {"set_temperature_setpoint": 310, "set_speed_setpoint": 312, "set_flow_setpoint": 314}

_FAST = ("PT01_CO2", "PT02_CO2", "PT03_CO2", "PT04_CO2", "PT05_CO2", "PT06_CO2", "TT05_CO2", "TT06_CO2", "TC04_TSP")

TEXTS: dict[str, str] = {
    "EB_FS": "Full stop: the emergency button is pressed",
    "UPS_MODE_FS": "Full stop: running on the uninterruptible supply",
    "SC01_CO2_W": "Warning: little subcooling at the pump's inlet",
    "SC01_CO2_FS": "Full stop: too little subcooling at the pump's inlet",
    "PT04_CO2_HP_W": "Warning: accumulator pressure is high",
    "PT04_CO2_HP_FS": "Full stop: accumulator pressure is too high",
    "PT02_CO2_HP_FS": "Full stop: pressure behind the pump is too high",
    "TT01_CO2_LT_FS": "Full stop: the CO2 is too cold",
    "DP03_CO2_LP_W": "Warning: the pump raises the pressure too little",
    "DP03_CO2_LP_FS": "Full stop: the pump raises the pressure far too little",
}
"""Alarms whose names are not clear enough; the texts of the others are composed from their names."""


def _deadband(name: str) -> float:
    if "valve_pos" in name or name == "EH_power":
        return 5.0
    if name.endswith("_setpoint") or name == "LP_speed":
        return 0.0
    return 0.2 if name in _FAST or (name.startswith("DP0") and name.endswith("_calc")) else 0.5


def _registers() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {}
    for first, names in _FLOATS.items():
        for index, name in enumerate(names.split()):
            table[name] = {"address": first + 2 * index, "type": "float32", "deadband": _deadband(name)}
    for bit, name in enumerate(_SWITCHES):
        table[name] = {"address": 305, "bit": bit, "type": "bool", "input": True}
    for name, address in _SETPOINTS.items():
        table[name] = {"address": address, "type": "float32", "input": True}
    table["status"] = {"address": 320}
    for address, names in _BITS.items():
        for bit, name in enumerate(names.split()):
            table[name] = {"address": address, "bit": bit, "type": "bool"}
    return table


REGISTERS = _registers()
"""Name -> entry, as in a description."""
