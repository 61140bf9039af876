"""Which field of which measurement of the tracker DCS each point of the description is, by driver and options.

The states of CAEN channels, of MARTA and of all (`fsm_state` of `channels`, `MARTA`, `dcs_status`) are not among them:
states are no points, and are not in the history.
"""

from __future__ import annotations

from collections.abc import Iterator

from countingroom.devices.description import DevicesSection
from countingroom.devices.drivers.caen.description import CaenSection
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.mqtt.description import SENSOR, MqttSensorsSection
from countingroom.history.stores.line_protocol import key
from countingroom.history.stores.tracker_layout import TrackerField

_CAEN_BOTH = ("status", "setV", "vMon", "iMon", "maxI", "tripTime", "tripInt", "tripExt")
_CAEN_LV = (*_CAEN_BOTH, "unVthr", "ovVthr", "rampUpTime", "rampDwnTime", "temp")
_CAEN_HV = (*_CAEN_BOTH, "rampUpSpeed", "rampDwnSpeed", "imRange", "tripMode")
_CAEN_INTEGERS = {"status", "tripInt", "tripExt", "imRange", "tripMode"}
_JULABO = ("internal_temp", "setpoint_1", "setpoint_2", "setpoint_3", "power", "external_temp")
_JULABO_STATES = {0: "ERROR", 1: "ERROR", 2: "OFF", 3: "ON"}
_MARTA_INTEGERS = {"status", "set_start_chiller", "set_start_co2", "set_flow_active", "set_alarm_reset"}
_SENSORS = {
    ("DS", "temp"): "DS_temp",
    ("BME", "temp"): "BME_temp",
    ("BME", "humi"): "BMI_humi",  # so named in the tracker's Telegraf file
    ("CCS", "co2"): "CCS_co2",
    ("CCS", "tvoc"): "CCS_tvoc",
    ("SCD30", "co2"): "SCD30_co2",
    ("SCD30", "temp"): "SCD30_temp",
    ("SCD30", "humi"): "SCD30_humi",
}
"""The last two levels of a topic -> field."""


def tracker_fields(devices: DevicesSection) -> dict[str, TrackerField]:
    """Address of a point -> its field. Two chillers share one series, as the tracker has one of each."""
    found: dict[str, TrackerField] = {}
    for device, section in devices.items():
        match section:
            case CaenSection():
                fields = _caen(section)
            case JulaboSection():
                fields = _julabo()
            case MartaSection():
                fields = _marta(section)
            case MqttSensorsSection():
                fields = _sensors(section)
            case _:
                continue
        found.update((f"{device}.{point}", field) for point, field in fields)
    return found


def _caen(section: CaenSection) -> Iterator[tuple[str, TrackerField]]:
    for name, channel in section.channels.items():
        tags = {
            "id": name,
            "module": channel.module,
            "lv_board": str(channel.lv.board),
            "lv_channel": str(channel.lv.chan),
            "hv_board": str(channel.hv.board),
            "hv_channel": str(channel.hv.chan),
        }
        series = key("channels", tags.items())
        for side, columns in (("lv", _CAEN_LV), ("hv", _CAEN_HV)):
            for column in columns:
                field = f"{side}_{column}"
                yield (
                    f"{name}.{field}",
                    TrackerField(key=series, name=field, is_integer=column in _CAEN_INTEGERS),
                )


def _julabo() -> Iterator[tuple[str, TrackerField]]:
    series = key("chiller", [("topic", "julabo/status")])
    for name in _JULABO:
        yield name, TrackerField(key=series, name=name)
    yield "used_setpoint", TrackerField(key=series, name="used_setpoint", is_integer=True)
    yield (
        "status_code",
        TrackerField(key=series, name="status_code", is_integer=True, state=_JULABO_STATES, state_below="ERROR"),
    )


def _marta(section: MartaSection) -> Iterator[tuple[str, TrackerField]]:
    series = key("MARTA", [("topic", "MARTA/status")])
    for name, register in section.registers.items():
        if register.type != "bool" or name in _MARTA_INTEGERS:  # Telegraf leaves out the bits of alarms
            yield name, TrackerField(key=series, name=name, is_integer=name in _MARTA_INTEGERS)


def _sensors(section: MqttSensorsSection) -> Iterator[tuple[str, TrackerField]]:
    for column, value in section.values.items():
        levels = value.topic.split("/")
        field = _SENSORS.get((levels[-2], levels[-1])) if len(levels) > 1 else None
        if field and SENSOR in value.topic:
            for channel, board in section.boards.items():
                topic = value.topic.replace(SENSOR, board.name)
                series = key("sensors", [("sensor", board.name), ("topic", topic)])
                yield f"{channel}.{column}", TrackerField(key=series, name=field)
