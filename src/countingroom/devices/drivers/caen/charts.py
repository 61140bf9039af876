"""State machines of a CAEN channel and of the whole supply: which command is legal in which state.

Rows named after commands give the state that the command leads to; only the readback changes the state. `hv_off` is
legal in ERROR too, because it ends the most dangerous one: HV on with LV off.
"""

from __future__ import annotations

from countingroom.core.charts.aggregates import aggregate
from countingroom.core.charts.chart import Chart, Row

_LIVE = ("CONNECTED", "LV_OFF", "LV_ON", "HV_RAMP", "HV_ON", "ERROR")
_MIXED = ("CONNECTED", "LV_OFF", "LV_MIX", "LV_ON", "HV_RAMP", "HV_MIX", "HV_ON", "ERROR", "NO_CHANNELS")

CHANNEL = Chart(
    name="caen channel",
    initial="DISCONNECTED",
    safe=("LV_OFF",),
    rows=(
        Row("DISCONNECTED", "connect", "CONNECTED"),
        Row("CONNECTED", "lv_is_off", "LV_OFF"),
        Row("CONNECTED", "lv_is_on", "LV_ON"),
        Row("CONNECTED", "hv_ramps", "HV_RAMP"),
        Row("CONNECTED", "hv_is_on", "HV_ON"),
        Row("LV_OFF", "lv_on", "LV_ON"),
        Row("LV_ON", "lv_off", "LV_OFF"),
        Row("LV_ON", "hv_on", "HV_RAMP"),
        Row("HV_RAMP", "hv_is_on", "HV_ON"),
        Row("HV_RAMP", "hv_is_off", "LV_ON"),
        Row("HV_RAMP", "hv_off", "HV_RAMP"),
        Row("HV_ON", "hv_off", "HV_RAMP"),
        Row("ERROR", "hv_off", "ERROR"),
        Row("ERROR", "lv_is_off", "LV_OFF"),
        Row("ERROR", "lv_is_on", "LV_ON"),
        *(Row(state, "fault", "ERROR") for state in _LIVE if state != "ERROR"),
        *(Row(state, "disconnect", "DISCONNECTED") for state in _LIVE),
    ),
    common={
        "DISCONNECTED": "no_link",
        "CONNECTED": "moving",
        "LV_OFF": "off",
        "LV_ON": "on",
        "HV_RAMP": "moving",
        "HV_ON": "on",
        "ERROR": "error",
    },
)

SUPPLY = Chart(
    name="caen",
    initial="DISCONNECTED",
    safe=("LV_OFF", "NO_CHANNELS"),
    rows=(
        Row("DISCONNECTED", "connect", "CONNECTED"),
        Row("CONNECTED", "none_is_active", "NO_CHANNELS"),
        Row("CONNECTED", "all_lv_are_off", "LV_OFF"),
        Row("CONNECTED", "all_lv_are_on", "LV_ON"),
        Row("CONNECTED", "some_lv_are_on", "LV_MIX"),
        Row("CONNECTED", "hv_ramps", "HV_RAMP"),
        Row("CONNECTED", "some_hv_are_on", "HV_MIX"),
        Row("CONNECTED", "all_hv_are_on", "HV_ON"),
        Row("LV_OFF", "all_lv_on", "LV_ON"),
        Row("LV_OFF", "some_lv_are_on", "LV_MIX"),
        Row("LV_MIX", "all_lv_on", "LV_ON"),
        Row("LV_MIX", "all_lv_off", "LV_OFF"),
        Row("LV_ON", "all_lv_off", "LV_OFF"),
        Row("LV_ON", "all_hv_on", "HV_RAMP"),
        Row("LV_ON", "some_hv_are_on", "HV_MIX"),
        Row("HV_MIX", "all_hv_on", "HV_RAMP"),
        Row("HV_MIX", "all_hv_off", "HV_RAMP"),
        Row("HV_RAMP", "all_hv_on", "HV_RAMP"),
        Row("HV_RAMP", "all_hv_off", "HV_RAMP"),
        Row("HV_RAMP", "all_hv_are_on", "HV_ON"),
        Row("HV_RAMP", "all_hv_are_off", "LV_ON"),
        Row("HV_ON", "all_hv_off", "HV_RAMP"),
        Row("ERROR", "all_hv_off", "ERROR"),
        Row("ERROR", "clear_alarms", "LV_OFF"),
        *(Row(state, "fault", "ERROR") for state in _MIXED if state not in {"ERROR", "NO_CHANNELS"}),
        *(Row(state, "disconnect", "DISCONNECTED") for state in _MIXED),
    ),
    common={
        "DISCONNECTED": "no_link",
        "CONNECTED": "moving",
        "NO_CHANNELS": "off",
        "LV_OFF": "off",
        "LV_MIX": "on",
        "LV_ON": "on",
        "HV_RAMP": "moving",
        "HV_MIX": "on",
        "HV_ON": "on",
        "ERROR": "error",
    },
)

WHOLE = aggregate(
    "caen",
    (
        ("any ERROR", "ERROR"),
        ("any DISCONNECTED", "DISCONNECTED"),
        ("any LV_OFF and any HV_ON|HV_RAMP", "ERROR"),
        ("any CONNECTED", "CONNECTED"),
        ("all LV_OFF", "LV_OFF"),
        ("any LV_OFF and any LV_ON", "LV_MIX"),
        ("all LV_ON", "LV_ON"),
        ("all HV_ON", "HV_ON"),
        ("any HV_RAMP", "HV_RAMP"),
        ("any LV_ON and any HV_ON", "HV_MIX"),
        ("else", "ERROR"),
    ),
    empty="NO_CHANNELS",
)
"""The supply's state from its active channels. `else` is never reached: a test tries every combination."""
